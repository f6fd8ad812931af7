//===- Pooling.cpp - MaxPool, AveragePool, LpPool and the global forms --------===//

#include "compiler/lowering/Window.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace npucc::lowering {

static std::optional<Window> poolWindow(LoweringContext &c) {
  ArrayRef<int64_t> xs = c.shape(0), ys = c.resultType().getShape();
  if (xs.size() < 3 || ys.size() != xs.size())
    return std::nullopt;
  return windowOf(c, c.getInts("kernel_shape"), xs.drop_front(2), ys.drop_front(2));
}

/// Reduces each window. `body` gets the element and the accumulator, of type `element`.
static Value pool(LoweringContext &c, Value padded, const Window &window, Type element,
                  Value neutral, Body body) {
  OpBuilder &b = c.b;
  int64_t rank = window.rank(), loops = 2 + 2 * rank;
  SmallVector<AffineExpr> exprs{b.getAffineDimExpr(0), b.getAffineDimExpr(1)};
  for (int64_t i = 0; i < rank; ++i)
    exprs.push_back(windowExpr(b, window, i, 2 + i, 2 + rank + i));
  AffineMap input = AffineMap::get(loops, 0, exprs, b.getContext());
  // The window's extents come from an operand that nobody reads.
  Value extents = emptyTensor(c, window.kernel, elementOf(padded));
  Value init = filled(c, c.resultType().getShape(), neutral);
  return generic(c, {padded, extents}, {input, dimsMap(c, loops, iota(rank, 2 + rank))}, init,
                 dimsMap(c, loops, iota(2 + rank)),
                 [&](OpBuilder &builder, Location loc, ValueRange x) {
                   Scalar s(builder, loc, element);
                   return body(s, {s.load(x[0]), x[2]});
                 });
}

static LogicalResult lowerMaxPool(onnx::NodeOp, LoweringContext &c) {
  if (c.wants(1))
    return c.refuse("indices of the maxima are asked for");
  auto window = poolWindow(c);
  if (!window)
    return c.refuse("kernel_shape, strides or pads do not fit the input");
  // The maximum of storage elements is one of them: no wider accumulator.
  Type element = c.element(0), storage = c.storageElement(element);
  TypedAttr lowest;
  if (auto real = dyn_cast<FloatType>(storage)) {
    const llvm::fltSemantics &semantics = real.getFloatSemantics();
    bool hasInf = APFloat::semanticsHasInf(semantics);
    lowest = FloatAttr::get(storage, hasInf ? APFloat::getInf(semantics, true)
                                            : APFloat::getLargest(semantics, true));
  } else {
    unsigned width = storage.getIntOrFloatBitWidth();
    lowest = IntegerAttr::get(storage, isUnsigned(element) ? APInt::getMinValue(width)
                                                           : APInt::getSignedMinValue(width));
  }
  Value padded = padSpatial(c, c.tensor(0), *window, lowest);
  Scalar outer(c.b, c.loc, element);
  Value neutral = outer.lowest();
  Value maxima = pool(c, padded, *window, element, neutral,
                      [](Scalar &s, ArrayRef<Value> x) { return s.max(x[1], x[0]); });
  return c.result(toStorage(c, maxima, c.resultType()));
}

/// How many elements of the input (or of the padded input) each output position averages.
static Ints counts(LoweringContext &c, const Window &w, size_t i, bool includePads) {
  int64_t input = c.shape(0)[2 + i], output = c.resultType().getDimSize(2 + i);
  size_t rank = w.rank();
  Ints pads = c.getInts("pads", Ints(2 * rank, 0));
  bool automatic = c.getString("auto_pad", "NOTSET") != "NOTSET";
  // ceil_mode's last window may reach beyond the pads: that part never counts.
  int64_t padHigh = automatic ? w.high[i] : pads[rank + i];
  int64_t first = includePads ? -w.low[i] : 0;
  int64_t last = includePads ? input + padHigh : input;
  Ints result(output, 0);
  for (int64_t o = 0; o < output; ++o)
    for (int64_t k = 0; k < w.kernel[i]; ++k) {
      int64_t at = o * w.stride[i] + k * w.dilation[i] - w.low[i];
      result[o] += at >= first && at < last;
    }
  return result;
}

