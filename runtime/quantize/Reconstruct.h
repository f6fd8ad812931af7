//===- Reconstruct.h - Layers that answer as in floating point ---*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// Changes the constants of a quantised graph, layer by layer in the order of the nodes, so that
/// each layer gives on the samples what it gives in the float graph that it was made from, although
/// its inputs carry the noise of the layers before:
/// - weights are fitted by least squares (FitWeights.h), and rounded by the nodes that stand behind
/// them;
/// - the mean of each output channel is what it was, by the bias (Nagel et al., ICCV 2019,
/// section 4.2). Layers are Conv, Gemm and MatMul with constant weights and a node of their name in
/// both graphs; biases are those of Conv, ConvTranspose and Gemm. Layers that stayed in float are
/// fitted as well.
///
/// Quantised constants must still be expressions of the float ones (QuantizeOptions::foldLimit 0);
/// afterwards they are constants. Returns the outputs of the changed graph for each sample.
llvm::Expected<std::vector<std::vector<Tensor>>>
reconstruct(Graph &quantized, const Graph &original, llvm::ArrayRef<std::vector<Tensor>> samples);

} // namespace npucc
