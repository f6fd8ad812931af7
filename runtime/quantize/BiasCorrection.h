//===- BiasCorrection.h - Means of layers as in floating point --*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// What a float graph computes on samples.
struct FloatResults {
  std::vector<std::vector<Tensor>> outputs; ///< of each sample
  /// Mean of each output channel over the samples, by the name of the node with a bias.
  std::map<std::string, std::vector<double>> means;
};
llvm::Expected<FloatResults> evaluateFloat(const Graph &graph,
                                           llvm::ArrayRef<std::vector<Tensor>> samples);

/// Changes the constant biases of Conv, ConvTranspose and Gemm in a quantised graph, in the order
/// of the nodes, so that the mean of each channel over the samples is what it was in floating
/// point: rounded weights and clipped activations shift it (Nagel et al., ICCV 2019, section 4.2).
/// Returns the outputs of the changed graph for each sample.
llvm::Expected<std::vector<std::vector<Tensor>>>
correctBiases(Graph &graph, const FloatResults &reference,
              llvm::ArrayRef<std::vector<Tensor>> samples);

} // namespace npucc
