//===- Quantized.cpp - Integers that stand for real numbers -------------------===//

#include "compiler/lowering/Quantized.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <cmath>

using namespace mlir;

namespace npucc::lowering {

std::optional<Quantized> quantized(LoweringContext &c, Value integers, Value scale, Value zeroPoint,
                                   int64_t axis) {
  auto type = dyn_cast<RankedTensorType>(integers.getType());
  if (!type || !isa<IntegerType>(type.getElementType()))
    return std::nullopt;
  Quantized q;
  q.integers = integers;
  auto scaleType = dyn_cast<RankedTensorType>(scale.getType());
  if (!scaleType || scaleType.getRank() > 1 || !c.isConstant(scale))
    return std::nullopt;
  if (scaleType.getNumElements() == 1) {
    std::optional<Tensor> scales = c.constant(scale);
    if (!scales)
      return std::nullopt;
    q.scale = scales->asDouble(0);
  } else {
    // Per channel: stays an expression. Its value may hang on all the weights.
    if (scaleType.getNumElements() == 0)
      return std::nullopt;
    q.scales = scale;
    q.axis = wrap(axis, type.getRank());
  }
  if (zeroPoint && !isa<NoneType>(zeroPoint.getType())) {
    std::optional<Tensor> points = c.constant(zeroPoint);
    if (!points || points->size() == 0)
      return std::nullopt;
    q.zeroPoint = points->asInt(0);
    for (int64_t i = 1; i < points->size(); ++i)
      if (points->asInt(i) != q.zeroPoint)
        return std::nullopt;
  }
  return q;
}

std::optional<Quantized> matchDequantize(LoweringContext &c, Value value) {
  auto node = value.getDefiningOp<onnx::NodeOp>();
  if (!node || node.getOpType() != "DequantizeLinear" || node.getInputs().size() < 2)
    return std::nullopt;
  DictionaryAttr parameters = node.getParameters();
  if (auto block = parameters.getAs<IntegerAttr>("block_size"); block && block.getInt() != 0)
    return std::nullopt;
  Value integers = node.getInputs()[0];
  auto type = cast<RankedTensorType>(integers.getType());
  if (!isa<IntegerType>(type.getElementType()) || type.getElementTypeBitWidth() > 8)
    return std::nullopt;
  auto axis = parameters.getAs<IntegerAttr>("axis");
  return quantized(c, integers, node.getInputs()[1],
                   node.getInputs().size() > 2 ? node.getInputs()[2] : Value(),
                   axis ? axis.getInt() : 1);
}

Factor integerFactor(LoweringContext &c, const Quantized &q) {
  return Factor{c.tensor(q.integers), q.element(), AffineMap(), q.zeroPoint};
}

Arg productScale(LoweringContext &c, const Quantized &a, const Quantized &b, double divisor,
                 int64_t dim) {
  Type f32 = c.b.getF32Type();
  const Quantized &channels = a.scales ? a : b;
  const Quantized &other = a.scales ? b : a;
  // In f32, as the reference multiplies them.
  float common = static_cast<float>(other.scale);
  if (!channels.scales) {
    float scale = common * static_cast<float>(channels.scale);
    return c.numberArg(static_cast<double>(scale / static_cast<float>(divisor)), f32);
  }
  RankedTensorType type = LoweringContext::typeOf(channels.scales);
  Value scales = channels.scales;
  if (common != 1)
    scales = c.constantNode("Mul", {scales, c.constantFloats({common}, {})}, type);
  if (divisor != 1)
    scales =
        c.constantNode("Div", {scales, c.constantFloats({static_cast<float>(divisor)}, {})}, type);
  // Scales keep their precision whatever the storage type: they are few.
  Value stored = onnx::DataOp::create(c.b, c.loc, type, scales);
  return LoweringContext::tensorArg(stored, f32, Ints{dim});
}

Value quantizeScalar(Scalar &s, Value x, Value scale, Value zeroPoint, Type to) {
  if (scale)
    x = s.div(x, scale);
  x = s.roundEven(x);
  if (zeroPoint)
    x = s.add(x, zeroPoint);
  return s.saturate(x, to);
}

Value scaleSums(LoweringContext &c, Value sums, const Arg &scale, std::optional<Arg> bias,
                RankedTensorType type) {
  Type f32 = c.b.getF32Type();
  SmallVector<Arg> args{LoweringContext::tensorArg(sums, elementOf(sums)), scale};
  if (bias)
    args.push_back(*bias);
  return elementwise(c, args, type, [&](Scalar &s, ArrayRef<Value> x) {
    Scalar real = s.of(f32);
    Value y = real.mul(s.cast(x[0], f32), x[1]);
    return bias ? real.add(y, x[2]) : y;
  });
}

Value requantizeSums(LoweringContext &c, Value sums, const Arg &scale, std::optional<Arg> bias,
                     int64_t zeroPoint, RankedTensorType type) {
  Type f32 = c.b.getF32Type();
  SmallVector<Arg> args{LoweringContext::tensorArg(sums, elementOf(sums)), scale};
  if (bias)
    args.push_back(*bias);
  return elementwise(c, args, type, [&](Scalar &s, ArrayRef<Value> x) {
    Value sum = bias ? s.add(x[0], x[2]) : x[0];
    Scalar real = s.of(f32);
    Value y = real.mul(s.cast(sum, f32), x[1]);
    return quantizeScalar(real, y, Value(),
                          zeroPoint ? real.constant(static_cast<double>(zeroPoint)) : Value(),
                          type.getElementType());
  });
}

} // namespace npucc::lowering
