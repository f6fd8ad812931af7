//===- TensorMemory.h - Whole tensors in simulated DRAM ---------*- C++ -*-===//
#pragma once

#include "runtime/program/Program.h"

namespace npucc {

/// Writes a dense tensor of the place's shape, cast to its stored type, at its strides.
void writeTensor(const ProgramTensor &place, const Tensor &tensor, uint8_t *dram);
/// The dense tensor at a place, in its stored type.
Tensor readTensor(const ProgramTensor &place, const uint8_t *dram);

} // namespace npucc
