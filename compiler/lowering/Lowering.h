//===- Lowering.h - From ONNX operators to linalg on tensors ----*- C++ -*-===//
//
// One entry per operator, keyed by the names that runtime/ops uses. A lowering
// either gives every used result a storage tensor, or refuses with a reason; a
// refused node stays an onnx.node and runs on the control core.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/Attributes.h"
#include "compiler/lowering/Scalar.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"

#include <optional>

namespace npucc::lowering {

using Ints = llvm::SmallVector<int64_t, 8>;

/// What every node of one function shares.
struct FunctionState {
  mlir::Type storage; ///< instead of f32; null: keep
  /// ONNX value -> tensor of a signless storage type.
  llvm::DenseMap<mlir::Value, mlir::Value> storageOf;
  /// Constant expressions evaluated so far.
  ConstantCache evaluated;
};

/// An operand of an elementwise body: a tensor, or a number that becomes part of the body.
struct Arg {
  mlir::Value tensor; ///< storage tensor; null for a number
  mlir::Type element; ///< ONNX element type, which knows the sign
  double number = 0;
  int64_t integer = 0;
  /// Dimensions of the result that the tensor's dimensions run along; nullopt: NumPy
  /// broadcasting from the right.
  std::optional<Ints> dims;
};

class LoweringContext {
public:
  LoweringContext(onnx::NodeOp node, FunctionState &state);

  onnx::NodeOp node;
  mlir::OpBuilder b;
  mlir::Location loc;
  FunctionState &state;

  //===-- operands ---------------------------------------------------------===//
  unsigned numInputs() { return node.getInputs().size(); }
  bool has(unsigned i);
  mlir::Value input(unsigned i) { return node.getInputs()[i]; }
  mlir::RankedTensorType type(unsigned i) { return typeOf(input(i)); }
  llvm::ArrayRef<int64_t> shape(unsigned i) { return type(i).getShape(); }
  mlir::Type element(unsigned i) { return type(i).getElementType(); }
  static mlir::RankedTensorType typeOf(mlir::Value value) {
    return llvm::cast<mlir::RankedTensorType>(value.getType());
  }
  bool isConstant(unsigned i) { return has(i) && isConstant(input(i)); }
  bool isConstant(mlir::Value value);
  /// The value of a constant expression; nullopt when it is none, or is too large to look at.
  std::optional<Tensor> constant(mlir::Value value);
  std::optional<Tensor> constant(unsigned i);
  std::optional<Ints> ints(unsigned i); ///< an integer constant's elements
  /// The operand as a tensor of its storage type (a constant goes through onnx.data).
  mlir::Value tensor(unsigned i) { return tensor(input(i)); }
  mlir::Value tensor(mlir::Value onnxValue);
  /// The operand for a body; a constant of one element becomes a number.
  Arg arg(unsigned i) { return arg(input(i)); }
  Arg arg(mlir::Value onnxValue);
  /// A one-dimensional operand that runs along dimension `dim` of the result.
  Arg channelArg(mlir::Value onnxValue, int64_t dim);
  Arg numberArg(double number, mlir::Type element);
  static Arg tensorArg(mlir::Value storage, mlir::Type onnxElement,
                       std::optional<Ints> dims = std::nullopt) {
    return Arg{storage, onnxElement, 0, 0, std::move(dims)};
  }

  //===-- attributes -------------------------------------------------------===//
  bool hasAttr(llvm::StringRef name) { return bool(node.getParameters().get(name)); }
  int64_t getInt(llvm::StringRef name, int64_t fallback);
  double getFloat(llvm::StringRef name, double fallback);
  llvm::StringRef getString(llvm::StringRef name, llvm::StringRef fallback);
  Ints getInts(llvm::StringRef name, llvm::ArrayRef<int64_t> fallback = {});

  //===-- results ----------------------------------------------------------===//
  mlir::RankedTensorType resultType(unsigned i = 0) { return typeOf(node.getOutputs()[i]); }
  bool wants(unsigned i); ///< the node has result `i`, and it is used
  mlir::LogicalResult result(mlir::Value storage, unsigned i = 0);
  mlir::LogicalResult refuse(const llvm::Twine &reason);
  llvm::StringRef reason() const { return reasonText; }

  //===-- types and new constants ------------------------------------------===//
  mlir::Type storageElement(mlir::Type onnxElement);
  mlir::RankedTensorType storageType(mlir::RankedTensorType onnxType);
  /// A constant expression: a node on constant operands.
  mlir::Value constantNode(llvm::StringRef op, mlir::ValueRange inputs, mlir::RankedTensorType type,
                           llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  mlir::Value constantInts(llvm::ArrayRef<int64_t> values);
  mlir::Value constantFloats(llvm::ArrayRef<float> values, llvm::ArrayRef<int64_t> shape);
  /// A constant expression as stored for the computation.
  mlir::Value data(mlir::Value constant);
  /// The same elements of a constant expression in another shape.
  mlir::Value constantReshape(mlir::Value constant, llvm::ArrayRef<int64_t> shape);

private:
  std::string reasonText;
};

struct Lowering {
  const char *domain;
  const char *op;
  mlir::LogicalResult (*lower)(onnx::NodeOp, LoweringContext &);
};

/// nullptr where the operator has no lowering.
const Lowering *findLowering(llvm::StringRef domain, llvm::StringRef op);
llvm::ArrayRef<const Lowering *> allLowerings();

// Each family file defines one of these; Registry.cpp lists them.
llvm::ArrayRef<Lowering> convolutionLowerings();
llvm::ArrayRef<Lowering> convTransposeLowerings();
llvm::ArrayRef<Lowering> matmulLowerings();
llvm::ArrayRef<Lowering> poolingLowerings();
llvm::ArrayRef<Lowering> unaryLowerings();
llvm::ArrayRef<Lowering> binaryLowerings();
llvm::ArrayRef<Lowering> reductionLowerings();
llvm::ArrayRef<Lowering> normalizationLowerings();
llvm::ArrayRef<Lowering> viewLowerings();
llvm::ArrayRef<Lowering> moveLowerings();
llvm::ArrayRef<Lowering> resizeLowerings();
llvm::ArrayRef<Lowering> quantizationLowerings();
llvm::ArrayRef<Lowering> recurrentLowerings();

} // namespace npucc::lowering
