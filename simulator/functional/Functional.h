//===- Functional.h - What commands do to bytes -------------------*- C++ -*-===//
//
// The data side of the engines, without time. The SystemC processes call execute() when a
// command completes.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Program.h"

#include "llvm/ADT/ArrayRef.h"

#include <map>
#include <memory>

namespace npucc {

/// The state of one stream's loop walker that addresses depend on.
struct StreamState {
  std::vector<int64_t> loopValues; ///< by Program::loops
  std::vector<int64_t> ringCounts; ///< by Program::rings: Advances executed by this stream
};

int64_t evaluate(const Affine &affine, const StreamState &state);
bool holds(const Condition &condition, const StreamState &state);
/// Byte offset of an address in its space.
int64_t resolve(const Address &address, const Program &program, const StreamState &state);
/// Actual extents of a loop nest / a DMA box (first copied index and count per dimension).
void clippedExtents(llvm::ArrayRef<LoopDim> dims, const StreamState &state,
                    llvm::SmallVectorImpl<int64_t> &extents);
struct DmaBox {
  llvm::SmallVector<int64_t, 6> first, count;
};
void clippedBox(llvm::ArrayRef<DmaCommand::Dim> dims, const StreamState &state, DmaBox &box);

/// Bytes that a command touches, for the hazard checker: strided boxes.
struct Footprint {
  Space space = Space::Spm;
  bool write = false;
  int64_t base = 0;
  int64_t elementBytes = 1;
  llvm::SmallVector<int64_t, 8> extents, strides; ///< bytes
};

class FunctionalMemory {
public:
  /// DRAM, scratchpad and accumulators; filled with a pattern that shows up in outputs.
  FunctionalMemory(const Program &program, int64_t spmBytes, int64_t accBytes);
  ~FunctionalMemory();
  /// Writes inputs and materialised constants into DRAM.
  llvm::Error load(const std::map<std::string, Tensor> &inputs);
  llvm::Expected<std::map<std::string, Tensor>> outputs() const;
  /// Does one command instance. Errors: access outside a memory, index out of range.
  llvm::Error execute(const Command &command, const StreamState &state);
  /// Footprints of a command instance (actual extents; guarded-out elements excluded
  /// as a box). Index-driven commands read the whole source tensor's box.
  void footprints(const Command &command, const StreamState &state,
                  llvm::SmallVectorImpl<Footprint> &result) const;

private:
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// Evaluates a body for one point: `operands` are the inputs, then the outputs' current
/// values, as stored numbers. The compiler uses it to build look-up tables, so that a
/// table and the code it replaces agree to the bit. Writes one stored number per yield,
/// saturated to `outputTypes`.
void evaluateBody(const Body &body, llvm::ArrayRef<double> operands,
                  llvm::ArrayRef<ElementType> operandTypes, llvm::ArrayRef<int64_t> indices,
                  llvm::ArrayRef<ElementType> outputTypes, llvm::MutableArrayRef<double> results);

} // namespace npucc
