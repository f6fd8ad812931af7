//===- Window.cpp - Sliding windows of convolutions and pools -------------===//

#include "runtime/ops/Window.h"

namespace npucc::ops {

/// Sizes, strides and pads above this are mistakes; products stay in range.
constexpr int64_t kMaxExtent = int64_t(1) << 30;
/// Positions of a kernel, also of those that lie in the padding: each is visited.
constexpr int64_t kMaxKernelSize = int64_t(1) << 26;

bool Window::isPointwise() const {
  for (int64_t d = 0; d < rank(); ++d)
    if (kernel[d] != 1 || stride[d] != 1 || padBegin[d] != 0 || out[d] != in[d])
      return false;
  return true;
}

static Expected<Shape> perDimension(const Node &node, llvm::StringRef name, size_t rank,
                                    int64_t fallback, int64_t least) {
  if (!node.has(name) || node.getInts(name).empty())
    return Shape(rank, fallback);
  std::vector<int64_t> list = node.getInts(name);
  if (list.size() != rank)
    return fail(Twine(name) + " " + text(list) + " should have " + Twine(rank) + " elements");
  for (int64_t value : list)
    if (value < least || value > kMaxExtent)
      return fail(Twine(name) + " " + text(list) + " is out of range");
  return Shape(list.begin(), list.end());
}

Expected<Window> slidingWindow(const Node &node, ArrayRef<int64_t> in, ArrayRef<int64_t> kernel) {
  size_t rank = in.size();
  if (rank == 0)
    return fail("needs at least one spatial dimension");
  if (kernel.size() != rank)
    return fail("kernel " + text(kernel) + " does not fit the " + Twine(rank) +
                " spatial dimensions");
  Window w;
  w.in.assign(in.begin(), in.end());
  w.kernel.assign(kernel.begin(), kernel.end());
  for (int64_t k : kernel)
    if (k == 0 || k > kMaxExtent)
      return fail("kernel " + text(kernel) + " is out of range");
  if (isStatic(kernel) && product(kernel) > kMaxKernelSize)
    return fail("kernel " + text(kernel) + " is out of range");
  NPUCC_TAKE(stride, perDimension(node, "strides", rank, 1, 1));
  NPUCC_TAKE(dilation, perDimension(node, "dilations", rank, 1, 1));
  NPUCC_TAKE(pads, perDimension(node, "pads", 2 * rank, 0, 0));
  w.stride = stride;
  w.dilation = dilation;
  w.padBegin.assign(pads.begin(), pads.begin() + rank);
  w.padEnd.assign(pads.begin() + rank, pads.end());
  std::string autoPad = node.getString("auto_pad", "NOTSET");
  bool ceilMode = node.getInt("ceil_mode", 0) != 0;
  bool same = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER";
  if (!same && autoPad != "NOTSET" && autoPad != "VALID" && !autoPad.empty())
    return fail("auto_pad '" + autoPad + "' is not known");

  for (size_t d = 0; d < rank; ++d) {
    if (in[d] < 0 || kernel[d] < 0) {
      w.out.push_back(-1);
      continue;
    }
    if (in[d] > kMaxExtent)
      return fail("input size " + Twine(in[d]) + " is out of range");
    int64_t span = (kernel[d] - 1) * dilation[d] + 1;
    if (same) {
      int64_t out = (in[d] + stride[d] - 1) / stride[d];
      int64_t total = std::max<int64_t>(0, (out - 1) * stride[d] + span - in[d]);
      w.padBegin[d] = autoPad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.padEnd[d] = total - w.padBegin[d];
      w.out.push_back(out);
      continue;
    }
    if (autoPad == "VALID")
      w.padBegin[d] = w.padEnd[d] = 0;
    int64_t room = in[d] + w.padBegin[d] + w.padEnd[d] - span;
    if (room < 0)
      return fail("window of " + Twine(span) + " exceeds the padded input of " +
                  Twine(in[d] + w.padBegin[d] + w.padEnd[d]));
    int64_t out = room / stride[d] + 1;
    if (ceilMode && room % stride[d] != 0) {
      // A further window counts only if it starts inside the input or its begin padding.
      if (out * stride[d] < in[d] + w.padBegin[d])
        ++out;
    }
    w.out.push_back(out);
  }
  return w;
}

Shape Convolution::outShape() const {
  Shape shape{batch, outputs};
  shape.append(window.out.begin(), window.out.end());
  return shape;
}

Expected<Convolution> convolution(const Node &node, ArrayRef<int64_t> x, ArrayRef<int64_t> w) {
  if (x.size() < 3 || w.size() != x.size())
    return fail("input " + text(x) + " and weights " + text(w) +
                " must have one rank of at least 3");
  Convolution conv;
  conv.batch = x[0];
  conv.channels = x[1];
  conv.outputs = w[0];
  conv.groups = node.getInt("group", 1);
  if (conv.groups < 1)
    return fail("group " + Twine(conv.groups) + " is not positive");
  if (w[0] >= 0 && w[0] % conv.groups)
    return fail("group " + Twine(conv.groups) + " does not divide " + Twine(w[0]) +
                " output channels");
  if (x[1] >= 0 && w[1] >= 0 && (x[1] % conv.groups || x[1] / conv.groups != w[1]))
    return fail("input has " + Twine(x[1]) + " channels, weights expect " + Twine(w[1]) +
                " for each of " + Twine(conv.groups) + " groups");
  ArrayRef<int64_t> kernel = w.drop_front(2);
  if (node.has("kernel_shape") && !node.getInts("kernel_shape").empty()) {
    std::vector<int64_t> stated = node.getInts("kernel_shape");
    if (ArrayRef<int64_t>(stated) != kernel && isStatic(kernel))
      return fail("kernel_shape " + text(stated) + " differs from weights " + text(w));
  }
  NPUCC_TAKE(window, slidingWindow(node, x.drop_front(2), kernel));
  conv.window = window;
  return conv;
}

Error inferConvolution(InferContext &c, size_t weights, ElementType type) {
  NPUCC_TRY(require(c, weights + 1));
  auto x = dimsOf(c, 0), w = dimsOf(c, weights);
  if (!x || !w) {
    setOutput(c, 0, type,
              x ? std::optional<Shape>(unknown(static_cast<int64_t>(x->size()))) : std::nullopt);
    return Error::success();
  }
  NPUCC_TAKE(conv, convolution(c.node, *x, *w));
  setOutput(c, 0, type, conv.outShape());
  return Error::success();
}

int64_t unfoldBlock(const Convolution &conv, int64_t elementBytes) {
  int64_t columns = (int64_t(4) << 20) / std::max<int64_t>(1, conv.depth() * elementBytes);
  return std::clamp<int64_t>(columns, 64, std::max<int64_t>(64, conv.window.outSize()));
}

} // namespace npucc::ops
