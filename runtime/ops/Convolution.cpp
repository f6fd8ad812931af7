//===- Convolution.cpp - Conv and ConvTranspose ---------------------------===//
//
// Unfolded blocks times weights by Eigen, fp32 accumulated in fp32; depthwise
// convolutions directly.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Window.h"

#include <Eigen/Core>

namespace npucc::ops {
namespace {

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T> using ConstMap = Eigen::Map<const Matrix<T>>;
template <typename T>
using StridedMap = Eigen::Map<Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <typename T>
using ConstStridedMap = Eigen::Map<const Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

/// One channel with its own kernel, 1-D or 2-D: each tap adds a scaled row.
template <typename T>
void depthwise(const Window &w, const T *input, const T *kernel, T bias, T *output) {
  bool flat = w.rank() == 1;
  int64_t last = w.rank() - 1;
  int64_t rowsOut = flat ? 1 : w.out[0], rowsIn = flat ? 1 : w.in[0];
  int64_t kernelRows = flat ? 1 : w.kernel[0], kernelColumns = w.kernel[last];
  int64_t columnsOut = w.out[last], columnsIn = w.in[last], sx = w.stride[last];
  for (int64_t oy = 0; oy < rowsOut; ++oy) {
    T *row = output + oy * columnsOut;
    std::fill_n(row, columnsOut, bias);
    for (int64_t ky = 0; ky < kernelRows; ++ky) {
      int64_t iy = flat ? 0 : oy * w.stride[0] + ky * w.dilation[0] - w.padBegin[0];
      if (iy < 0 || iy >= rowsIn)
        continue;
      for (int64_t kx = 0; kx < kernelColumns; ++kx) {
        T weight = kernel[ky * kernelColumns + kx];
        int64_t shift = kx * w.dilation[last] - w.padBegin[last];
        int64_t lo = shift < 0 ? (-shift + sx - 1) / sx : 0;
        int64_t hi = columnsIn - 1 - shift < 0 ? 0 : (columnsIn - 1 - shift) / sx + 1;
        hi = std::min(hi, columnsOut);
        const T *source = input + iy * columnsIn + shift;
        if (sx == 1)
          for (int64_t x = lo; x < hi; ++x)
            row[x] += weight * source[x];
        else
          for (int64_t x = lo; x < hi; ++x)
            row[x] += weight * source[x * sx];
      }
    }
  }
}

template <typename T>
void convolve(const Convolution &conv, const T *x, const T *weights, const T *bias, T *y) {
  const Window &w = conv.window;
  int64_t positions = w.outSize(), depth = conv.depth(), outputs = conv.groupOutputs();
  int64_t inGroup = conv.groupChannels() * w.inSize();
  bool pointwise = w.isPointwise();
  bool direct = conv.groupChannels() == 1 && w.rank() <= 2 && outputs <= 4;
  int64_t block = pointwise ? positions : std::min(positions, unfoldBlock(conv, sizeof(T)));
  std::vector<T> columns(pointwise || direct ? 0 : depth * block);
  for (int64_t n = 0; n < conv.batch; ++n)
    for (int64_t g = 0; g < conv.groups; ++g) {
      const T *input = x + (n * conv.groups + g) * inGroup;
      const T *kernels = weights + g * outputs * depth;
      T *output = y + (n * conv.groups + g) * outputs * positions;
      const T *offset = bias ? bias + g * outputs : nullptr;
      if (direct) {
        for (int64_t m = 0; m < outputs; ++m)
          depthwise(w, input, kernels + m * depth, offset ? offset[m] : T(0),
                    output + m * positions);
        continue;
      }
      for (int64_t first = 0; first < positions; first += block) {
        int64_t count = std::min(block, positions - first);
        if (!pointwise)
          unfold<T>(w, input, conv.groupChannels(), first, first + count, columns.data(), count, 1,
                    T(0));
        StridedMap<T> result(output + first, outputs, count, Eigen::OuterStride<>(positions));
        ConstMap<T> left(kernels, outputs, depth);
        ConstMap<T> right(pointwise ? input : columns.data(), depth, count);
        result.noalias() = left * right;
        for (int64_t m = 0; offset && m < outputs; ++m)
          result.row(m).array() += offset[m];
      }
    }
}

Expected<Tensors> conv(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0], &weights = inputs[1];
  NPUCC_TAKE(conv, convolution(node, x.shape(), weights.shape()));
  bool biased = present(inputs, 2);
  if (x.type() != weights.type() || (biased && inputs[2].type() != x.type()))
    return fail("inputs have different types");
  if (biased && inputs[2].size() != conv.outputs)
    return fail("bias has " + Twine(inputs[2].size()) + " elements for " + Twine(conv.outputs) +
                " output channels");
  NPUCC_TAKE(out, allocate(x.type(), conv.outShape()));
  if (out.size() == 0)
    return one(out);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        convolve<T>(conv, x.values<T>().data(), weights.values<T>().data(),
                    biased ? inputs[2].values<T>().data() : nullptr, out.mutableValues<T>().data());
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferConv(InferContext &c) {
  NPUCC_TRY(oneType(c, 0, 3));
  NPUCC_TRY(allFloat(c));
  NPUCC_TRY(inferConvolution(c, 1, typeOf(c, 0)));
  auto w = dimsOf(c, 1);
  return expectSize(c, 2, "bias", w && !w->empty() ? (*w)[0] : -1);
}

//===----------------------------------------------------------------------===//
// ConvTranspose: the gradient of a convolution with respect to its input
//===----------------------------------------------------------------------===//

/// The forward convolution whose input is our result: its window maps our result
/// (as `in`) to our input (as `out`).
struct Transposed {
  int64_t batch, channels, outputs, groups;
  Window window;
  Shape outShape() const {
    Shape shape{batch, outputs};
    shape.append(window.in.begin(), window.in.end());
    return shape;
  }
};

Expected<Transposed> transposedConvolution(const Node &node, ArrayRef<int64_t> x,
                                           ArrayRef<int64_t> w) {
  if (x.size() < 3 || w.size() != x.size())
    return fail("input " + text(x) + " and weights " + text(w) +
                " must have one rank of at least 3");
  Transposed t;
  t.batch = x[0];
  t.channels = x[1];
  t.groups = node.getInt("group", 1);
  if (t.groups < 1 || (x[1] >= 0 && x[1] % t.groups))
    return fail("group " + Twine(t.groups) + " does not divide " + Twine(x[1]) + " channels");
  if (x[1] >= 0 && w[0] >= 0 && x[1] != w[0])
    return fail("input has " + Twine(x[1]) + " channels, weights expect " + Twine(w[0]));
  std::optional<int64_t> outputs = checkedElementCount({std::max<int64_t>(w[1], 0), t.groups});
  if (!outputs)
    return fail("group " + Twine(t.groups) + " is out of range");
  t.outputs = w[1] < 0 ? -1 : *outputs;
  size_t rank = x.size() - 2;
  // Let slidingWindow read and check the attributes, then work backwards.
  Node plain = node;
  plain.attributes.erase("auto_pad");
  plain.attributes.erase("ceil_mode");
  Shape dummy(rank, -1);
  NPUCC_TAKE(window, slidingWindow(plain, dummy, w.drop_front(2)));
  std::vector<int64_t> extra = node.getInts("output_padding");
  std::vector<int64_t> sizes = node.getInts("output_shape");
  if (extra.empty())
    extra.assign(rank, 0);
  if (extra.size() != rank || (!sizes.empty() && sizes.size() != rank && sizes.size() != rank + 2))
    return fail("output_padding or output_shape does not fit " + Twine(rank) +
                " spatial dimensions");
  if (sizes.size() == rank + 2)
    sizes.erase(sizes.begin(), sizes.begin() + 2);
  std::string autoPad = node.getString("auto_pad", "NOTSET");
  bool same = autoPad == "SAME_UPPER" || autoPad == "SAME_LOWER";
  for (size_t d = 0; d < rank; ++d) {
    int64_t in = x[d + 2], stride = window.stride[d];
    window.out[d] = in;
    if (in < 0 || window.kernel[d] < 0)
      continue;
    if (extra[d] < 0 || extra[d] >= std::max(stride, window.dilation[d]))
      return fail("output_padding " + text(extra) + " must be below stride or dilation");
    if (in > (int64_t(1) << 31))
      return fail("input size " + Twine(in) + " is out of range");
    int64_t span = (window.kernel[d] - 1) * window.dilation[d] + 1;
    int64_t full = stride * (in - 1) + extra[d] + span;
    if (autoPad == "VALID")
      window.padBegin[d] = window.padEnd[d] = 0;
    if (!sizes.empty() || same) {
      int64_t out = sizes.empty() ? in * stride : sizes[d];
      if (out < 0 || out > (int64_t(1) << 31))
        return fail("output_shape " + text(sizes) + " is out of range");
      int64_t total = std::max<int64_t>(0, full - out);
      window.padBegin[d] = autoPad == "SAME_UPPER" ? total / 2 : total - total / 2;
      window.padEnd[d] = total - window.padBegin[d];
      window.in[d] = out;
    } else {
      window.in[d] = full - window.padBegin[d] - window.padEnd[d];
      if (window.in[d] < 0)
        return fail("pads exceed the result size " + Twine(full));
    }
  }
  t.window = window;
  return t;
}

/// Adds columns [channel * taps + tap][position] back to the positions that unfold
/// would read.
template <typename T> void fold(const Window &w, const T *columns, int64_t channels, T *output) {
  int64_t taps = w.kernelSize(), positions = w.outSize(), size = w.inSize();
  forTapRows(w, [&](int64_t tap, int64_t start, int64_t base, int64_t lo, int64_t hi, int64_t sx) {
    for (int64_t c = 0; c < channels; ++c) {
      const T *source = columns + (c * taps + tap) * positions + start;
      T *target = output + c * size + base;
      for (int64_t x = lo; x < hi; ++x)
        target[x * sx] += source[x];
    }
  });
}

Expected<Tensors> convTranspose(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0], &weights = inputs[1];
  NPUCC_TAKE(t, transposedConvolution(node, x.shape(), weights.shape()));
  bool biased = present(inputs, 2);
  if (x.type() != weights.type() || (biased && inputs[2].type() != x.type()))
    return fail("inputs have different types");
  if (biased && inputs[2].size() != t.outputs)
    return fail("bias has " + Twine(inputs[2].size()) + " elements for " + Twine(t.outputs) +
                " output channels");
  NPUCC_TAKE(out, allocate(x.type(), t.outShape()));
  int64_t positions = t.window.outSize(), size = t.window.inSize();
  if (out.size() == 0)
    return one(out);
  int64_t channels = t.channels / t.groups, outputs = t.outputs / t.groups;
  // Channels are folded a few at a time, so that the columns stay small.
  int64_t taps = t.window.kernelSize();
  int64_t chunk =
      std::clamp<int64_t>((int64_t(8) << 20) / std::max<int64_t>(1, taps * positions), 1, outputs);
  NPUCC_TAKE(scratch, allocate(x.type(), {chunk * taps, positions}));
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T *columns = scratch.template mutableValues<T>().data();
        T *target = out.mutableValues<T>().data();
        for (int64_t n = 0; n < t.batch; ++n)
          for (int64_t g = 0; g < t.groups; ++g) {
            const T *input = x.values<T>().data() + (n * t.groups + g) * channels * positions;
            const T *kernels = weights.values<T>().data() + g * channels * outputs * taps;
            T *output = target + (n * t.groups + g) * outputs * size;
            for (int64_t m = 0; biased && m < outputs; ++m)
              std::fill_n(output + m * size, size, inputs[2].values<T>()[g * outputs + m]);
            for (int64_t m = 0; m < outputs && channels && positions; m += chunk) {
              int64_t count = std::min(chunk, outputs - m);
              ConstStridedMap<T> left(kernels + m * taps, channels, count * taps,
                                      Eigen::OuterStride<>(outputs * taps));
              ConstMap<T> right(input, channels, positions);
              Eigen::Map<Matrix<T>> product(columns, count * taps, positions);
              product.noalias() = left.transpose() * right;
              fold<T>(t.window, columns, count, output + m * size);
            }
          }
      }))
    return unsupportedType(x.type());
  return one(out);
}

