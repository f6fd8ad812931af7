//===- Window.h - Sliding windows of convolutions and pools -----*- C++ -*-===//
#pragma once

#include "runtime/ops/Support.h"

namespace npucc::ops {

/// Geometry over the spatial dimensions. Result position o and kernel position k
/// read input position o * stride - padBegin + k * dilation.
struct Window {
  Shape in, kernel, stride, dilation, padBegin, padEnd, out;

  int64_t rank() const { return static_cast<int64_t>(in.size()); }
  int64_t inSize() const { return product(in); }
  int64_t kernelSize() const { return product(kernel); }
  int64_t outSize() const { return product(out); }
  /// Whether every result position reads exactly its own input position.
  bool isPointwise() const;
};

/// Reads strides, dilations, pads, auto_pad and ceil_mode of a node. Unknown (-1)
/// input sizes give unknown result sizes.
Expected<Window> slidingWindow(const Node &node, ArrayRef<int64_t> in, ArrayRef<int64_t> kernel);

/// A convolution's shapes: x [N, C, in...], w [M, C / groups, kernel...].
struct Convolution {
  int64_t batch, channels, outputs, groups;
  Window window;

  int64_t groupChannels() const { return channels / groups; }
  int64_t groupOutputs() const { return outputs / groups; }
  int64_t depth() const { return groupChannels() * window.kernelSize(); }
  Shape outShape() const;
};
Expected<Convolution> convolution(const Node &node, ArrayRef<int64_t> x, ArrayRef<int64_t> w);

/// Shape rule for x and w at inputs 0 and `weights`; result of type `type`.
Error inferConvolution(InferContext &c, size_t weights, ElementType type);
/// Multiply-accumulates of a convolution with weights at input `Weights`.
template <size_t Weights>
int64_t convolutionMacs(const Node &, llvm::ArrayRef<const Value *> inputs,
                        llvm::ArrayRef<const Value *> outputs) {
  if (inputs.size() <= Weights || outputs.empty())
    return 0;
  auto w = dimsOf(inputs[Weights]), y = dimsOf(outputs[0]);
  if (!w || !y || w->empty() || !isStatic(*w) || !isStatic(*y))
    return 0;
  return product({product(*y), product(ArrayRef<int64_t>(*w).drop_front())});
}

/// Copies the windows of result positions [first, last) of one group into a
/// matrix: element (k, p) at k * stepK + (p - first) * stepP, with
/// k = channel * kernelSize + kernel position, padding as `fill`.
template <typename T>
void unfold(const Window &w, const T *input, int64_t channels, int64_t first, int64_t last,
            T *matrix, int64_t stepK, int64_t stepP, T fill) {
  int64_t rank = w.rank(), inner = w.out[rank - 1], inSize = w.inSize();
  Shape inStride = rowMajorStrides(w.in);
  int64_t taps = w.kernelSize(), sx = w.stride[rank - 1], widthIn = w.in[rank - 1];
  for (int64_t tap = 0; tap < taps; ++tap) {
    Shape k(rank, 0);
    for (int64_t d = rank, rest = tap; d-- > 0; rest /= w.kernel[d])
      k[d] = rest % w.kernel[d];
    int64_t shiftX = k[rank - 1] * w.dilation[rank - 1] - w.padBegin[rank - 1];
    // One run of positions within a result row at a time.
    for (int64_t p = first; p < last;) {
      int64_t row = p / inner, x0 = p % inner, n = std::min(inner - x0, last - p);
      int64_t base = 0;
      bool inside = true;
      for (int64_t d = rank - 1, rest = row; d-- > 0; rest /= w.out[d]) {
        int64_t i = rest % w.out[d] * w.stride[d] + k[d] * w.dilation[d] - w.padBegin[d];
        inside &= i >= 0 && i < w.in[d];
        base += i * inStride[d];
      }
      // Positions x in [lo, hi) of the run read inside the input row.
      int64_t lo = x0, hi = x0 + n;
      if (!inside) {
        hi = lo;
      } else {
        int64_t from = shiftX < 0 ? (-shiftX + sx - 1) / sx : 0;
        int64_t to = widthIn - 1 - shiftX < 0 ? 0 : (widthIn - 1 - shiftX) / sx + 1;
        lo = std::clamp(from, x0, x0 + n);
        hi = std::clamp(to, lo, x0 + n);
      }
      for (int64_t c = 0; c < channels; ++c) {
        T *target = matrix + (c * taps + tap) * stepK + (p - first) * stepP;
        const T *source = input + c * inSize + base + shiftX;
        for (int64_t x = x0; x < lo; ++x)
          target[(x - x0) * stepP] = fill;
        if (stepP == 1 && sx == 1 && hi > lo)
          std::memcpy(target + (lo - x0), source + lo, (hi - lo) * sizeof(T));
        else
          for (int64_t x = lo; x < hi; ++x)
            target[(x - x0) * stepP] = source[x * sx];
        for (int64_t x = hi; x < x0 + n; ++x)
          target[(x - x0) * stepP] = fill;
      }
      p += n;
    }
  }
}

/// Calls f(tap, result row start, source base, lo, hi, step) for each kernel tap in
/// row-major order and each result row: positions start + x, x in [lo, hi), read
/// source base + x * step. Positions that the tap reads from padding are left out.
template <typename F> void forTapRows(const Window &w, F &&f) {
  int64_t rank = w.rank(), taps = w.kernelSize(), inner = w.out[rank - 1];
  int64_t rows = inner ? w.outSize() / inner : 0, sx = w.stride[rank - 1];
  Shape stride = rowMajorStrides(w.in), k(rank, 0);
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t d = rank, rest = tap; d-- > 0; rest /= w.kernel[d])
      k[d] = rest % w.kernel[d];
    int64_t shift = k[rank - 1] * w.dilation[rank - 1] - w.padBegin[rank - 1];
    int64_t lo = shift < 0 ? (-shift + sx - 1) / sx : 0;
    int64_t hi = w.in[rank - 1] - 1 - shift < 0 ? 0 : (w.in[rank - 1] - 1 - shift) / sx + 1;
    hi = std::min(hi, inner);
    for (int64_t row = 0; row < rows && lo < hi; ++row) {
      int64_t base = shift;
      bool inside = true;
      for (int64_t d = rank - 1, rest = row; d-- > 0; rest /= w.out[d]) {
        int64_t i = rest % w.out[d] * w.stride[d] + k[d] * w.dilation[d] - w.padBegin[d];
        inside &= i >= 0 && i < w.in[d];
        base += i * stride[d];
      }
      if (inside)
        f(tap, row * inner, base, lo, hi, sx);
    }
  }
}

/// Result positions per block, so that an unfolded block stays within ~4 MiB.
int64_t unfoldBlock(const Convolution &conv, int64_t elementBytes);

} // namespace npucc::ops
