//===- Nest.h - Runs a body over a loop nest of operands --------*- C++ -*-===//
//
// The inner machinery of vector commands and of the matrix engine's output stage.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Command.h"
#include "simulator/functional/Functional.h"

#include "llvm/ADT/ArrayRef.h"

#include <string>

namespace npucc {

/// The three memories, by Space.
struct MemoryView {
  uint8_t *base[3] = {};
  int64_t bytes[3] = {};
};

/// An operand of one command instance: loop variables and rings are resolved.
struct BoundOperand {
  struct BoundGuard {
    int64_t start = 0, bound = 0;
    llvm::SmallVector<int64_t, 8> coefficients;
  };
  uint8_t *memory = nullptr; ///< start of its space
  int64_t memoryBytes = 0, offset = 0;
  ElementType type = ElementType::Undefined;
  double fill = 0;
  llvm::SmallVector<int64_t, 8> strides;
  llvm::SmallVector<BoundGuard, 2> guards;
  bool checked = true; ///< part of the box is outside the memory: look at each access
};

BoundOperand bind(const Operand &operand, const Program &program, const StreamState &state,
                  const MemoryView &memory);

/// Looks once at the whole box of addresses. False, with a reason, when an access that no
/// guard could have excluded leaves the memory; sets `checked`.
bool checkRange(BoundOperand &operand, llvm::ArrayRef<int64_t> extents, std::string &why);

struct Nest {
  llvm::SmallVector<int64_t, 8> extents; ///< actual; all > 0
  llvm::SmallVector<bool, 8> reduction;
  llvm::SmallVector<int64_t, 8> indexStarts; ///< added to loop counters for BodyOp::Index
  llvm::SmallVector<BoundOperand, 4> inputs, outputs;
  llvm::SmallVector<double, 1> initial; ///< current values at the first reduction step
  bool useInitial = false;
};

/// Empty on success, else what went wrong.
std::string runNest(Nest &nest, const Body &body);

} // namespace npucc
