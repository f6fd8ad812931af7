//===- Quantization.cpp - QuantizeLinear, DequantizeLinear, QLinear* ----------===//

#include "compiler/lowering/Quantized.h"
#include "compiler/lowering/Window.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace npucc::lowering {

static bool isBlocked(LoweringContext &c) { return c.getInt("block_size", 0) != 0; }

/// A scale or zero point: a number, or one per index along `axis`.
static Arg parameter(LoweringContext &c, unsigned i, int64_t axis) {
  if (c.shape(i).size() == 1 && c.shape(i)[0] != 1)
    return c.channelArg(c.input(i), axis);
  Arg result = c.arg(i);
  if (result.tensor)
    result.dims = Ints(c.shape(i).size(), axis); // a single element broadcasts
  return result;
}

static bool isZero(const Arg &arg) { return !arg.tensor && arg.integer == 0; }

static LogicalResult lowerDequantize(onnx::NodeOp, LoweringContext &c) {
  RankedTensorType type = c.resultType();
  Type element = c.element(0);
  if (isBlocked(c) || c.shape(1).size() > 1)
    return c.refuse("scales in blocks");
  if (!isa<IntegerType>(element))
    return c.refuse("operand is not of an integer type");
  int64_t axis = wrap(c.getInt("axis", 1), c.shape(0).size());
  Arg scale = parameter(c, 1, axis);
  SmallVector<Arg> args{c.arg(0), scale};
  bool shifts = c.has(2);
  if (shifts) {
    Arg point = parameter(c, 2, axis);
    shifts = !isZero(point);
    if (shifts)
      args.push_back(point);
  }
  Type i32 = c.b.getI32Type(), real = computeType(c.element(1));
  return c.result(elementwise(c, args, type, [&](Scalar &s, ArrayRef<Value> x) {
    if (!shifts)
      return s.of(real).mul(s.cast(x[0], real), x[1]);
    Scalar wide = s.of(i32);
    Value y = wide.sub(s.cast(x[0], i32), s.of(args[2].element).cast(x[2], i32));
    return s.of(real).mul(wide.cast(y, real), x[1]);
  }));
}

static LogicalResult lowerQuantize(onnx::NodeOp, LoweringContext &c) {
  RankedTensorType type = c.resultType();
  Type to = type.getElementType();
  if (isBlocked(c) || c.shape(1).size() > 1)
    return c.refuse("scales in blocks");
  if (!isa<IntegerType>(to) || !isFloat(c.element(0)))
    return c.refuse("types that are not from floating point to integer");
  int64_t axis = wrap(c.getInt("axis", 1), c.shape(0).size());
  SmallVector<Arg> args{c.arg(0), parameter(c, 1, axis)};
  bool shifts = c.has(2);
  if (shifts) {
    Arg point = parameter(c, 2, axis);
    shifts = !isZero(point);
    if (shifts)
      args.push_back(point);
  }
  Type real = computeType(c.element(0));
  return c.result(elementwise(c, args, type, [&](Scalar &s, ArrayRef<Value> x) {
    Value point = shifts ? s.of(args[2].element).cast(x[2], real) : Value();
    return quantizeScalar(s, x[0], s.of(args[1].element).cast(x[1], real), point, to);
  }));
}

