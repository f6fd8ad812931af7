//===- Walk.h - Visits what a command refers to -----------------*- C++ -*-===//
//
// One list of the operands, addresses and affine expressions of each command kind, for
// the checks and listings that treat all kinds alike.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/program/Program.h"

#include "llvm/ADT/STLFunctionalExtras.h"

namespace npucc {

using AffineVisitor = llvm::function_ref<void(const Affine &)>;

inline void visit(const Operand &operand, AffineVisitor visitor) {
  visitor(operand.address.offset);
  for (const Guard &guard : operand.guards)
    visitor(guard.start);
}

template <class Dims> void visitDims(const Dims &dims, AffineVisitor visitor) {
  for (const auto &dim : dims)
    visitor(dim.start);
}

/// Every affine expression of a command.
inline void visitAffines(const Program &program, const Command &command, AffineVisitor visitor) {
  switch (command.kind) {
  case CommandKind::Dma: {
    const DmaCommand &dma = program.dma[command.index];
    visitor(dma.source.offset);
    visitor(dma.target.offset);
    visitDims(dma.dims, visitor);
    return;
  }
  case CommandKind::Matrix: {
    const MatrixCommand &matrix = program.matrix[command.index];
    visitDims(matrix.dims, visitor);
    visit(matrix.a, visitor);
    visit(matrix.b, visitor);
    visit(matrix.accumulator, visitor);
    visitor(matrix.clearIf.value);
    visitor(matrix.epilogueIf.value);
    for (const Operand &operand : matrix.epilogueInputs)
      visit(operand, visitor);
    visit(matrix.out, visitor);
    return;
  }
  case CommandKind::Vector: {
    const VectorCommand &vector = program.vector[command.index];
    visitDims(vector.dims, visitor);
    for (const Operand &operand : vector.inputs)
      visit(operand, visitor);
    for (const Operand &operand : vector.outputs)
      visit(operand, visitor);
    visitor(vector.clearIf.value);
    return;
  }
  case CommandKind::Gather: {
    const GatherCommand &gather = program.gather[command.index];
    visit(gather.indices, visitor);
    visitDims(gather.indexDims, visitor);
    visitor(gather.source.offset);
    visitor(gather.target.offset);
    visitDims(gather.row, visitor);
    return;
  }
  case CommandKind::Host:
    return;
  }
}

} // namespace npucc
