//===- FitWeights.h - Weights for inputs that are not exact ------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"

#include <optional>

namespace npucc {

/// Least squares for a layer whose inputs carry noise: weights W + D with the least
///
///   sum |y - (W + D) x|^2 + lambda |D|^2
///
/// over all samples and positions, x what the quantised network feeds to the layer, and y what it
/// gives in floating point (Nagel et al., ICML 2020, ask the same of the rounding of
/// weights; here of weights themselves, in closed form). Sums are taken around their means where a
/// bias can take those up. lambda is one of 10^-3, ..., 10 times the mean square of
/// an input, whichever serves the samples that were not fitted to best (two folds: samples, or the
/// halves of one sample's positions).
///
/// `node` is Conv, Gemm or MatMul, fp32, and `weights` its second operand. Nothing where it
/// multiplies otherwise (transposed input, alpha), where a result reads more than 1152 inputs
/// (cubic time), or where no fit helps.
std::optional<Tensor> fitWeights(const Node &node, const Tensor &weights, bool hasBias,
                                 llvm::ArrayRef<Tensor> inputs, llvm::ArrayRef<Tensor> results);

} // namespace npucc
