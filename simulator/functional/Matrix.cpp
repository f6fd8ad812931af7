//===- Matrix.cpp - The contraction of a matrix command -------------------===//
//
// The loop nest is sorted into batch, row (in a), column (in b) and depth (reduced)
// dimensions. Rows and columns are packed as matrices with depth innermost: zero points
// subtracted, padding filled in, 8-bit integers widened to 16 bits. Then panels of 6 rows
// by 16 columns are multiplied and added to the accumulators.
//
//===----------------------------------------------------------------------===//

#include "simulator/functional/Matrix.h"

#include "simulator/functional/Elements.h"
#include "simulator/functional/MatrixKernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace npucc;

namespace {

using Dims = llvm::SmallVector<unsigned, 8>;

/// All values of sum coefficient[d] * i[d], last dimension fastest.
std::vector<int64_t> expand(const Dims &dims, llvm::ArrayRef<int64_t> extents,
                            llvm::ArrayRef<int64_t> coefficients) {
  std::vector<int64_t> values{0};
  for (unsigned d : dims) {
    std::vector<int64_t> next;
    next.reserve(values.size() * extents[d]);
    for (int64_t value : values)
      for (int64_t i = 0; i < extents[d]; ++i)
        next.push_back(value + i * coefficients[d]);
    values.swap(next);
  }
  return values;
}

/// One operand as a matrix [rows][depth], per batch index.
struct Side {
  BoundOperand operand;
  Dims dims;
  double zero = 0;
  std::vector<int64_t> rowOffsets, depthOffsets;
  struct Coordinates {
    std::vector<int64_t> rows, depth;
    int64_t depthMin = 0, depthMax = 0;
  };
  llvm::SmallVector<Coordinates, 2> guards;
  int64_t run = 1; ///< depthOffsets come in runs of this length and one stride
  int64_t runStride = 0;
  // The current batch index.
  int64_t base = 0;
  llvm::SmallVector<int64_t, 2> guardBase;

