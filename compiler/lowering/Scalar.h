//===- Scalar.h - Scalar arithmetic in bodies of linalg ops -------*- C++ -*-===//
//
// Bodies compute in f32 (f64 for double), or in the integer's own width. A value
// carries its ONNX element type where the sign matters, since storage has none.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace npucc::lowering {

// npucc has a Value and an Attribute of its own, those of files.
using mlir::Attribute;
using mlir::Value;

inline bool isFloat(mlir::Type type) { return llvm::isa<mlir::FloatType>(type); }
inline bool isUnsigned(mlir::Type type) { return type.isUnsignedInteger() || type.isInteger(1); }
/// Signless twin of an integer type; other types as they are.
mlir::Type signless(mlir::Type type);
/// The type in which bodies compute with elements of `onnxElement`.
mlir::Type computeType(mlir::Type onnxElement);

enum class Compare { Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual };

/// Builds scalar ops; picks float, signed or unsigned forms from `element`.
class Scalar {
public:
  Scalar(mlir::OpBuilder &b, mlir::Location loc, mlir::Type element)
      : b(b), loc(loc), element(element) {}

  mlir::OpBuilder &b;
  mlir::Location loc;
  mlir::Type element; ///< ONNX element type of the operands at hand

  bool real() const { return isFloat(element); }
  /// The same builder for operands of another element type.
  Scalar of(mlir::Type other) const { return Scalar(b, loc, other); }

  mlir::Value constant(double value); ///< of computeType(element)
  mlir::Value integer(int64_t value); ///< of computeType(element)
  mlir::Value lowest();               ///< -inf, or the smallest integer
  mlir::Value highest();              ///< +inf, or the largest integer

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value max(mlir::Value x, mlir::Value y);
  mlir::Value min(mlir::Value x, mlir::Value y);
  mlir::Value neg(mlir::Value x);
  mlir::Value abs(mlir::Value x);
  mlir::Value compare(Compare kind, mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value bitAnd(mlir::Value x, mlir::Value y);
  mlir::Value bitOr(mlir::Value x, mlir::Value y);
  mlir::Value bitXor(mlir::Value x, mlir::Value y);
  // Floats only.
  mlir::Value exp(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value erf(mlir::Value x);
  mlir::Value roundEven(mlir::Value x);
  mlir::Value pow(mlir::Value x, mlir::Value y);
  mlir::Value sigmoid(mlir::Value x);
  mlir::Value softplus(mlir::Value x);

  /// A tensor's element (of a storage type) in its compute type.
  mlir::Value load(mlir::Value stored);
  /// A computed value as an element of the storage type. `rounds`: storage is narrower than
  /// the ONNX type, so a rounding between two bodies that are fused may be dropped.
  mlir::Value store(mlir::Value computed, mlir::Type storage);
  /// ONNX Cast between compute types: `to` is an ONNX element type.
  mlir::Value cast(mlir::Value x, mlir::Type to);
  /// Clamps to the range of the integer type `to` (x is a rounded float) and converts.
  mlir::Value saturate(mlir::Value x, mlir::Type to);
};

} // namespace npucc::lowering
