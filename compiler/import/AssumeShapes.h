//===- AssumeShapes.h - Sizes for shapes that depend on data ------*- C++ -*-===//
//
// Programs have static sizes. A value whose shape depends on data gets the room that it needs at
// most; nodes that touch such a value run on the control core, which knows the actual shape.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// True where the shape is an upper bound (or that of a tensor without elements, for which there
/// is room for one). Such a value's tensor type has an encoding.
bool isAssumed(const Value &value);

/// Gives the values of a prepared graph static shapes, and If, Loop and Scan the work in their
/// bodies (kBodyOpsAttr). A bound comes from the operators where they have one (NonZero: all
/// elements). Where they have none, it is the size at these inputs, by the reference; without
/// inputs the value stays as it is. Returns what a reader of the report must know.
llvm::Expected<std::vector<std::string>>
assumeShapes(Graph &graph, const std::optional<std::vector<Tensor>> &inputs);

} // namespace npucc
