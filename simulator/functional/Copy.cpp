//===- Copy.cpp - Strided copies between memories -------------------------===//

#include "simulator/functional/Copy.h"

#include "llvm/ADT/STLExtras.h"

#include <cstring>

using namespace npucc;

namespace {

/// Drops dimensions of one element and merges those that continue each other.
void simplify(BoxCopy &box) {
  size_t kept = 0;
  for (size_t d = 0; d < box.count.size(); ++d) {
    if (box.count[d] == 1)
      continue;
    if (kept && box.sourceStrides[kept - 1] == box.sourceStrides[d] * box.count[d] &&
        box.targetStrides[kept - 1] == box.targetStrides[d] * box.count[d]) {
      box.count[kept - 1] *= box.count[d];
    } else {
      box.count[kept++] = box.count[d];
    }
    box.sourceStrides[kept - 1] = box.sourceStrides[d];
    box.targetStrides[kept - 1] = box.targetStrides[d];
  }
  box.count.resize(kept);
  box.sourceStrides.resize(kept);
  box.targetStrides.resize(kept);
}

std::string outside(int64_t first, llvm::ArrayRef<int64_t> count, llvm::ArrayRef<int64_t> strides,
                    int64_t elementBytes, int64_t memoryBytes) {
  int64_t low = first, high = first + elementBytes;
  for (auto [n, stride] : llvm::zip(count, strides))
    (stride < 0 ? low : high) += (n - 1) * stride;
  if (low >= 0 && high <= memoryBytes)
    return {};
  return "copy of bytes " + std::to_string(low) + " to " + std::to_string(high) +
         " of a memory of " + std::to_string(memoryBytes);
}

template <class Word>
void copyElements(uint8_t *to, int64_t toStride, const uint8_t *from, int64_t fromStride,
                  int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * toStride, from + i * fromStride, sizeof(Word));
}

} // namespace

std::string npucc::copyBox(BoxCopy box, const MemoryView &memory) {
  for (int64_t count : box.count)
    if (count <= 0)
      return {};
  auto source = static_cast<size_t>(box.sourceSpace), target = static_cast<size_t>(box.targetSpace);
  std::string why =
      outside(box.source, box.count, box.sourceStrides, box.elementBytes, memory.bytes[source]);
  if (why.empty())
    why = outside(box.target, box.count, box.targetStrides, box.elementBytes, memory.bytes[target]);
  if (!why.empty())
    return why;
  simplify(box);
  const uint8_t *from = memory.base[source] + box.source;
  uint8_t *to = memory.base[target] + box.target;

  int64_t run = box.elementBytes, inner = 1, fromStride = 0, toStride = 0;
  size_t outer = box.count.size();
  if (outer) {
    --outer;
    inner = box.count[outer];
    fromStride = box.sourceStrides[outer];
    toStride = box.targetStrides[outer];
    if (fromStride == run && toStride == run) {
      run *= inner;
      inner = 1;
    }
  }
  llvm::SmallVector<int64_t, 6> index(outer, 0);
  while (true) {
    if (inner == 1)
      std::memmove(to, from, run);
    else if (run == 1)
      copyElements<uint8_t>(to, toStride, from, fromStride, inner);
    else if (run == 2)
      copyElements<uint16_t>(to, toStride, from, fromStride, inner);
    else if (run == 4)
      copyElements<uint32_t>(to, toStride, from, fromStride, inner);
    else
      copyElements<uint64_t>(to, toStride, from, fromStride, inner);
    size_t d = outer;
    for (; d-- > 0;) {
      from += box.sourceStrides[d];
      to += box.targetStrides[d];
      if (++index[d] < box.count[d])
        break;
      from -= box.count[d] * box.sourceStrides[d];
      to -= box.count[d] * box.targetStrides[d];
      index[d] = 0;
    }
    if (d == size_t(-1))
      return {};
  }
}
