//===- Nest.cpp - Runs a body over a loop nest of operands ----------------===//
//
// Points of the parallel dimensions are cut into blocks; a block is a list of segments,
// runs along the innermost dimension. The reduction dimensions loop inside a block, in
// order, so that each output sees its steps in the order of the loop nest.
//
//===----------------------------------------------------------------------===//

#include "simulator/functional/Nest.h"

#include "simulator/functional/BodyRunner.h"
#include "simulator/functional/Elements.h"

#include "llvm/ADT/STLExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace npucc;

BoundOperand npucc::bind(const Operand &operand, const Program &program, const StreamState &state,
                         const MemoryView &memory) {
  BoundOperand bound;
  auto space = static_cast<size_t>(operand.address.space);
  bound.memory = memory.base[space];
  bound.memoryBytes = memory.bytes[space];
  bound.offset = resolve(operand.address, program, state);
  bound.type = operand.type;
  bound.fill = operand.fill;
  bound.strides = operand.strides;
  for (const Guard &guard : operand.guards)
    bound.guards.push_back({evaluate(guard.start, state), guard.bound, guard.coefficients});
  return bound;
}

bool npucc::checkRange(BoundOperand &operand, llvm::ArrayRef<int64_t> extents, std::string &why) {
  int64_t low = operand.offset, high = operand.offset + elementBytes(operand.type);
  for (auto [extent, stride] : llvm::zip(extents, operand.strides))
    (stride < 0 ? low : high) += (extent - 1) * stride;
  operand.checked = low < 0 || high > operand.memoryBytes;
  if (!operand.checked || !operand.guards.empty())
    return true;
  why = "access to bytes " + std::to_string(low) + " to " + std::to_string(high) +
        " of a memory of " + std::to_string(operand.memoryBytes);
  return false;
}