  void expandTables(const Dims &depth, llvm::ArrayRef<int64_t> extents) {
    rowOffsets = expand(dims, extents, operand.strides);
    depthOffsets = expand(depth, extents, operand.strides);
    for (const auto &guard : operand.guards) {
      Coordinates c;
      c.rows = expand(dims, extents, guard.coefficients);
      c.depth = expand(depth, extents, guard.coefficients);
      c.depthMin = *std::min_element(c.depth.begin(), c.depth.end());
      c.depthMax = *std::max_element(c.depth.begin(), c.depth.end());
      guards.push_back(std::move(c));
    }
    runStride = depthOffsets.size() > 1 ? depthOffsets[1] : 0;
    while (run < int64_t(depthOffsets.size()) && depthOffsets[run] == run * runStride)
      ++run;
    if (int64_t(depthOffsets.size()) % run)
      run = 1;
    for (size_t k = 0; k < depthOffsets.size() && run > 1; ++k)
      if (depthOffsets[k] != depthOffsets[k - k % run] + int64_t(k % run) * runStride)
        run = 1;
  }
};

template <class S, class D> D convert(const uint8_t *from, D zero) {
  S value;
  std::memcpy(&value, from, sizeof value);
  if constexpr (std::is_integral_v<D>) { // wraps
    using U = std::make_unsigned_t<D>;
    return static_cast<D>(static_cast<U>(static_cast<D>(value)) - static_cast<U>(zero));
  } else {
    return static_cast<D>(value) - zero;
  }
}

/// One row of `depth` elements; `fast`: no guard or range check can fail.
template <class D> class RowPacker {
public:
  RowPacker(const Side &side) : side(side), zero(static_cast<D>(side.zero)) {
    double value = side.operand.fill - side.zero;
    if constexpr (std::is_integral_v<D>)
      value =
          std::clamp<double>(value, std::numeric_limits<D>::min(), std::numeric_limits<D>::max());
    fill = static_cast<D>(value);
  }

  void pack(int64_t row, D *to) {
    int64_t base = side.base + side.rowOffsets[row];
    bool fast = !side.operand.checked;
    for (size_t g = 0; g < side.guards.size() && fast; ++g) {
      int64_t at = side.guardBase[g] + side.guards[g].rows[row];
      fast = at + side.guards[g].depthMin >= 0 &&
             at + side.guards[g].depthMax < side.operand.guards[g].bound;
    }
    if (!fast)
      return slow(row, base, to);
    const uint8_t *from = side.operand.memory + base;
    switch (side.operand.type) {
    case ElementType::Int8:
      return gather<int8_t>(from, to);
    case ElementType::Uint8:
      return gather<uint8_t>(from, to);
    case ElementType::Float32:
      return gather<float>(from, to);
    case ElementType::Int16:
      return gather<int16_t>(from, to);
    case ElementType::Int32:
      return gather<int32_t>(from, to);
    default:
      return converted(from, to);
    }
  }

  bool outOfRange = false;

private:
  const Side &side;
  D zero, fill;

  template <class S> void gather(const uint8_t *from, D *to) {
    int64_t depth = side.depthOffsets.size(), run = side.run, stride = side.runStride;
    D z = zero;
    if (run < 8) {
      for (int64_t k = 0; k < depth; ++k)
        to[k] = convert<S, D>(from + side.depthOffsets[k], z);
    } else if (stride == sizeof(S)) {
      for (int64_t k = 0; k < depth; k += run) {
        const uint8_t *at = from + side.depthOffsets[k];
        for (int64_t i = 0; i < run; ++i)
          to[k + i] = convert<S, D>(at + i * sizeof(S), z);
      }
    } else {
      for (int64_t k = 0; k < depth; k += run) {
        const uint8_t *at = from + side.depthOffsets[k];
        for (int64_t i = 0; i < run; ++i)
          to[k + i] = convert<S, D>(at + i * stride, z);
      }
    }
  }

  /// Through the general loaders, in pieces.
  void converted(const uint8_t *from, D *to) {
    constexpr int64_t kPiece = 64;
    const ElementAccess &access = accessOf(side.operand.type);
    int64_t depth = side.depthOffsets.size();
    for (int64_t k = 0; k < depth; k += side.run)
      for (int64_t i = 0; i < side.run; i += kPiece) {
        int64_t count = std::min(kPiece, side.run - i);
        const uint8_t *at = from + side.depthOffsets[k] + i * side.runStride;
        if constexpr (std::is_same_v<D, float>) {
          access.loadFloats(at, side.runStride, count, to + k + i);
          for (int64_t j = 0; j < count; ++j)
            to[k + i + j] -= zero;
        } else {
          int64_t values[kPiece];
          access.loadInts(at, side.runStride, count, values);
          for (int64_t j = 0; j < count; ++j)
            to[k + i + j] = static_cast<D>(values[j] - zero);
        }
      }
  }

  void slow(int64_t row, int64_t base, D *to) {
    const BoundOperand &operand = side.operand;
    const ElementAccess &access = accessOf(operand.type);
    int64_t size = elementBytes(operand.type);
    for (size_t k = 0; k < side.depthOffsets.size(); ++k) {
      bool inside = true;
      for (size_t g = 0; g < side.guards.size(); ++g) {
        int64_t at = side.guardBase[g] + side.guards[g].rows[row] + side.guards[g].depth[k];
        inside &= at >= 0 && at < operand.guards[g].bound;
      }
      if (!inside) {
        to[k] = fill;
        continue;
      }
      int64_t offset = base + side.depthOffsets[k];
      if (offset < 0 || offset + size > operand.memoryBytes) {
        outOfRange = true;
        to[k] = 0;
        continue;
      }
      if constexpr (std::is_same_v<D, float>) {
        access.loadFloats(operand.memory + offset, 0, 1, &to[k]);
        to[k] -= zero;
      } else {
        int64_t value;
        access.loadInts(operand.memory + offset, 0, 1, &value);
        to[k] = static_cast<D>(value - zero);
      }
    }
  }
};

/// D: packed type, C: accumulator type.
template <class D, class C> class Product {
public:
  Product(Side &rows, Side &columns, const BoundOperand &accumulator, bool clear,
          llvm::ArrayRef<int64_t> extents)
      : rows(rows), columns(columns), accumulator(accumulator), clear(clear),
        accRows(expand(rows.dims, extents, accumulator.strides)),
        accColumns(expand(columns.dims, extents, accumulator.strides)) {
    depth = rows.depthOffsets.size();
    lda = std::is_same_v<D, int16_t> ? (depth + 1) / 2 * 2 : depth;
    panels = (int64_t(accColumns.size()) + kPanelCols - 1) / kPanelCols;
    // Keep a block of packed rows within a second-level cache.
    blockRows = std::clamp<int64_t>((256 << 10) / (lda * sizeof(D)), kPanelRows, 96);
    blockRows = std::min<int64_t>(blockRows / kPanelRows * kPanelRows, accRows.size());
    packedColumns.resize(panels * kPanelCols * lda);
    panelRows.resize(kPanelCols * lda);
    packedRows.resize(blockRows * lda);
    sums.resize(blockRows * panels * kPanelCols);
    contiguous = true;
    for (size_t n = 0; n < accColumns.size(); ++n)
      contiguous &= accColumns[n] == int64_t(n * sizeof(C));
  }

  /// One batch index; the sides' bases are set. False: access out of range.
  bool run(int64_t accBase) {
    packColumns();
    RowPacker<D> packer(rows);
    int64_t ldc = panels * kPanelCols, count = accRows.size();
    for (int64_t first = 0; first < count; first += blockRows) {
      int64_t block = std::min(blockRows, count - first);
      for (int64_t r = 0; r < block; ++r)
        packer.pack(first + r, &packedRows[r * lda]);
      for (int64_t p = 0; p < panels; ++p)
        for (int64_t r = 0; r < block; r += kPanelRows)
          multiplyPanel(std::min(kPanelRows, block - r), lda, &packedRows[r * lda], lda,
                        &packedColumns[p * kPanelCols * lda], &sums[r * ldc + p * kPanelCols], ldc);
      for (int64_t r = 0; r < block; ++r)
        accumulate(accumulator.memory + accBase + accRows[first + r], &sums[r * ldc]);
    }
    return good && !packer.outOfRange;
  }

private:
  Side &rows, &columns;
  const BoundOperand &accumulator;
  bool clear, contiguous, good = true;
  std::vector<int64_t> accRows, accColumns;
  int64_t depth, lda, panels, blockRows;
  std::vector<D> packedColumns, panelRows, packedRows; // zero beyond the real sizes
  std::vector<C> sums;

  void packColumns() {
    RowPacker<D> packer(columns);
    int64_t count = accColumns.size();
    for (int64_t p = 0; p < panels; ++p) {
      int64_t used = std::min(kPanelCols, count - p * kPanelCols);
      if (used < kPanelCols)
        std::fill(panelRows.begin(), panelRows.end(), D(0));
      for (int64_t j = 0; j < used; ++j)
        packer.pack(p * kPanelCols + j, &panelRows[j * lda]);
      D *to = &packedColumns[p * kPanelCols * lda];
      // Depth becomes the outer dimension; 16-bit elements move in pairs.
      if constexpr (std::is_same_v<D, int16_t>)
        transpose<uint32_t>(lda / 2, to);
      else
        transpose<uint32_t>(lda, to);
    }
    good &= !packer.outOfRange;
  }
  template <class Word> void transpose(int64_t words, D *to) {
    const auto *from = reinterpret_cast<const char *>(panelRows.data());
    auto *out = reinterpret_cast<char *>(to);
    for (int64_t k = 0; k < words; ++k)
      for (int64_t j = 0; j < kPanelCols; ++j)
        std::memcpy(out + (k * kPanelCols + j) * sizeof(Word),
                    from + (j * words + k) * sizeof(Word), sizeof(Word));
  }

  static C add(C a, C b) {
    if constexpr (std::is_same_v<C, int32_t>)
      return static_cast<int32_t>(uint32_t(a) + uint32_t(b));
    else
      return a + b;
  }
  void accumulate(uint8_t *to, const C *from) {
    auto count = static_cast<int64_t>(accColumns.size());
    if (contiguous && clear) {
      std::memcpy(to, from, count * sizeof(C));
    } else if (contiguous) {
      for (int64_t n = 0; n < count; ++n) {
        C value;
        std::memcpy(&value, to + n * sizeof(C), sizeof value);
        value = add(value, from[n]);
        std::memcpy(to + n * sizeof(C), &value, sizeof value);
      }
    } else {
      for (int64_t n = 0; n < count; ++n) {
        C value = 0;
        uint8_t *at = to + accColumns[n];
        if (!clear)
          std::memcpy(&value, at, sizeof value);
        value = add(value, from[n]);
        std::memcpy(at, &value, sizeof value);
      }
    }
  }
};

bool dependsOn(const BoundOperand &operand, unsigned dim) {
  if (operand.strides[dim])
    return true;
  for (const auto &guard : operand.guards)
    if (guard.coefficients[dim])
      return true;
  return false;
}

/// Can products of pairs be summed in 32 bits without overflow, from 16-bit inputs?
bool fits16(const Side &side) {
  if (bitWidth(side.operand.type) > 8 || side.operand.type == ElementType::Bool)
    return false;
  return std::abs(side.zero) <= 256 && std::abs(side.operand.fill) <= 256;
}

template <class D, class C>
bool runBatches(Side &rows, Side &columns, const Dims &batch, llvm::ArrayRef<int64_t> extents,
                const BoundOperand &accumulator, bool clear) {
  Product<D, C> product(rows, columns, accumulator, clear, extents);
  std::vector<int64_t> accOffsets = expand(batch, extents, accumulator.strides);
  struct Offsets {
    std::vector<int64_t> bases;
    llvm::SmallVector<std::vector<int64_t>, 2> guards;
  } offsets[2];
  Side *sides[2] = {&rows, &columns};
  for (int s = 0; s < 2; ++s) {
    offsets[s].bases = expand(batch, extents, sides[s]->operand.strides);
    for (const auto &guard : sides[s]->operand.guards)
      offsets[s].guards.push_back(expand(batch, extents, guard.coefficients));
  }
  for (size_t i = 0; i < accOffsets.size(); ++i) {
    for (int s = 0; s < 2; ++s) {
      sides[s]->base = sides[s]->operand.offset + offsets[s].bases[i];
      sides[s]->guardBase.clear();
      for (size_t g = 0; g < offsets[s].guards.size(); ++g)
        sides[s]->guardBase.push_back(sides[s]->operand.guards[g].start + offsets[s].guards[g][i]);
    }
    if (!product.run(accumulator.offset + accOffsets[i]))
      return false;
  }
  return true;
}

} // namespace

