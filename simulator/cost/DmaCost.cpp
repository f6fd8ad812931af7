//===- DmaCost.cpp - Cycles and actions of copies -----------------------------===//
//
// The datapath moves one beat of bytesPerCycle per cycle; a piece that is contiguous at both
// ends starts on a beat of its own, so that transposing element by element costs a beat for
// each element. DRAM bursts are paid whole.
//
//===----------------------------------------------------------------------===//

#include "simulator/cost/Access.h"
#include "simulator/cost/Cost.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <cmath>

namespace npucc {

using cost::AccessDims;

namespace {

struct CopyDim {
  int64_t extent, source, target;
};

/// Contiguous bytes at both ends at once, and how many such pieces there are.
int64_t jointRun(llvm::SmallVectorImpl<CopyDim> &dims, int64_t element, int64_t &pieces) {
  llvm::sort(dims, [](const CopyDim &a, const CopyDim &b) {
    return std::max(std::abs(a.source), std::abs(a.target)) <
           std::max(std::abs(b.source), std::abs(b.target));
  });
  int64_t run = element;
  pieces = 1;
  for (const CopyDim &dim : dims) {
    if (pieces == 1 && dim.source == run && dim.target == run)
      run *= dim.extent;
    else
      pieces *= dim.extent;
  }
  return run;
}

double burstBytes(const Machine &machine) {
  double bytes = static_cast<double>(machine.dram.channelWidthBits * machine.dram.burstLength) / 8;
  return std::max(bytes, 1.0);
}

struct Side {
  int64_t runs = 1, runBytes = 0;
};

Side contiguousSide(llvm::ArrayRef<CopyDim> dims, int64_t element, bool source) {
  AccessDims access;
  int64_t repeats = 1; // a broadcast source is read again for each repeat
  for (const CopyDim &dim : dims) {
    int64_t stride = source ? dim.source : dim.target;
    if (stride == 0)
      repeats *= dim.extent;
    else
      access.add(dim.extent, stride);
  }
  Side side;
  side.runBytes = access.contiguousBytes(element, side.runs);
  side.runs *= repeats;
  return side;
}

DmaCost copyCost(llvm::SmallVectorImpl<CopyDim> &dims, int64_t element, Space source, Space target,
                 const Machine &machine) {
  DmaCost cost;
  int64_t count = 1;
  for (const CopyDim &dim : dims)
    count *= dim.extent;
  cost.bytes = count * element;
  int64_t pieces = 1;
  int64_t run = jointRun(dims, element, pieces);
  int64_t beats =
      pieces *
      static_cast<int64_t>(llvm::divideCeil(run, std::max<int64_t>(machine.dma.bytesPerCycle, 1)));
  // The next descriptor is fetched while this command's data moves.
  cost.command.cycles = std::max<int64_t>(beats, machine.dma.setupCycles);
  cost.command.latencyCycles = beats + machine.dma.setupCycles;
  cost.beats = beats;
  cost.command.bound = Bound::Noc;

  const double burst = burstBytes(machine);
  auto bursts = [&](const Side &side) {
    return static_cast<double>(side.runs) * std::ceil(static_cast<double>(side.runBytes) / burst) *
           burst;
  };
  const auto bytes = static_cast<double>(cost.bytes);
  Actions &actions = cost.command.actions;
  cost.dram = source == Space::Dram || target == Space::Dram;
  if (source == Space::Dram) {
    Side side = contiguousSide(dims, element, true);
    cost.runs = side.runs;
    cost.runBytes = side.runBytes;
    actions[Action::DramReadByte] = bursts(side);
  }
  if (target == Space::Dram) {
    Side side = contiguousSide(dims, element, false);
    actions[Action::DramWriteByte] = bursts(side);
    if (source == Space::Dram) { // both ends load the channels
      cost.runs += side.runs;
      cost.runBytes = 2 * cost.bytes / cost.runs;
    } else {
      cost.runs = side.runs;
      cost.runBytes = side.runBytes;
    }
  }
  actions[Action::DmaByte] = bytes;
  actions[Action::NocByte] = cost.dram ? bytes : 0;
  actions[Action::ScratchpadReadByte] = source == Space::Spm ? bytes : 0;
  actions[Action::ScratchpadWriteByte] = target == Space::Spm ? bytes : 0;
  actions[Action::AccumulatorReadByte] = source == Space::Acc ? bytes : 0;
  actions[Action::AccumulatorWriteByte] = target == Space::Acc ? bytes : 0;
  actions[Action::ControlCommand] = 1;
  auto portCycles = [&](Space space, int64_t bytesPerCycle) {
    return space == Space::Spm ? bytes / static_cast<double>(std::max<int64_t>(bytesPerCycle, 1))
                               : 0;
  };
  cost.command.readPortCycles = portCycles(source, machine.scratchpad.readBytesPerCycle);
  cost.command.writePortCycles = portCycles(target, machine.scratchpad.writeBytesPerCycle);
  return cost;
}

DmaCost emptyCopy(bool dram, const Machine &machine) {
  DmaCost cost;
  cost.dram = dram;
  cost.command.bound = Bound::Noc;
  cost.command.cycles = cost.command.latencyCycles = std::max<int64_t>(machine.dma.setupCycles, 1);
  cost.command.actions[Action::ControlCommand] = 1;
  return cost;
}

int64_t storedBytes(ElementType type) {
  return std::max<int64_t>(1, static_cast<int64_t>(bitWidth(type)) / 8);
}

} // namespace

DmaCost dmaCost(const DmaCommand &command, llvm::ArrayRef<int64_t> extents,
                const Machine &machine) {
  if (llvm::is_contained(extents, 0))
    return emptyCopy(command.source.space == Space::Dram || command.target.space == Space::Dram,
                     machine);
  llvm::SmallVector<CopyDim, 6> dims;
  for (auto [dim, extent] : llvm::zip_equal(command.dims, extents))
    if (extent > 1)
      dims.push_back({extent, dim.sourceStride, dim.targetStride});
  return copyCost(dims, storedBytes(command.type), command.source.space, command.target.space,
                  machine);
}

DmaCost gatherCost(const GatherCommand &command, llvm::ArrayRef<int64_t> indexExtents,
                   llvm::ArrayRef<int64_t> rowExtents, const Machine &machine) {
  if (llvm::is_contained(indexExtents, 0) || llvm::is_contained(rowExtents, 0))
    return emptyCopy(command.source.space == Space::Dram || command.target.space == Space::Dram,
                     machine);
  llvm::SmallVector<CopyDim, 6> dims;
  for (auto [dim, extent] : llvm::zip_equal(command.row, rowExtents))
    if (extent > 1)
      dims.push_back({extent, dim.sourceStride, dim.targetStride});
  // A row lies anywhere in the source: a stride that no run can merge with.
  constexpr int64_t kScattered = int64_t(1) << 40;
  int64_t count = 1;
  for (size_t d = 0; d < indexExtents.size(); ++d) {
    count *= indexExtents[d];
    if (indexExtents[d] > 1)
      dims.push_back({indexExtents[d], kScattered, command.targetIndexStrides[d]});
  }
  DmaCost cost = copyCost(dims, storedBytes(command.type), command.source.space,
                          command.target.space, machine);
  // Each index is one address for the engine; the indices themselves are read first.
  cost.beats = std::max(cost.beats, count);
  cost.command.cycles = std::max(cost.command.cycles, count);
  cost.command.latencyCycles =
      std::max(cost.command.latencyCycles, count + machine.dma.setupCycles);
  const auto indexBytes = static_cast<double>(count * storedBytes(command.indices.type));
  bool inDram = command.indices.address.space == Space::Dram;
  cost.command.actions[inDram ? Action::DramReadByte : Action::ScratchpadReadByte] +=
      inDram ? std::ceil(indexBytes / burstBytes(machine)) * burstBytes(machine) : indexBytes;
  return cost;
}

double dramCycles(int64_t runs, int64_t runBytes, const Machine &machine) {
  if (runs <= 0 || runBytes <= 0)
    return 0;
  const DramStandard &dram = machine.dram;
  const double burst = burstBytes(machine);
  const double channels = std::max<double>(
      1, std::floor(static_cast<double>(machine.dramWidthBits) /
                    static_cast<double>(std::max<int64_t>(dram.channelWidthBits, 1))));
  const auto pieces = static_cast<double>(runs);
  const double bursts = pieces * std::ceil(static_cast<double>(runBytes) / burst);
  const double burstNs =
      1e3 * static_cast<double>(dram.burstLength) / std::max(dram.megaTransfersPerSecond, 1e-9);
  double dataNs = bursts * burstNs / channels;
  // A run opens a row wherever it enters one; rows open no faster than tRRD and tFAW allow.
  // Neighbouring runs often share rows, which the DRAM model sees and this bound does not.
  const auto page = static_cast<double>(std::max<int64_t>(dram.pageBytes, 1));
  double activates = pieces * std::ceil(static_cast<double>(runBytes) / page);
  double activateNs = activates * std::max(dram.tRrdShortNs, dram.tFawNs / 4) / channels;
  double refresh = dram.tRefiNs > 0 ? 1 - dram.tRfcNs / dram.tRefiNs : 1;
  return std::max(dataNs, activateNs) / std::max(refresh, 0.1) * 1e-9 * machine.clockHz;
}

} // namespace npucc
