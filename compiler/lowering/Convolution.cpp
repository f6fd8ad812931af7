//===- Convolution.cpp - Conv, QLinearConv, ConvInteger -----------------------===//

#include "compiler/lowering/Quantized.h"
#include "compiler/lowering/Window.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace npucc::lowering {

std::optional<Window> windowOf(LoweringContext &c, ArrayRef<int64_t> kernel,
                               ArrayRef<int64_t> input, ArrayRef<int64_t> output) {
  size_t rank = kernel.size();
  Ints ones(rank, 1), zeros(2 * rank, 0);
  Window w;
  w.kernel.assign(kernel.begin(), kernel.end());
  w.stride = c.getInts("strides", ones);
  w.dilation = c.getInts("dilations", ones);
  Ints pads = c.getInts("pads", zeros);
  StringRef automatic = c.getString("auto_pad", "NOTSET");
  if (w.stride.size() != rank || w.dilation.size() != rank || pads.size() != 2 * rank ||
      input.size() != rank || output.size() != rank)
    return std::nullopt;
  for (size_t i = 0; i < rank; ++i) {
    int64_t reach = (output[i] - 1) * w.stride[i] + (kernel[i] - 1) * w.dilation[i] + 1;
    int64_t low = pads[i];
    if (automatic.starts_with("SAME")) {
      int64_t total = std::max<int64_t>(0, reach - input[i]);
      low = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    } else if (automatic == "VALID") {
      low = 0;
    }
    if (low < 0)
      return std::nullopt;
    w.low.push_back(low);
    w.high.push_back(std::max<int64_t>(0, reach - input[i] - low));
  }
  return w;
}

Value padSpatial(LoweringContext &c, Value storage, const Window &window, TypedAttr value) {
  Ints low{0, 0}, high{0, 0};
  low.append(window.low);
  high.append(window.high);
  return pad(c, storage, low, high, value);
}

AffineExpr windowExpr(OpBuilder &b, const Window &window, size_t i, int64_t outDim,
                      int64_t kernelDim) {
  return b.getAffineDimExpr(outDim) * window.stride[i] +
         b.getAffineDimExpr(kernelDim) * window.dilation[i];
}

Value convolve(LoweringContext &c, Factor x, Factor w, const Window &window, int64_t groups,
               ArrayRef<int64_t> spatial) {
  OpBuilder &b = c.b;
  int64_t rank = window.rank();
  x.tensor = padSpatial(c, x.tensor, window,
                        storageNumber(elementOf(x.tensor), static_cast<double>(x.zeroPoint)));
  Ints xs(shapeOf(x.tensor)), ws(shapeOf(w.tensor));
  int64_t batch = xs[0], channels = xs[1], filters = ws[0], perGroup = ws[1];

  // Loops, in order: n, [g], [oc], the output positions, [ic], the window.
  bool depthwise = groups > 1 && perGroup == 1 && filters == groups;
  bool grouped = groups > 1 && !depthwise;
  int64_t next = 0, n = next++;
  int64_t g = grouped ? next++ : -1, oc = next++, out = next;
  next += rank;
  int64_t ic = depthwise ? -1 : next++, k = next;
  next += rank;

  Ints shape{batch}, wShape, xShape;
  SmallVector<AffineExpr> xExprs{b.getAffineDimExpr(n)};
  Ints wDims, outDims{n};
  if (grouped) {
    shape.append({groups, filters / groups});
    xExprs.push_back(b.getAffineDimExpr(g));
    wDims.push_back(g);
    outDims.push_back(g);
    xShape = {batch, groups, perGroup};
    wShape = {groups, filters / groups, perGroup};
  } else {
    shape.push_back(filters);
    xShape = {batch, channels};
    wShape = depthwise ? Ints{filters} : Ints{filters, perGroup};
  }
  wDims.push_back(oc);
  outDims.push_back(oc);
  xExprs.push_back(b.getAffineDimExpr(depthwise ? oc : ic));
  if (!depthwise)
    wDims.push_back(ic);
  for (int64_t i = 0; i < rank; ++i) {
    xExprs.push_back(windowExpr(b, window, i, out + i, k + i));
    wDims.push_back(k + i);
    outDims.push_back(out + i);
    shape.push_back(spatial[i]);
    xShape.push_back(xs[2 + i]);
    wShape.push_back(window.kernel[i]);
  }
  x.tensor = reshape(c, x.tensor, xShape);
  w.tensor = reshape(c, w.tensor, wShape);
  x.map = AffineMap::get(next, 0, xExprs, b.getContext());
  w.map = dimsMap(c, next, wDims);
  Value sums = contract(c, x, w, dimsMap(c, next, outDims), shape);
  Ints result{batch, filters};
  result.append(spatial.begin(), spatial.end());
  return reshape(c, sums, result);
}