std::string npucc::contract(const MatrixCommand &command, llvm::ArrayRef<int64_t> extents,
                            BoundOperand a, BoundOperand b, BoundOperand accumulator, bool clear) {
  std::string why;
  if (!checkRange(a, extents, why) || !checkRange(b, extents, why) ||
      !checkRange(accumulator, extents, why))
    return why;
  Dims batch, depth;
  Side rows, columns;
  for (unsigned d = 0; d < extents.size(); ++d) {
    if (command.dims[d].reduction)
      depth.push_back(d);
    else if (!dependsOn(b, d))
      rows.dims.push_back(d);
    else if (!dependsOn(a, d))
      columns.dims.push_back(d);
    else
      batch.push_back(d);
  }
  // Long runs first: the order of summation is free.
  std::sort(depth.begin(), depth.end(), [&](unsigned x, unsigned y) {
    return std::pair(-std::abs(a.strides[x]), x) < std::pair(-std::abs(a.strides[y]), y);
  });
  rows.operand = std::move(a);
  rows.zero = command.aZero;
  columns.operand = std::move(b);
  columns.zero = command.bZero;
  auto points = [&](const Dims &dims) {
    int64_t count = 1;
    for (unsigned d : dims)
      count *= extents[d];
    return count;
  };
  // Sixteen columns are multiplied at a time: let the longer side be the columns.
  if (points(columns.dims) < kPanelCols && points(rows.dims) > points(columns.dims))
    std::swap(rows, columns);
  // Nothing that fits a memory comes near this; broadcasts in a damaged program may.
  constexpr int64_t kMost = int64_t(1) << 28;
  int64_t depthPoints = points(depth);
  for (int64_t count : {points(rows.dims), points(columns.dims), points(batch), depthPoints})
    if (count > kMost || count * depthPoints > 16 * kMost)
      return "a matrix command is too large for functional mode";
  rows.expandTables(depth, extents);
  columns.expandTables(depth, extents);

  bool good;
  if (accumulator.type == ElementType::Float32)
    good = runBatches<float, float>(rows, columns, batch, extents, accumulator, clear);
  else if (fits16(rows) && fits16(columns))
    good = runBatches<int16_t, int32_t>(rows, columns, batch, extents, accumulator, clear);
  else
    good = runBatches<int32_t, int32_t>(rows, columns, batch, extents, accumulator, clear);
  return good ? "" : "an operand of the matrix command leaves its memory";
}