namespace {

struct Segment {
  int64_t first, count; ///< points of the block
  llvm::SmallVector<int64_t, 8> index;
};

/// An operand with its addresses at the segments of the current block.
struct Cursor {
  BoundOperand *operand;
  ElementAccess access;
  int64_t elementBytes, innerStride = 0;
  float fillFloat;
  int64_t fillInt;
  std::vector<int64_t> offsets;     ///< by segment
  std::vector<int64_t> coordinates; ///< by segment x guard
  int64_t reductionOffset = 0;
  llvm::SmallVector<int64_t, 2> reductionCoordinates; ///< by guard
};

/// Saturating: -infinity is the initial value of a maximum.
int64_t toInteger(double value) {
  if (std::abs(value) < 0x1p63)
    return static_cast<int64_t>(value);
  if (std::isnan(value))
    return 0;
  return value < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

class NestRunner {
public:
  NestRunner(Nest &nest, const Body &body) : nest(nest), runner(body) {}
  std::string run();

private:
  Nest &nest;
  BodyRunner runner;
  llvm::SmallVector<unsigned, 8> parallel, reductions; ///< dimensions; the last is innermost
  std::vector<Cursor> cursors;                         ///< inputs, then outputs
  llvm::SmallVector<std::vector<float>, 2> floatTables;
  llvm::SmallVector<std::vector<int64_t>, 2> intTables; ///< by operand, for Lookup
  std::vector<Segment> segments;
  std::string why;

  void orderDims();
  bool mergeable(unsigned outer, unsigned inner) const;
  void makeCursors();
  void block();
  bool nextReduction(llvm::SmallVectorImpl<int64_t> &index);
  void step(bool first);
  void fetch(const BodyStep &step, const int64_t *numbers, void *to, bool first);
  void lookup(const BodyStep &step, const int64_t *numbers, void *to);
  void index(const BodyStep &step, void *to);
  void write(Cursor &cursor, size_t output);
  std::pair<int64_t, int64_t> inside(const Cursor &cursor, size_t segment) const;
  bool reachable(const Cursor &cursor, int64_t offset, int64_t count);
  llvm::SmallVector<int64_t, 8> reductionIndex;
  int64_t blockPoints = 0;
};

/// Two dimensions act as one when every operand walks them with one stride.
bool NestRunner::mergeable(unsigned outer, unsigned inner) const {
  auto one = [&](const BoundOperand &operand) {
    if (operand.strides[outer] != operand.strides[inner] * nest.extents[inner])
      return false;
    for (const auto &guard : operand.guards)
      if (guard.coefficients[outer] || guard.coefficients[inner])
        return false;
    return true;
  };
  return !runner.usesIndex(outer) && !runner.usesIndex(inner) && llvm::all_of(nest.inputs, one) &&
         llvm::all_of(nest.outputs, one);
}

void NestRunner::orderDims() {
  for (unsigned d = 0; d < nest.extents.size(); ++d) {
    if (nest.reduction[d]) {
      if (nest.extents[d] > 1)
        reductions.push_back(d);
      continue;
    }
    if (nest.extents[d] == 1)
      continue; // its index is 0 throughout
    if (!parallel.empty() && mergeable(parallel.back(), d)) {
      nest.extents[d] *= nest.extents[parallel.back()];
      nest.extents[parallel.back()] = 1;
      parallel.back() = d;
    } else {
      parallel.push_back(d);
    }
  }
  // A short innermost dimension makes short segments; points may come in any order.
  if (parallel.size() > 1 && nest.extents[parallel.back()] < 16) {
    auto longest = llvm::max_element(
        parallel, [&](unsigned a, unsigned b) { return nest.extents[a] < nest.extents[b]; });
    if (nest.extents[*longest] > 2 * nest.extents[parallel.back()])
      std::swap(*longest, parallel.back());
  }
}

void NestRunner::makeCursors() {
  auto add = [&](BoundOperand &operand) {
    Cursor cursor;
    cursor.operand = &operand;
    cursor.access = accessOf(operand.type);
    cursor.elementBytes = elementBytes(operand.type);
    if (!parallel.empty())
      cursor.innerStride = operand.strides[parallel.back()];
    cursor.fillFloat = static_cast<float>(operand.fill);
    cursor.fillInt = toInteger(operand.fill);
    cursor.reductionCoordinates.assign(operand.guards.size(), 0);
    cursors.push_back(std::move(cursor));
  };
  for (BoundOperand &operand : nest.inputs)
    add(operand);
  for (BoundOperand &operand : nest.outputs)
    add(operand);
  floatTables.resize(cursors.size());
  intTables.resize(cursors.size());
}

bool NestRunner::nextReduction(llvm::SmallVectorImpl<int64_t> &index) {
  for (size_t r = reductions.size(); r-- > 0;) {
    if (++index[r] < nest.extents[reductions[r]])
      return true;
    index[r] = 0;
  }
  return false;
}

/// The part of a segment that satisfies the guards.
std::pair<int64_t, int64_t> NestRunner::inside(const Cursor &cursor, size_t segment) const {
  int64_t first = 0, end = segments[segment].count;
  for (size_t g = 0; g < cursor.operand->guards.size(); ++g) {
    const auto &guard = cursor.operand->guards[g];
    int64_t start = cursor.coordinates[segment * cursor.operand->guards.size() + g] +
                    cursor.reductionCoordinates[g];
    int64_t step = parallel.empty() ? 0 : guard.coefficients[parallel.back()];
    // start + i * step in [0, bound)
    if (step == 0) {
      if (start < 0 || start >= guard.bound)
        return {0, 0};
    } else if (step > 0) {
      if (start < 0)
        first = std::max(first, (-start + step - 1) / step);
      end = start >= guard.bound ? 0 : std::min(end, (guard.bound - start + step - 1) / step);
    } else {
      if (start >= guard.bound)
        first = std::max(first, (start - guard.bound) / -step + 1);
      end = start < 0 ? 0 : std::min(end, start / -step + 1);
    }
  }
  return {first, std::max(first, end)};
}

bool NestRunner::reachable(const Cursor &cursor, int64_t offset, int64_t count) {
  if (!cursor.operand->checked || count == 0)
    return true;
  int64_t last = offset + (count - 1) * cursor.innerStride;
  if (std::min(offset, last) >= 0 &&
      std::max(offset, last) + cursor.elementBytes <= cursor.operand->memoryBytes)
    return true;
  why = "access to byte " + std::to_string(offset < 0 ? offset : last) + " of a memory of " +
        std::to_string(cursor.operand->memoryBytes);
  return false;
}

void NestRunner::lookup(const BodyStep &step, const int64_t *numbers, void *to) {
  auto entries = static_cast<int64_t>(step.imm > 0 ? step.imm : 256);
  Cursor &cursor = cursors[step.a];
  auto fill = [&](auto &table, auto load, auto *result) {
    if (table.empty()) { // once a command
      const BoundOperand &operand = *cursor.operand;
      if (operand.offset < 0 ||
          operand.offset + entries * cursor.elementBytes > operand.memoryBytes) {
        why = "look-up table outside its memory";
        table.resize(entries);
      } else {
        table.resize(entries);
        load(operand.memory + operand.offset, cursor.elementBytes, entries, table.data());
      }
    }
    for (int64_t i = 0; i < blockPoints; ++i)
      result[i] = table[std::clamp<int64_t>(numbers[i], 0, int64_t(table.size()) - 1)];
  };
  if (step.isFloat)
    fill(floatTables[step.a], cursor.access.loadFloats, static_cast<float *>(to));
  else
    fill(intTables[step.a], cursor.access.loadInts, static_cast<int64_t *>(to));
}

void NestRunner::index(const BodyStep &step, void *to) {
  auto d = static_cast<unsigned>(step.a);
  auto put = [&](int64_t point, int64_t value) {
    if (step.isFloat)
      static_cast<float *>(to)[point] = static_cast<float>(value);
    else
      static_cast<int64_t *>(to)[point] = value;
  };
  int64_t base = nest.indexStarts[d];
  for (size_t r = 0; r < reductions.size(); ++r)
    if (reductions[r] == d)
      base += reductionIndex[r];
  int64_t innermost = !parallel.empty() && parallel.back() == d;
  for (const Segment &segment : segments)
    for (int64_t i = 0; i < segment.count; ++i)
      put(segment.first + i, base + segment.index[d] + i * innermost);
}

void NestRunner::fetch(const BodyStep &step, const int64_t *numbers, void *to, bool first) {
  if (step.op == BodyOp::Lookup)
    return lookup(step, numbers, to);
  if (step.op == BodyOp::Index)
    return index(step, to);
  Cursor &cursor = cursors[step.a];
  auto *floats = static_cast<float *>(to);
  auto *ints = static_cast<int64_t *>(to);
  size_t output = step.a - nest.inputs.size();
  if (static_cast<size_t>(step.a) >= nest.inputs.size() && first && nest.useInitial) {
    double value = output < nest.initial.size() ? nest.initial[output] : 0;
    if (step.isFloat)
      std::fill_n(floats, blockPoints, static_cast<float>(value));
    else
      std::fill_n(ints, blockPoints, toInteger(value));
    return;
  }
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment &segment = segments[s];
    auto [begin, end] =
        cursor.operand->guards.empty() ? std::pair(int64_t(0), segment.count) : inside(cursor, s);
    int64_t offset = cursor.offsets[s] + cursor.reductionOffset + begin * cursor.innerStride;
    if (!reachable(cursor, offset, end - begin))
      return;
    const uint8_t *from = cursor.operand->memory + offset;
    if (step.isFloat) {
      std::fill_n(floats + segment.first, begin, cursor.fillFloat);
      if (end > begin)
        cursor.access.loadFloats(from, cursor.innerStride, end - begin,
                                 floats + segment.first + begin);
      std::fill_n(floats + segment.first + end, segment.count - end, cursor.fillFloat);
    } else {
      std::fill_n(ints + segment.first, begin, cursor.fillInt);
      if (end > begin)
        cursor.access.loadInts(from, cursor.innerStride, end - begin, ints + segment.first + begin);
      std::fill_n(ints + segment.first + end, segment.count - end, cursor.fillInt);
    }
  }
}

void NestRunner::write(Cursor &cursor, size_t output) {
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment &segment = segments[s];
    auto [begin, end] =
        cursor.operand->guards.empty() ? std::pair(int64_t(0), segment.count) : inside(cursor, s);
    int64_t offset = cursor.offsets[s] + cursor.reductionOffset + begin * cursor.innerStride;
    if (end <= begin || !reachable(cursor, offset, end - begin))
      continue;
    uint8_t *to = cursor.operand->memory + offset;
    if (runner.yieldIsFloat(output))
      cursor.access.storeFloats(to, cursor.innerStride, end - begin,
                                runner.floats(output) + segment.first + begin);
    else
      cursor.access.storeInts(to, cursor.innerStride, end - begin,
                              runner.ints(output) + segment.first + begin);
  }
}