/// y, scale and zero point from the range of x (uint8).
static LogicalResult lowerDynamicQuantize(onnx::NodeOp, LoweringContext &c) {
  if (!c.wants(0) || !c.wants(1) || !c.wants(2))
    return c.refuse("a result is not used");
  Type f32 = c.b.getF32Type();
  RankedTensorType type = c.resultType(0), scaleType = c.resultType(1), pointType = c.resultType(2);
  Type u8 = type.getElementType();
  ArrayRef<int64_t> shape = c.shape(0);
  Arg x = c.arg(0);
  Value low = reduce(c, x, shape, iota(shape.size()), Reduction::Min);
  Value high = reduce(c, x, shape, iota(shape.size()), Reduction::Max);
  Arg lowArg = c.tensorArg(low, f32), highArg = c.tensorArg(high, f32);
  Value scale = elementwise(c, {lowArg, highArg}, {}, f32, f32, [](Scalar &s, ArrayRef<Value> v) {
    Value zero = s.constant(0);
    Value range = s.sub(s.max(v[1], zero), s.min(v[0], zero));
    return s.div(range, s.constant(255));
  });
  Arg scaleArg = c.tensorArg(scale, f32);
  Value point = elementwise(c, {lowArg, scaleArg}, pointType, [&](Scalar &s, ArrayRef<Value> v) {
    Value zero = s.constant(0);
    return s.saturate(s.roundEven(s.sub(zero, s.div(s.min(v[0], zero), v[1]))), u8);
  });
  Value y = elementwise(c, {x, scaleArg, c.tensorArg(point, u8)}, type,
                        [&](Scalar &s, ArrayRef<Value> v) {
                          return quantizeScalar(s, v[0], v[1], s.of(u8).cast(v[2], f32), u8);
                        });
  if (failed(c.result(y, 0)) || failed(c.result(toStorage(c, scale, scaleType), 1)))
    return failure();
  return c.result(point, 2);
}

//===----------------------------------------------------------------------===//
// com.microsoft QLinear*: dequantise, compute, quantise in one body
//===----------------------------------------------------------------------===//

static Value dequantizeScalar(Scalar &s, Value x, const Quantized &q, Type f32) {
  Scalar own = s.of(q.element());
  Type i32 = IntegerType::get(f32.getContext(), 32);
  Value wide = own.cast(x, i32);
  if (q.zeroPoint)
    wide = s.of(i32).sub(wide, s.of(i32).integer(q.zeroPoint));
  Value real = s.of(i32).cast(wide, f32);
  return s.of(f32).mul(real, s.of(f32).constant(q.scale));
}

static Value requantizeScalar(Scalar &s, Value y, const Quantized &q, Type f32) {
  Scalar real = s.of(f32);
  Value point = q.zeroPoint ? real.constant(static_cast<double>(q.zeroPoint)) : Value();
  return quantizeScalar(real, y, real.constant(q.scale), point, q.element());
}

/// Per-tensor parameters at operands `i + 1` and `i + 2` of the integers at `i`.
static std::optional<Quantized> operandAt(LoweringContext &c, unsigned i) {
  if (!c.has(i) || !c.has(i + 1))
    return std::nullopt;
  auto q = quantized(c, c.input(i), c.input(i + 1), c.has(i + 2) ? c.input(i + 2) : Value(), 0);
  return q && !q->scales ? q : std::nullopt;
}
static std::optional<Quantized> resultAt(LoweringContext &c, unsigned i) {
  if (!c.has(i))
    return std::nullopt;
  auto q =
      quantized(c, c.node.getOutputs()[0], c.input(i), c.has(i + 1) ? c.input(i + 1) : Value(), 0);
  return q && !q->scales ? q : std::nullopt;
}

static constexpr const char *kNotConstant = "scales or zero points are not constant scalars";

static LogicalResult lowerQLinearBinary(onnx::NodeOp node, LoweringContext &c) {
  auto a = operandAt(c, 0), b = operandAt(c, 3), y = resultAt(c, 6);
  if (!a || !b || !y)
    return c.refuse(kNotConstant);
  bool adds = node.getOpType() == "QLinearAdd";
  Type f32 = c.b.getF32Type();
  return c.result(
      elementwise(c, {c.arg(0), c.arg(3)}, c.resultType(), [&](Scalar &s, ArrayRef<Value> x) {
        Value left = dequantizeScalar(s, x[0], *a, f32), right = dequantizeScalar(s, x[1], *b, f32);
        Scalar real = s.of(f32);
        return requantizeScalar(s, adds ? real.add(left, right) : real.mul(left, right), *y, f32);
      }));
}