Error inferConvTranspose(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  NPUCC_TRY(oneType(c, 0, 3));
  NPUCC_TRY(allFloat(c));
  auto x = dimsOf(c, 0), w = dimsOf(c, 1);
  if (!x || !w) {
    setOutput(c, 0, typeOf(c, 0),
              x ? std::optional<Shape>(unknown(static_cast<int64_t>(x->size()))) : std::nullopt);
    return Error::success();
  }
  NPUCC_TAKE(t, transposedConvolution(c.node, *x, *w));
  setOutput(c, 0, typeOf(c, 0), t.outShape());
  return expectSize(c, 2, "bias", t.outputs);
}

/// Each input element meets its channel's kernels once.
int64_t convTransposeMacs(const Node &, ArrayRef<const Value *> inputs, ArrayRef<const Value *>) {
  if (inputs.size() < 2)
    return 0;
  auto x = dimsOf(inputs[0]), w = dimsOf(inputs[1]);
  if (!x || !w || w->empty() || !isStatic(*x) || !isStatic(*w))
    return 0;
  return product({product(*x), product(ArrayRef<int64_t>(*w).drop_front())});
}

} // namespace

llvm::ArrayRef<OpInfo> floatConvolutionOps() {
  static const OpInfo table[] = {
      {"", "Conv", 11, inferConv, widened<conv>, convolutionMacs<1>},
      {"", "ConvTranspose", 11, inferConvTranspose, widened<convTranspose>, convTransposeMacs},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::convolutionOps() {
  static const std::vector<OpInfo> all =
      ops::join({ops::floatConvolutionOps(), ops::integerConvolutionOps(), ops::poolingOps()});
  return all;
}