void NestRunner::step(bool first) {
  runner.run(blockPoints, [&](const BodyStep &step, const int64_t *numbers, void *to) {
    fetch(step, numbers, to, first);
  });
  if (!why.empty())
    return;
  for (size_t o = 0; o < nest.outputs.size(); ++o)
    write(cursors[nest.inputs.size() + o], o);
}

void NestRunner::block() {
  for (Cursor &cursor : cursors) {
    const BoundOperand &operand = *cursor.operand;
    size_t guards = operand.guards.size();
    cursor.offsets.resize(segments.size());
    cursor.coordinates.resize(segments.size() * guards);
    for (size_t s = 0; s < segments.size(); ++s) {
      int64_t offset = operand.offset;
      for (unsigned d : parallel)
        offset += operand.strides[d] * segments[s].index[d];
      cursor.offsets[s] = offset;
      for (size_t g = 0; g < guards; ++g) {
        int64_t at = operand.guards[g].start;
        for (unsigned d : parallel)
          at += operand.guards[g].coefficients[d] * segments[s].index[d];
        cursor.coordinates[s * guards + g] = at;
      }
    }
  }
  reductionIndex.assign(reductions.size(), 0);
  bool first = true;
  do {
    for (Cursor &cursor : cursors) {
      cursor.reductionOffset = 0;
      for (size_t r = 0; r < reductions.size(); ++r)
        cursor.reductionOffset += cursor.operand->strides[reductions[r]] * reductionIndex[r];
      for (size_t g = 0; g < cursor.reductionCoordinates.size(); ++g) {
        int64_t at = 0;
        for (size_t r = 0; r < reductions.size(); ++r)
          at += cursor.operand->guards[g].coefficients[reductions[r]] * reductionIndex[r];
        cursor.reductionCoordinates[g] = at;
      }
    }
    step(first);
    first = false;
  } while (why.empty() && nextReduction(reductionIndex));
}

