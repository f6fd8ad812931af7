//===- Normalization.cpp - Batch, layer, instance, group, RMS, LRN ------------===//

#include "compiler/lowering/Build.h"

#include <cmath>

using namespace mlir;

namespace npucc::lowering {

static LogicalResult lowerBatchNorm(onnx::NodeOp, LoweringContext &c) {
  // x, scale, bias, mean, variance
  if (c.getInt("training_mode", 0) || c.wants(1) || c.wants(2))
    return c.refuse("training mode");
  RankedTensorType type = c.resultType();
  double epsilon = c.getFloat("epsilon", 1e-5f);
  bool constants = true;
  for (unsigned i = 1; i < 5; ++i)
    constants &= c.isConstant(i) && c.element(i).isF32();
  if (!constants) {
    SmallVector<Arg> args{c.arg(0)};
    for (unsigned i = 1; i < 5; ++i)
      args.push_back(c.channelArg(c.input(i), 1));
    return c.result(elementwise(c, args, type, [&](Scalar &s, ArrayRef<Value> x) {
      Value deviation = s.sqrt(s.add(x[4], s.constant(epsilon)));
      return s.add(s.mul(s.div(s.sub(x[0], x[3]), deviation), x[1]), x[2]);
    }));
  }
  // x * a + b, with a = scale / sqrt(variance + epsilon), b = bias - mean * a.
  RankedTensorType vector = c.type(1);
  Value small = c.constantFloats({static_cast<float>(epsilon)}, {});
  Value variance = c.constantNode("Add", {c.input(4), small}, vector);
  Value deviation = c.constantNode("Sqrt", {variance}, vector);
  Value a = c.constantNode("Div", {c.input(1), deviation}, vector);
  Value shift = c.constantNode("Mul", {c.input(3), a}, vector);
  Value b = c.constantNode("Sub", {c.input(2), shift}, vector);
  return c.result(
      elementwise(c, {c.arg(0), c.channelArg(a, 1), c.channelArg(b, 1)}, type,
                  [](Scalar &s, ArrayRef<Value> x) { return s.add(s.mul(x[0], x[1]), x[2]); }));
}

namespace {
/// Mean and 1 / sqrt(variance + epsilon) over `axes`, both f32 tensors of the other dimensions.
struct Moments {
  Value mean, inverse;
  Ints kept;
};
} // namespace

static Value inverseDeviation(LoweringContext &c, Value sums, int64_t count, double epsilon,
                              Type real) {
  double factor = 1.0 / static_cast<double>(count);
  return elementwise(c, {c.tensorArg(sums, real)}, shapeOf(sums), real, real,
                     [&](Scalar &s, ArrayRef<Value> x) {
                       Value variance = s.mul(x[0], s.constant(factor));
                       return s.div(s.constant(1), s.sqrt(s.add(variance, s.constant(epsilon))));
                     });
}

static Moments moments(LoweringContext &c, const Arg &x, ArrayRef<int64_t> shape,
                       ArrayRef<int64_t> axes, double epsilon, bool centred = true) {
  Moments m;
  Type real = computeType(x.element);
  int64_t count = 1;
  for (int64_t d = 0, e = shape.size(); d < e; ++d)
    if (llvm::is_contained(axes, d))
      count *= shape[d];
    else
      m.kept.push_back(d);
  auto zero = [](Scalar &s) { return s.constant(0); };
  if (!centred) {
    Value squares = reduce(c, {x}, shape, axes, real, zero, [](Scalar &s, ArrayRef<Value> v) {
      return s.add(v[1], s.mul(v[0], v[0]));
    });
    m.inverse = inverseDeviation(c, squares, count, epsilon, real);
    return m;
  }
  Value sum = reduce(c, x, shape, axes, Reduction::Sum);
  m.mean = elementwise(c, {c.tensorArg(sum, real)}, shapeOf(sum), real, real,
                       [&](Scalar &s, ArrayRef<Value> v) {
                         return s.mul(v[0], s.constant(1.0 / static_cast<double>(count)));
                       });
  Value squares = reduce(c, {x, c.tensorArg(m.mean, real, m.kept)}, shape, axes, real, zero,
                         [](Scalar &s, ArrayRef<Value> v) {
                           Value d = s.sub(v[0], v[1]);
                           return s.add(v[2], s.mul(d, d));
                         });
  m.inverse = inverseDeviation(c, squares, count, epsilon, real);
  return m;
}

/// (x - mean) * inverse [* scale] [+ bias]
static Value normalize(LoweringContext &c, const Arg &x, const Moments &m, std::optional<Arg> scale,
                       std::optional<Arg> bias, ArrayRef<int64_t> shape, Type element,
                       Type storage) {
  Type real = computeType(x.element);
  SmallVector<Arg> args{x, c.tensorArg(m.inverse, real, m.kept)};
  if (m.mean)
    args.push_back(c.tensorArg(m.mean, real, m.kept));
  if (scale)
    args.push_back(*scale);
  if (bias)
    args.push_back(*bias);
  return elementwise(c, args, shape, element, storage, [&](Scalar &s, ArrayRef<Value> v) {
    unsigned next = 2;
    Value y = m.mean ? s.sub(v[0], v[next++]) : v[0];
    y = s.mul(y, v[1]);
    if (scale)
      y = s.mul(y, v[next++]);
    return bias ? s.add(y, v[next]) : y;
  });
}

/// A per-layer result (mean, inverse deviation): f32 tensors of the leading dimensions.
static LogicalResult statistic(LoweringContext &c, Value value, unsigned i) {
  if (!c.wants(i))
    return success();
  RankedTensorType type = c.resultType(i);
  Value stored = toStorage(c, value, type.clone(shapeOf(value)));
  return c.result(reshape(c, stored, type.getShape()), i);
}

static LogicalResult layerNorm(LoweringContext &c, const Arg &x, std::optional<Arg> scale,
                               std::optional<Arg> bias, bool centred) {
  RankedTensorType type = c.resultType();
  ArrayRef<int64_t> shape = type.getShape();
  int64_t rank = shape.size(), first = wrap(c.getInt("axis", -1), rank);
  if (!isFloat(type.getElementType()))
    return c.refuse("operand is not of a floating-point type");
  Moments m =
      moments(c, x, shape, iota(rank - first, first), c.getFloat("epsilon", 1e-5f), centred);
  Value y = normalize(c, x, m, scale, bias, shape, type.getElementType(),
                      c.storageElement(type.getElementType()));
  if (centred && (failed(statistic(c, m.mean, 1)) || failed(statistic(c, m.inverse, 2))))
    return failure();
  return c.result(y);
}

static LogicalResult lowerLayerNorm(onnx::NodeOp node, LoweringContext &c) {
  bool centred = node.getOpType() == "LayerNormalization";
  if (!c.wants(0) || (!centred && (c.wants(1) || c.wants(2))))
    return c.refuse("statistics are asked for");
  std::optional<Arg> scale, bias;
  if (c.has(1))
    scale = c.arg(1);
  if (c.has(2))
    bias = c.arg(2);
  return layerNorm(c, c.arg(0), scale, bias, centred);
}

/// com.microsoft: x + skip [+ bias] first, which is also result 3.
static LogicalResult lowerSkipLayerNorm(onnx::NodeOp node, LoweringContext &c) {
  bool centred = node.getOpType() == "SkipLayerNormalization";
  if (c.wants(1) || c.wants(2))
    return c.refuse("statistics are asked for");
  // x, skip, gamma, [beta,] [bias]
  unsigned biasAt = centred ? 4 : 3;
  RankedTensorType type = c.resultType();
  SmallVector<Arg> args{c.arg(0), c.arg(1)};
  if (c.has(biasAt))
    args.push_back(c.arg(biasAt));
  Value sum = elementwise(c, args, type, [](Scalar &s, ArrayRef<Value> v) {
    Value y = s.add(v[0], v[1]);
    return v.size() > 2 ? s.add(y, v[2]) : y;
  });
  if (c.wants(3) && failed(c.result(sum, 3)))
    return failure();
  std::optional<Arg> bias;
  if (centred && c.has(3))
    bias = c.arg(3);
  return layerNorm(c, c.tensorArg(sum, type.getElementType()), c.arg(2), bias, centred);
}

static LogicalResult lowerInstanceNorm(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  RankedTensorType type = c.resultType();
  if (shape.size() < 3)
    return c.refuse("needs spatial dimensions");
  Arg x = c.arg(0);
  Moments m = moments(c, x, shape, iota(shape.size() - 2, 2), c.getFloat("epsilon", 1e-5f));
  return c.result(normalize(c, x, m, c.channelArg(c.input(1), 1), c.channelArg(c.input(2), 1),
                            shape, type.getElementType(), c.storageElement(type.getElementType())));
}

static LogicalResult lowerGroupNorm(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  RankedTensorType type = c.resultType();
  int64_t groups = c.getInt("num_groups", 1);
  if (shape.size() < 3 || groups < 1 || shape[1] % groups != 0 || c.shape(1) != shape.slice(1, 1))
    return c.refuse("scale is not per channel, or num_groups does not divide the channels");
  Ints split{shape[0], groups, shape[1] / groups};
  split.append(shape.begin() + 2, shape.end());
  Arg x = c.tensorArg(reshape(c, c.tensor(0), split), c.element(0));
  auto perChannel = [&](unsigned i) {
    Value parameter = reshape(c, c.tensor(i), ArrayRef<int64_t>(split).slice(1, 2));
    return c.tensorArg(parameter, c.element(i), Ints{1, 2});
  };
  Moments m = moments(c, x, split, iota(split.size() - 2, 2), c.getFloat("epsilon", 1e-5f));
  Value y = normalize(c, x, m, perChannel(1), perChannel(2), split, type.getElementType(),
                      c.storageElement(type.getElementType()));
  return c.result(reshape(c, y, shape));
}

/// Sums of squares over a window of channels.
static LogicalResult lowerLRN(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  RankedTensorType type = c.resultType();
  Type element = c.element(0), real = computeType(element);
  int64_t rank = shape.size(), size = c.getInt("size", 1);
  if (rank < 2 || !isFloat(element))
    return c.refuse("needs channels");
  double alpha = c.getFloat("alpha", 1e-4f), beta = c.getFloat("beta", 0.75);
  double bias = c.getFloat("bias", 1);
  Ints low(rank, 0), high(rank, 0);
  low[1] = (size - 1) / 2;
  high[1] = size - 1 - low[1];
  Value padded = pad(c, c.tensor(0), low, high, storageNumber(elementOf(c.tensor(0)), 0.0));
  SmallVector<AffineExpr> exprs;
  for (int64_t d = 0; d < rank; ++d)
    exprs.push_back(c.b.getAffineDimExpr(d));
  exprs[1] = exprs[1] + c.b.getAffineDimExpr(rank);
  Value extents = emptyTensor(c, {size}, elementOf(padded));
  Scalar outer(c.b, c.loc, real);
  Value sums =
      generic(c, {padded, extents},
              {AffineMap::get(rank + 1, 0, exprs, c.b.getContext()), dimsMap(c, rank + 1, {rank})},
              filled(c, shape, outer.constant(0)), dimsMap(c, rank + 1, iota(rank)),
              [&](OpBuilder &b, Location loc, ValueRange x) {
                Scalar s(b, loc, element);
                Value v = s.load(x[0]);
                return s.add(x[2], s.mul(v, v));
              });
  return c.result(
      elementwise(c, {c.arg(0), c.tensorArg(sums, real)}, type, [&](Scalar &s, ArrayRef<Value> v) {
        Value scaled = s.mul(v[1], s.constant(alpha / static_cast<double>(size)));
        Value base = s.add(scaled, s.constant(bias));
        return s.div(v[0], s.pow(base, s.constant(beta)));
      }));
}

static LogicalResult lowerLpNorm(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  int64_t rank = shape.size(), axis = wrap(c.getInt("axis", -1), rank), p = c.getInt("p", 2);
  Type real = computeType(c.element(0));
  if (!isFloat(c.element(0)) || (p != 1 && p != 2))
    return c.refuse("p is neither 1 nor 2");
  Ints kept = iota(rank);
  kept.erase(kept.begin() + axis);
  Value sums = reduce(
      c, {c.arg(0)}, shape, {axis}, real, [](Scalar &s) { return s.constant(0); },
      [&](Scalar &s, ArrayRef<Value> v) {
        return s.add(v[1], p == 1 ? s.abs(v[0]) : s.mul(v[0], v[0]));
      });
  return c.result(elementwise(c, {c.arg(0), c.tensorArg(sums, real, kept)}, c.resultType(),
                              [&](Scalar &s, ArrayRef<Value> v) {
                                Value norm = p == 1 ? v[1] : s.sqrt(v[1]);
                                Value isZero = s.compare(Compare::Equal, norm, s.constant(0));
                                return s.select(isZero, s.constant(0), s.div(v[0], norm));
                              }));
}

ArrayRef<Lowering> normalizationLowerings() {
  static const Lowering entries[] = {
      {"", "BatchNormalization", lowerBatchNorm},
      {"", "LayerNormalization", lowerLayerNorm},
      {"", "RMSNormalization", lowerLayerNorm},
      {"", "SimplifiedLayerNormalization", lowerLayerNorm},
      {"com.microsoft", "SimplifiedLayerNormalization", lowerLayerNorm},
      {"com.microsoft", "SkipLayerNormalization", lowerSkipLayerNorm},
      {"com.microsoft", "SkipSimplifiedLayerNormalization", lowerSkipLayerNorm},
      {"", "InstanceNormalization", lowerInstanceNorm},
      {"", "GroupNormalization", lowerGroupNorm},
      {"", "LRN", lowerLRN},
      {"", "LpNormalization", lowerLpNorm}};
  return entries;
}

} // namespace npucc::lowering