static LogicalResult lowerQLinearUnary(onnx::NodeOp node, LoweringContext &c) {
  auto x = operandAt(c, 0), y = resultAt(c, 3);
  if (!x || !y)
    return c.refuse(kNotConstant);
  bool sigmoid = node.getOpType() == "QLinearSigmoid";
  double alpha = c.getFloat("alpha", 0.01f);
  Type f32 = c.b.getF32Type();
  return c.result(elementwise(c, {c.arg(0)}, c.resultType(), [&](Scalar &s, ArrayRef<Value> v) {
    Scalar real = s.of(f32);
    Value in = dequantizeScalar(s, v[0], *x, f32), out;
    if (sigmoid)
      out = real.sigmoid(in);
    else
      out = real.select(real.compare(Compare::Less, in, real.constant(0)),
                        real.mul(in, real.constant(alpha)), in);
    return requantizeScalar(s, out, *y, f32);
  }));
}

static LogicalResult lowerQLinearConcat(onnx::NodeOp, LoweringContext &c) {
  // y scale, y zero point, then (x, scale, zero point) for each part.
  auto y = resultAt(c, 0);
  if (!y || c.numInputs() < 5)
    return c.refuse(kNotConstant);
  Type f32 = c.b.getF32Type();
  SmallVector<Value> parts;
  for (unsigned i = 2; i + 2 < c.numInputs(); i += 3) {
    auto x = operandAt(c, i);
    if (!x)
      return c.refuse(kNotConstant);
    bool same = x->scale == y->scale && x->zeroPoint == y->zeroPoint;
    parts.push_back(same
                        ? c.tensor(i)
                        : elementwise(c, {c.arg(i)}, c.type(i), [&](Scalar &s, ArrayRef<Value> v) {
                            return requantizeScalar(s, dequantizeScalar(s, v[0], *x, f32), *y, f32);
                          }));
  }
  return c.result(concat(c, parts, wrap(c.getInt("axis", 0), c.resultType().getRank())));
}

static LogicalResult lowerQLinearGlobalAveragePool(onnx::NodeOp, LoweringContext &c) {
  auto x = operandAt(c, 0), y = resultAt(c, 3);
  ArrayRef<int64_t> shape = c.shape(0);
  if (!x || !y || c.getInt("channels_last", 0) || shape.size() < 3)
    return c.refuse(kNotConstant);
  Type f32 = c.b.getF32Type(), i32 = c.b.getI32Type();
  Ints axes = iota(shape.size() - 2, 2);
  Value sums = reduce(
      c, {c.arg(0)}, shape, axes, i32, [](Scalar &s) { return s.integer(0); },
      [&](Scalar &s, ArrayRef<Value> v) {
        return s.add(v[1], s.of(x->element()).cast(v[0], i32));
      });
  int64_t count = product(shape.drop_front(2));
  RankedTensorType type = c.resultType();
  Value y0 = elementwise(c, {c.tensorArg(sums, i32)}, type.clone(shape.take_front(2)),
                         [&](Scalar &s, ArrayRef<Value> v) {
                           Value sum = v[0];
                           if (x->zeroPoint)
                             sum = s.sub(sum, s.integer(x->zeroPoint * count));
                           Scalar real = s.of(f32);
                           Value mean =
                               real.mul(s.cast(sum, f32),
                                        real.constant(x->scale / static_cast<double>(count)));
                           return requantizeScalar(s, mean, *y, f32);
                         });
  return c.result(reshape(c, y0, type.getShape()));
}

ArrayRef<Lowering> quantizationLowerings() {
  static const Lowering entries[] = {
      {"", "DequantizeLinear", lowerDequantize},
      {"com.microsoft", "DequantizeLinear", lowerDequantize},
      {"", "QuantizeLinear", lowerQuantize},
      {"com.microsoft", "QuantizeLinear", lowerQuantize},
      {"", "DynamicQuantizeLinear", lowerDynamicQuantize},
      {"com.microsoft", "QLinearAdd", lowerQLinearBinary},
      {"com.microsoft", "QLinearMul", lowerQLinearBinary},
      {"com.microsoft", "QLinearSigmoid", lowerQLinearUnary},
      {"com.microsoft", "QLinearLeakyRelu", lowerQLinearUnary},
      {"com.microsoft", "QLinearConcat", lowerQLinearConcat},
      {"com.microsoft", "QLinearGlobalAveragePool", lowerQLinearGlobalAveragePool}};
  return entries;
}

} // namespace npucc::lowering
