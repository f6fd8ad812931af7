//===- Quantized.h - Integers that stand for real numbers ---------*- C++ -*-===//
//
// Shared by the integer forms of convolutions and products, and by the
// quantisation operators.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/lowering/Build.h"

namespace npucc::lowering {

/// (integer - zeroPoint) * scale, with constant parameters.
struct Quantized {
  mlir::Value integers; ///< ONNX value of an integer type
  double scale = 1;
  int64_t zeroPoint = 0;
  mlir::Value scales; ///< one per index along `axis`, a 1-D constant expression; null: `scale`
  int64_t axis = 0;

  mlir::Type element() const {
    return llvm::cast<mlir::RankedTensorType>(integers.getType()).getElementType();
  }
};

/// Parameters of an integer tensor; nullopt where they are not constant, in blocks, or have
/// different zero points. `zeroPoint` may be null.
std::optional<Quantized> quantized(LoweringContext &c, mlir::Value integers, mlir::Value scale,
                                   mlir::Value zeroPoint, int64_t axis);
/// `value` is a DequantizeLinear of integers of at most 8 bits.
std::optional<Quantized> matchDequantize(LoweringContext &c, mlir::Value value);

/// The factor of a contraction that `q` stands for, with the integers in storage.
Factor integerFactor(LoweringContext &c, const Quantized &q);

/// a.scale * b.scale / divisor, per channel where one of them is; runs along result
/// dimension `dim`. Only one of the two may have `scales`.
Arg productScale(LoweringContext &c, const Quantized &a, const Quantized &b, double divisor,
                 int64_t dim);

/// x / scale rounded half to even, shifted by `zeroPoint` and saturated to `to`.
mlir::Value quantizeScalar(Scalar &s, mlir::Value x, mlir::Value scale, mlir::Value zeroPoint,
                           mlir::Type to);

/// The contraction's int32 sums in ONNX's result: with `bias` (may be none), times `scale`.
mlir::Value scaleSums(LoweringContext &c, mlir::Value sums, const Arg &scale,
                      std::optional<Arg> bias, mlir::RankedTensorType type);
/// For QLinear forms: sums + integer bias, times `scale`, rounded, shifted, saturated.
mlir::Value requantizeSums(LoweringContext &c, mlir::Value sums, const Arg &scale,
                           std::optional<Arg> bias, int64_t zeroPoint, mlir::RankedTensorType type);

} // namespace npucc::lowering
