//===- Attributes.h - Tensors and nodes as MLIR attributes --------*- C++ -*-===//
//
// Both directions between the runtime's tensors and nodes and what stands for them in the
// onnx dialect, and the evaluation of constant expressions with the reference kernels.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/onnx/OnnxDialect.h"
#include "runtime/onnx/Graph.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/Error.h"

namespace npucc {

/// ONNX's signedness is kept: Uint8 is `ui8`, Int8 is `i8`, Bool is `i1`. Null for strings.
mlir::Type toMlirType(ElementType type, mlir::MLIRContext *context);
/// The inverse; Undefined where there is none. Signless and signed integers are both Int*.
ElementType fromMlirType(mlir::Type type);

/// The tensor as an attribute: printed in full when small, else a resource over the tensor's
/// own bytes, called `name`. Null for strings.
mlir::ElementsAttr attrFromTensor(const Tensor &tensor, mlir::MLIRContext *context,
                                  llvm::StringRef name = "constant");
/// The inverse; shares the bytes of a tensor that came from attrFromTensor and may outlive the
/// context. An error when the data was left out of the text.
llvm::Expected<Tensor> tensorFromAttr(mlir::ElementsAttr attr);

/// The attribute of a node in MLIR's form. Null for tensors of strings.
mlir::Attribute toMlirAttribute(const Attribute &attribute, mlir::MLIRContext *context,
                                llvm::StringRef nodeName);
/// The node that `op` stands for. Its inputs are the operand numbers 0, 1, ..., its outputs the
/// result numbers, kNoValue where absent. An error only for attributes whose data was left out.
llvm::Expected<Node> nodeFromOp(onnx::NodeOp op);

/// True for values that come from constants only, through nodes whose result does not change
/// from run to run. `onnx.none` is constant, too.
bool isConstantExpression(mlir::Value value);

using ConstantCache = llvm::DenseMap<mlir::Value, Tensor>;

/// The contents of a constant expression, by the reference kernels; undefined for `onnx.none`.
/// Everything computed on the way is kept in `cache`. For `onnx.data`, the bytes as stored:
/// a signless twin has the source's own element type.
llvm::Expected<Tensor> evaluateConstant(mlir::Value value, ConstantCache &cache);

} // namespace npucc