std::string NestRunner::run() {
  orderDims();
  makeCursors();
  llvm::SmallVector<int64_t, 8> index(nest.extents.size(), 0);
  int64_t inner = parallel.empty() ? 1 : nest.extents[parallel.back()];
  bool more = true;
  while (more && why.empty()) {
    segments.clear();
    blockPoints = 0;
    while (more && blockPoints < BodyRunner::kBlock) {
      int64_t at = parallel.empty() ? 0 : index[parallel.back()];
      int64_t count = std::min(inner - at, BodyRunner::kBlock - blockPoints);
      segments.push_back({blockPoints, count, index});
      blockPoints += count;
      if (parallel.empty()) {
        more = false;
        break;
      }
      index[parallel.back()] += count;
      for (size_t d = parallel.size();
           d-- > 0 && index[parallel[d]] == nest.extents[parallel[d]];) {
        index[parallel[d]] = 0;
        if (d == 0)
          more = false;
        else
          ++index[parallel[d - 1]];
      }
    }
    block();
  }
  return why;
}

} // namespace

std::string npucc::runNest(Nest &nest, const Body &body) {
  std::string why;
  for (BoundOperand &operand : nest.inputs)
    if (!checkRange(operand, nest.extents, why))
      return why;
  for (BoundOperand &operand : nest.outputs)
    if (!checkRange(operand, nest.extents, why))
      return why;
  return NestRunner(nest, body).run();
}
