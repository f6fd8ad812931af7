//===- Writer.h - Writing ONNX files ------------------------------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

namespace npucc {

/// Writes a prepared graph as an ONNX file that loadModel() and other runtimes read: opset 21
/// and IR 10, or what the newest of its operators takes. Expressions of
/// constants become initialisers, but DequantizeLinear stays a node, and so does what makes
/// random or large tensors out of little. Weights are part of the file: 2 GiB at most.
llvm::Error writeModel(const Model &model, const std::string &path);

} // namespace npucc
