//===- Cost.h - The cost of a command -----------------------------*- C++ -*-===//
//
// One definition of cost for the compiler's search and for the simulator: pure functions
// of (command, actual extents, machine). They know nothing of contention or waiting; the
// SystemC modules add that.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Machine.h"
#include "runtime/program/Program.h"

#include "llvm/ADT/ArrayRef.h"

#include <array>

namespace npucc {

/// Everything that is counted and costs energy. Names ("matrix.mac_int8") in actionName().
enum class Action : uint8_t {
  MacInt8,
  MacInt16,
  MacFp8,
  MacFp16,
  MacBf16,
  MacFp32,        ///< multiply-accumulates that toggle
  WeightLoadByte, ///< stationary operand into the array
  AccumulatorReadByte,
  AccumulatorWriteByte,
  OutputElement, ///< through the output stage
  VectorOp,      ///< scalar operations
  ScratchpadReadByte,
  ScratchpadWriteByte,
  DmaByte,
  NocByte,
  DramReadByte,
  DramWriteByte,
  DramActivate,
  ControlCommand, ///< commands issued
  HostOp,
  HostByte,
  Count
};
const char *actionName(Action action);

struct Actions {
  std::array<double, static_cast<size_t>(Action::Count)> count{};
  double &operator[](Action a) { return count[static_cast<size_t>(a)]; }
  double operator[](Action a) const { return count[static_cast<size_t>(a)]; }
  Actions &operator+=(const Actions &other);
};

/// What limited a command, for the report.
enum class Bound : uint8_t { Matrix, Vector, Dram, Scratchpad, Noc, Control, Host };

struct CommandCost {
  int64_t cycles = 0;        ///< core clock: what one more of these commands adds to a series
  int64_t latencyCycles = 0; ///< issue to last result visible; >= cycles
  /// Work begins `leadCycles` after issue (the first weights are there) and after the work of the
  /// command before, and lasts `workCycles`. The next command may issue `overlapCycles` before
  /// its end, so that its lead hides behind it.
  int64_t leadCycles = 0, workCycles = 0, overlapCycles = 0;
  /// Cycles that the command takes of the scratchpad's read and write ports; <= cycles when
  /// it has them for itself.
  double readPortCycles = 0, writePortCycles = 0;
  Bound bound = Bound::Control;
  Actions actions;
};

/// `extents`: actual (clipped) extent per loop dimension; any 0 makes the command empty.
CommandCost matrixCost(const MatrixCommand &command, llvm::ArrayRef<int64_t> extents, bool clears,
                       bool runsEpilogue, const Machine &machine);
CommandCost vectorCost(const VectorCommand &command, llvm::ArrayRef<int64_t> extents,
                       const Machine &machine);

/// A DMA: the datapath's cycles (without DRAM), and the DRAM side as runs of contiguous bytes.
struct DmaCost {
  /// Datapath only: latency = setup + beats; busy = max(setup, beats), since the next
  /// descriptor is fetched meanwhile. DRAM bytes in whole bursts, without activates.
  CommandCost command;
  int64_t beats = 0;    ///< cycles in which the datapath moves something
  int64_t bytes = 0;    ///< payload
  int64_t runs = 0;     ///< contiguous pieces in DRAM
  int64_t runBytes = 0; ///< bytes of a piece
  bool dram = true;     ///< one end is in DRAM
};
/// `extents` after clipping, one per DmaCommand::dims.
DmaCost dmaCost(const DmaCommand &command, llvm::ArrayRef<int64_t> extents, const Machine &machine);

/// `rowExtents` after clipping, one per GatherCommand::row. Rows are taken to lie scattered.
DmaCost gatherCost(const GatherCommand &command, llvm::ArrayRef<int64_t> indexExtents,
                   llvm::ArrayRef<int64_t> rowExtents, const Machine &machine);

/// Cycles (core clock) that DRAM alone needs for `runs` pieces of `runBytes` contiguous bytes,
/// without contention: bursts, row misses, refresh. The scheduler's view of the DRAM model.
double dramCycles(int64_t runs, int64_t runBytes, const Machine &machine);

/// Attribute of an If, Loop or Scan: the scalar operations in its bodies, all iterations.
constexpr llvm::StringLiteral kBodyOpsAttr = "npucc.body_ops";

/// Scalar operations of a host operator, without those of its bodies. Absent operands have no type.
double hostOps(const Node &node, llvm::ArrayRef<Value> inputs, llvm::ArrayRef<Value> outputs);
double hostOps(const Node &node, llvm::ArrayRef<Tensor> inputs, llvm::ArrayRef<Tensor> outputs);

/// Scalar operations and bytes of a host operator, and its time on the control core:
/// DMA out + interrupt + max(ops / rate, bytes / bandwidth) + DMA in.
CommandCost hostCost(const Node &node, llvm::ArrayRef<const ProgramTensor *> inputs,
                     llvm::ArrayRef<const ProgramTensor *> outputs, const Machine &machine);

/// Scalar operations of one execution of a body, by the machine's opCost.
double bodyOps(const Body &body, const Machine &machine);

} // namespace npucc
