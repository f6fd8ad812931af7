//===- Address.cpp - Addresses and extents of a command instance ----------===//

#include "simulator/functional/Functional.h"

#include <algorithm>

using namespace npucc;

int64_t npucc::evaluate(const Affine &affine, const StreamState &state) {
  int64_t value = affine.constant;
  for (const Affine::Term &term : affine.terms)
    value += term.coefficient * state.loopValues[term.loop];
  return value;
}

bool npucc::holds(const Condition &condition, const StreamState &state) {
  return condition.always || evaluate(condition.value, state) == condition.equals;
}

int64_t npucc::resolve(const Address &address, const Program &program, const StreamState &state) {
  int64_t offset = evaluate(address.offset, state);
  if (address.ring < 0)
    return offset;
  const Ring &ring = program.rings[address.ring];
  // The first Advance selects slot 0; before it the slot is taken to be 0 as well.
  int64_t count = std::max<int64_t>(state.ringCounts[address.ring], 1);
  return offset + (count - 1) % ring.slots * ring.slotBytes;
}

void npucc::clippedExtents(llvm::ArrayRef<LoopDim> dims, const StreamState &state,
                           llvm::SmallVectorImpl<int64_t> &extents) {
  extents.clear();
  for (const LoopDim &dim : dims) {
    int64_t extent = dim.extent;
    if (dim.clipped)
      extent = std::clamp<int64_t>(dim.bound - evaluate(dim.start, state), 0, extent);
    extents.push_back(extent);
  }
}

void npucc::clippedBox(llvm::ArrayRef<DmaCommand::Dim> dims, const StreamState &state,
                       DmaBox &box) {
  box.first.clear();
  box.count.clear();
  for (const DmaCommand::Dim &dim : dims) {
    int64_t first = 0, last = dim.extent - 1;
    if (dim.clipped) {
      // All i with 0 <= start + i * step < bound.
      int64_t start = evaluate(dim.start, state), step = dim.step, low = -start,
              high = dim.bound - 1 - start;
      if (step < 0) {
        std::swap(low, high);
        low = -low;
        high = -high;
        step = -step;
      }
      // low <= i * step <= high
      auto floorDiv = [](int64_t a, int64_t b) { return a / b - (a % b < 0); };
      if (step == 0) {
        last = low <= 0 && high >= 0 ? last : -1;
      } else {
        first = std::max(first, -floorDiv(-low, step));
        last = std::min(last, floorDiv(high, step));
      }
    }
    box.first.push_back(first);
    box.count.push_back(std::max<int64_t>(last - first + 1, 0));
  }
}
