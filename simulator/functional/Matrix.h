//===- Matrix.h - The contraction of a matrix command -----------*- C++ -*-===//
#pragma once

#include "simulator/functional/Nest.h"

namespace npucc {

/// acc (+)= sum (a - aZero) * (b - bZero); `extents` are actual and > 0. Empty on success.
std::string contract(const MatrixCommand &command, llvm::ArrayRef<int64_t> extents, BoundOperand a,
                     BoundOperand b, BoundOperand accumulator, bool clear);

} // namespace npucc
