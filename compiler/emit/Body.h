//===- Body.h - Regions to command bodies -------------------------*- C++ -*-===//
//
// A linalg or npu region becomes the straight-line code that the engines execute. The
// same conversion serves the cost model and the program, so that what is estimated is
// what runs. docs/numerics.md lists the rewrites that change rounding.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Command.h"

#include "mlir/IR/Block.h"
#include "mlir/Support/LogicalResult.h"

namespace npucc {

struct ConvertedBody {
  Body body;
  /// Stored type of each block argument (inputs, then outputs): the signless integers of the
  /// IR with the sign that the body gives them.
  llvm::SmallVector<ElementType, 4> operandTypes;
};

/// Block arguments are operand values. An operation that the engines lack is an error at its
/// location.
mlir::FailureOr<ConvertedBody> convertBody(mlir::Block &block, unsigned inputs);

/// The storage type of an MLIR element type; signless integers count as signed.
ElementType storageType(mlir::Type type, bool isUnsigned = false);

} // namespace npucc