static LogicalResult lowerAveragePool(onnx::NodeOp, LoweringContext &c) {
  auto window = poolWindow(c);
  if (!window)
    return c.refuse("kernel_shape, strides or pads do not fit the input");
  if (!isFloat(c.element(0)))
    return c.refuse("averages of integers");
  RankedTensorType type = c.resultType();
  Type real = computeType(c.element(0));
  Value padded = padSpatial(c, c.tensor(0), *window, storageNumber(elementOf(c.tensor(0)), 0.0));
  Scalar outer(c.b, c.loc, real);
  Value sums = pool(c, padded, *window, c.element(0), outer.constant(0),
                    [](Scalar &s, ArrayRef<Value> x) { return s.add(x[1], x[0]); });

  // One factor for all positions, or one for each.
  bool includePads = c.getInt("count_include_pad", 0) != 0;
  Ints shape;
  std::vector<float> factors{1};
  for (size_t i = 0; i < window->rank(); ++i) {
    Ints along = counts(c, *window, i, includePads);
    std::vector<float> next;
    for (float f : factors)
      for (int64_t n : along)
        next.push_back(f * static_cast<float>(n));
    factors = std::move(next);
    shape.push_back(along.size());
  }
  bool uniform = llvm::all_equal(factors);
  for (float &f : factors)
    f = 1 / std::max(f, 1.0f);
  Arg factor;
  if (uniform) {
    factor = c.numberArg(factors.front(), c.b.getF32Type());
  } else {
    Value constant = c.constantFloats(factors, shape);
    factor =
        c.tensorArg(onnx::DataOp::create(c.b, c.loc, LoweringContext::typeOf(constant), constant),
                    c.b.getF32Type());
  }
  return c.result(elementwise(c, {c.tensorArg(sums, real), factor}, type,
                              [](Scalar &s, ArrayRef<Value> x) { return s.mul(x[0], x[1]); }));
}

static LogicalResult lowerGlobalPool(LoweringContext &c, Reduction kind) {
  ArrayRef<int64_t> shape = c.shape(0);
  if (shape.size() < 3)
    return c.refuse("needs spatial dimensions");
  Type element = c.element(0);
  if (kind == Reduction::Sum && !isFloat(element))
    return c.refuse("averages of integers");
  Ints axes = iota(shape.size() - 2, 2);
  RankedTensorType type = c.resultType();
  Value reduced = reduce(c, c.arg(0), shape, axes, kind);
  RankedTensorType small = type.clone(shape.take_front(2));
  if (kind == Reduction::Sum) {
    double factor = 1.0 / static_cast<double>(std::max<int64_t>(product(shape.drop_front(2)), 1));
    reduced = elementwise(
        c, {c.tensorArg(reduced, computeType(element)), c.numberArg(factor, computeType(element))},
        small, [](Scalar &s, ArrayRef<Value> x) { return s.mul(x[0], x[1]); });
  } else {
    reduced = toStorage(c, reduced, small);
  }
  return c.result(reshape(c, reduced, type.getShape()));
}
static LogicalResult lowerGlobalAveragePool(onnx::NodeOp, LoweringContext &c) {
  return lowerGlobalPool(c, Reduction::Sum);
}
static LogicalResult lowerGlobalMaxPool(onnx::NodeOp, LoweringContext &c) {
  return lowerGlobalPool(c, Reduction::Max);
}

ArrayRef<Lowering> poolingLowerings() {
  static const Lowering entries[] = {{"", "MaxPool", lowerMaxPool},
                                     {"", "AveragePool", lowerAveragePool},
                                     {"", "GlobalAveragePool", lowerGlobalAveragePool},
                                     {"", "GlobalMaxPool", lowerGlobalMaxPool}};
  return entries;
}

} // namespace npucc::lowering