namespace {
struct ConvShape {
  Window window;
  int64_t groups;
  Ints spatial;
};
} // namespace

static std::optional<ConvShape> convShape(LoweringContext &c, unsigned x, unsigned w) {
  ArrayRef<int64_t> xs = c.shape(x), ws = c.shape(w), ys = c.resultType().getShape();
  if (xs.size() < 3 || ws.size() != xs.size() || ys.size() != xs.size())
    return std::nullopt;
  ConvShape result;
  result.groups = c.getInt("group", 1);
  result.spatial.assign(ys.begin() + 2, ys.end());
  if (result.groups < 1 || xs[1] != ws[1] * result.groups || ws[0] % result.groups != 0)
    return std::nullopt;
  auto window = windowOf(c, ws.drop_front(2), xs.drop_front(2), result.spatial);
  if (!window)
    return std::nullopt;
  result.window = std::move(*window);
  return result;
}

static constexpr const char *kBadShape = "shapes and attributes do not fit together";

static LogicalResult lowerConv(onnx::NodeOp, LoweringContext &c) {
  auto shape = convShape(c, 0, 1);
  if (!shape)
    return c.refuse(kBadShape);
  RankedTensorType type = c.resultType();
  std::optional<Arg> bias;
  if (c.has(2))
    bias = c.channelArg(c.input(2), 1);

  // Dequantised operands: on the integers, with one scale afterwards.
  auto x = matchDequantize(c, c.input(0)), w = matchDequantize(c, c.input(1));
  if (x && w && !x->scales && (!w->scales || w->axis == 0) && type.getElementType().isF32()) {
    Value sums = convolve(c, integerFactor(c, *x), integerFactor(c, *w), shape->window,
                          shape->groups, shape->spatial);
    return c.result(scaleSums(c, sums, productScale(c, *x, *w, 1, 1), bias, type));
  }

  Factor a{c.tensor(0), c.element(0), AffineMap()}, b{c.tensor(1), c.element(1), AffineMap()};
  Value sums = convolve(c, a, b, shape->window, shape->groups, shape->spatial);
  if (!bias)
    return c.result(toStorage(c, sums, type));
  return c.result(elementwise(c, {c.tensorArg(sums, accumulatorType(c.element(0))), *bias}, type,
                              [](Scalar &s, ArrayRef<Value> v) { return s.add(v[0], v[1]); }));
}

static LogicalResult lowerQLinearConv(onnx::NodeOp, LoweringContext &c) {
  // x, scale, zero point, w, scale, zero point, y scale, zero point, bias
  auto shape = convShape(c, 0, 3);
  if (!shape)
    return c.refuse(kBadShape);
  auto x = quantized(c, c.input(0), c.input(1), c.input(2), 1);
  auto w = quantized(c, c.input(3), c.input(4), c.input(5), 0);
  auto y = quantized(c, c.node.getOutputs()[0], c.input(6), c.input(7), 1);
  if (!x || !w || !y || x->scales || y->scales)
    return c.refuse("scales or zero points are not constant, or differ per channel");
  std::optional<Arg> bias;
  if (c.has(8))
    bias = c.channelArg(c.input(8), 1);
  Value sums = convolve(c, integerFactor(c, *x), integerFactor(c, *w), shape->window, shape->groups,
                        shape->spatial);
  return c.result(requantizeSums(c, sums, productScale(c, *x, *w, y->scale, 1), bias, y->zeroPoint,
                                 c.resultType()));
}

static LogicalResult lowerConvInteger(onnx::NodeOp, LoweringContext &c) {
  auto shape = convShape(c, 0, 1);
  if (!shape)
    return c.refuse(kBadShape);
  auto point = [&](unsigned i) -> std::optional<int64_t> {
    if (!c.has(i))
      return 0;
    auto values = c.ints(i);
    if (!values || values->empty() || !llvm::all_equal(*values))
      return std::nullopt;
    return values->front();
  };
  auto xp = point(2), wp = point(3);
  if (!xp || !wp)
    return c.refuse("zero points are not constant, or differ per channel");
  Value sums = convolve(c, Factor{c.tensor(0), c.element(0), AffineMap(), *xp},
                        Factor{c.tensor(1), c.element(1), AffineMap(), *wp}, shape->window,
                        shape->groups, shape->spatial);
  return c.result(sums);
}

ArrayRef<Lowering> convolutionLowerings() {
  static const Lowering entries[] = {{"", "Conv", lowerConv},
                                     {"", "QLinearConv", lowerQLinearConv},
                                     {"", "ConvInteger", lowerConvInteger}};
  return entries;
}

} // namespace npucc::lowering
