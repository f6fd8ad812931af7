//===- Import.h - From a loaded graph to the onnx dialect ---------*- C++ -*-===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace npucc {

/// The function `main` of the graph, which must be static (see prepare() and assumeShapes()).
/// Weights share the model's memory. The type of an assumed shape has the encoding "bound". Each
/// node that has no static result types, or types that the compiler does not know (strings), gets
/// an error at its location; then the result is null.
mlir::OwningOpRef<mlir::ModuleOp> importGraph(const Model &model, mlir::MLIRContext &context);

} // namespace npucc
