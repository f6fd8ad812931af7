//===- Layers.h - The rows of the layer table ---------------------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "mlir/IR/BuiltinOps.h"

namespace npucc {

/// Brings the importer's list (onnx.layers) to what the user's file has: nodes that folding
/// took out of `network` come back as rows without work, in their old place, and constant
/// expressions that folding and quantisation added do not appear.
void restoreLayers(mlir::ModuleOp module, const Graph &network, const Graph &compiled);

} // namespace npucc
