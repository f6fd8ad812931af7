//===- FoldBatchNorm.h - Per-channel factors into weights -------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/Support/Error.h"

namespace npucc {

/// Folds BatchNormalization, and Mul, Div, Add and Sub by per-channel constants, into
/// the Conv, ConvTranspose, Gemm or MatMul before them: W' = W f, b' = b f + a for
/// y f + a. Where the weights are more than `foldLimit` elements, W' stays an
/// expression of nodes on constants, evaluated only by whoever needs the data.
/// The graph must be prepared. Returns the names of the nodes that vanished.
llvm::Expected<std::vector<std::string>> foldBatchNorm(Model &model, int64_t foldLimit = 4096);

} // namespace npucc
