//===- OnnxDialect.h - The onnx dialect ---------------------------*- C++ -*-===//
//
// Operators as the file has them, brought to their newest form. See OnnxOps.td.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringMap.h"

#include "compiler/onnx/OnnxDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "compiler/onnx/OnnxAttrs.h.inc"

#define GET_OP_CLASSES
#include "compiler/onnx/OnnxOps.h.inc"

namespace npucc::onnx {

/// Names of the attributes that the importer leaves for later phases.
constexpr llvm::StringLiteral kNameAttr = "onnx.name";     ///< func arguments and results
constexpr llvm::StringLiteral kModelAttr = "onnx.model";   ///< module: path of the file
constexpr llvm::StringLiteral kLayersAttr = "onnx.layers"; ///< module: [{node, op, macs}]

/// The name of the ONNX node that `loc` stands for; for fused locations the first one found.
llvm::StringRef nodeName(mlir::Location loc);

} // namespace npucc::onnx
