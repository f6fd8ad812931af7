//===- ConvTranspose.cpp - Transposed convolution by phases -------------------===//
//
// Output positions with the same remainder modulo the stride form a phase: an
// ordinary convolution of stride 1 with every stride-th tap of the flipped kernel.
// The phases are interleaved by strided inserts.
//
//===----------------------------------------------------------------------===//

#include "compiler/lowering/Window.h"

using namespace mlir;

namespace npucc::lowering {

namespace {
/// One dimension of one phase: outputs first, first + stride, ... (count of them) use the taps
/// remainder, remainder + stride, ... of the kernel, on inputs from `start` downwards,
/// `dilation` apart (which is 1 where there is more than one phase).
struct Phase {
  int64_t first, count, remainder, taps, start, dilation;
  int64_t reach() const { return (taps - 1) * dilation; }
};
} // namespace

static SmallVector<Phase> phasesOf(int64_t kernel, int64_t stride, int64_t dilation, int64_t low,
                                   int64_t output) {
  SmallVector<Phase> result;
  for (int64_t first = 0; first < std::min(stride, output); ++first) {
    Phase p;
    p.first = first;
    p.count = (output - first + stride - 1) / stride;
    p.remainder = (first + low) % stride;
    p.taps = p.remainder < kernel ? (kernel - p.remainder + stride - 1) / stride : 0;
    p.start = (first + low) / stride;
    p.dilation = dilation;
    result.push_back(p);
  }
  return result;
}

/// Pads or cuts so that index 0 of the result is index `from` of the source.
static Value cover(LoweringContext &c, Value x, ArrayRef<int64_t> from, ArrayRef<int64_t> extent,
                   double padding) {
  Ints low{0, 0}, high{0, 0}, offsets{0, 0}, sizes(shapeOf(x));
  for (size_t i = 0; i < from.size(); ++i) {
    int64_t size = sizes[2 + i], end = from[i] + extent[i];
    low.push_back(std::max<int64_t>(0, -from[i]));
    high.push_back(std::max<int64_t>(0, end - size));
    offsets.push_back(std::max<int64_t>(0, from[i]));
    sizes[2 + i] = std::min(size, end) - offsets.back();
    if (sizes[2 + i] <= 0)
      return {};
  }
  return pad(c, slice(c, x, offsets, sizes), low, high, storageNumber(elementOf(x), padding));
}

/// The sub-kernel of a phase: taps in falling order, and [C, M/g, ...] as [M, C/g, ...].
static Value subKernel(LoweringContext &c, Value kernel, ArrayRef<Phase> phases,
                       ArrayRef<int64_t> strides, int64_t groups) {
  RankedTensorType type = LoweringContext::typeOf(kernel);
  Ints starts, ends, axes, steps, shape(type.getShape());
  for (auto [i, p] : llvm::enumerate(phases)) {
    starts.push_back(p.remainder + (p.taps - 1) * strides[i]);
    // One before the first tap; far below zero means "through index 0".
    int64_t end = p.remainder - strides[i];
    ends.push_back(end >= 0 ? end : -shape[2 + i] - 1);
    axes.push_back(2 + static_cast<int64_t>(i));
    steps.push_back(-strides[i]);
    shape[2 + i] = p.taps;
  }
  Value taps = c.constantNode("Slice",
                              {kernel, c.constantInts(starts), c.constantInts(ends),
                               c.constantInts(axes), c.constantInts(steps)},
                              type.clone(shape));
  int64_t channels = shape[0] / groups, filters = shape[1];
  Ints split{groups, channels, filters}, moved{groups, filters, channels};
  Ints order{0, 2, 1}, result{groups * filters, channels};
  for (size_t i = 2; i < shape.size(); ++i) {
    split.push_back(shape[i]);
    moved.push_back(shape[i]);
    result.push_back(shape[i]);
    order.push_back(static_cast<int64_t>(i) + 1);
  }
  Value turned = c.constantNode("Transpose", {c.constantReshape(taps, split)}, type.clone(moved),
                                {c.b.getNamedAttr("perm", c.b.getDenseI64ArrayAttr(order))});
  return c.data(c.constantReshape(turned, result));
}

static LogicalResult lowerConvTranspose(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> xs = c.shape(0), ws = c.shape(1);
  RankedTensorType type = c.resultType();
  ArrayRef<int64_t> ys = type.getShape();
  int64_t rank = static_cast<int64_t>(xs.size()) - 2, groups = c.getInt("group", 1);
  if (rank < 1 || !c.isConstant(1))
    return c.refuse("the kernel is not constant");
  Ints ones(rank, 1);
  Ints strides = c.getInts("strides", ones), dilations = c.getInts("dilations", ones);
  for (auto [stride, dilation, kernel] : llvm::zip_equal(strides, dilations, ws.drop_front(2))) {
    if (stride != 1 && dilation != 1)
      return c.refuse("strides and dilations along one dimension");
    if (stride > kernel) // a phase for each step of a stride, some of them without a tap
      return c.refuse("strides larger than the kernel");
  }
  Ints pads = c.getInts("pads", Ints(2 * rank, 0));
  Ints extra = c.getInts("output_padding", Ints(rank, 0));
  StringRef automatic = c.getString("auto_pad", "NOTSET");
  SmallVector<SmallVector<Phase>> phases;
  for (int64_t i = 0; i < rank; ++i) {
    int64_t reach = (ws[2 + i] - 1) * dilations[i] + 1;
    int64_t full = (xs[2 + i] - 1) * strides[i] + reach + extra[i], low = pads[i];
    if (c.hasAttr("output_shape") || automatic.starts_with("SAME")) {
      int64_t total = std::max<int64_t>(0, full - ys[2 + i]);
      low = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
    } else if (automatic == "VALID") {
      low = 0;
    }
    phases.push_back(phasesOf(ws[2 + i], strides[i], dilations[i], low, ys[2 + i]));
  }

  std::optional<Arg> bias;
  if (c.has(2))
    bias = c.channelArg(c.input(2), 1);
  Value y = emptyTensor(c, ys, c.storageElement(type.getElementType()));
  // All combinations of one phase per dimension.
  Ints choice(rank, 0);
  for (bool more = true; more;) {
    SmallVector<Phase> chosen;
    Ints from, extent, spatial, offsets{0, 0}, steps{1, 1};
    Window window;
    bool empty = false;
    for (int64_t i = 0; i < rank; ++i) {
      const Phase &p = phases[i][choice[i]];
      chosen.push_back(p);
      empty |= p.taps == 0;
      window.kernel.push_back(p.taps);
      from.push_back(p.start - p.reach());
      extent.push_back(p.count + p.reach());
      window.dilation.push_back(p.dilation);
      spatial.push_back(p.count);
      offsets.push_back(p.first);
      steps.push_back(strides[i]);
    }
    window.stride = ones;
    window.low = window.high = Ints(rank, 0);
    if (empty)
      return c.refuse("outputs that no tap reaches");
    Value covered = cover(c, c.tensor(0), from, extent, 0);
    if (!covered)
      return c.refuse("outputs that no input reaches");
    Value kernel = subKernel(c, c.input(1), chosen, strides, groups);
    Value sums = convolve(c, Factor{covered, c.element(0), AffineMap()},
                          Factor{kernel, c.element(1), AffineMap()}, window, groups, spatial);
    RankedTensorType part = type.clone(shapeOf(sums));
    Type accumulator = accumulatorType(c.element(0));
    Value piece = bias ? elementwise(c, {c.tensorArg(sums, accumulator), *bias}, part,
                                     [](Scalar &s, ArrayRef<Value> v) { return s.add(v[0], v[1]); })
                       : toStorage(c, sums, part);
    y = insert(c, piece, y, offsets, steps);
    more = false;
    for (int64_t i = rank; i-- > 0;) {
      if (++choice[i] < static_cast<int64_t>(phases[i].size())) {
        more = true;
        break;
      }
      choice[i] = 0;
    }
  }
  return c.result(y);
}

ArrayRef<Lowering> convTransposeLowerings() {
  static const Lowering entries[] = {{"", "ConvTranspose", lowerConvTranspose}};
  return entries;
}

} // namespace npucc::lowering
