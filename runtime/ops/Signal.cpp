//===- Signal.cpp - DFT, STFT, windows, MelWeightMatrix, Det --------------===//
//
// Transforms are computed in fp64.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

#include <complex>

namespace npucc::ops {
namespace {

using Complex = std::complex<double>;
constexpr double kPi = 3.14159265358979323846;

void transform(std::vector<Complex> &x, bool inverse);

/// The transform as a convolution (Bluestein: A linear filtering approach to the computation of
/// discrete Fourier transform, 1970), whose length may be a power of two: any length takes
/// n log n steps.
void chirpTransform(std::vector<Complex> &x, bool inverse) {
  size_t n = x.size(), length = 1;
  while (length < 2 * n - 1)
    length *= 2;
  std::vector<Complex> chirp(n), a(length), b(length);
  for (size_t k = 0; k < n; ++k) {
    double turn = kPi * static_cast<double>(k * k % (2 * n)) / static_cast<double>(n);
    chirp[k] = std::polar(1.0, inverse ? turn : -turn);
    a[k] = x[k] * chirp[k];
    b[k] = b[(length - k) % length] = std::conj(chirp[k]);
  }
  transform(a, false);
  transform(b, false);
  for (size_t k = 0; k < length; ++k)
    a[k] *= b[k];
  transform(a, true);
  for (size_t k = 0; k < n; ++k)
    x[k] = a[k] * chirp[k] / static_cast<double>(length);
}

/// Discrete Fourier transform, not scaled; radix 2 as far as the length allows it.
void transform(std::vector<Complex> &x, bool inverse) {
  size_t n = x.size();
  double sign = inverse ? 2 * kPi : -2 * kPi;
  if (n < 2)
    return;
  if (n % 2 && n > 64)
    return chirpTransform(x, inverse);
  if (n % 2 == 0) {
    std::vector<Complex> even(n / 2), odd(n / 2);
    for (size_t i = 0; i < n / 2; ++i) {
      even[i] = x[2 * i];
      odd[i] = x[2 * i + 1];
    }
    transform(even, inverse);
    transform(odd, inverse);
    for (size_t k = 0; k < n / 2; ++k) {
      Complex turned =
          odd[k] * std::polar(1.0, sign * static_cast<double>(k) / static_cast<double>(n));
      x[k] = even[k] + turned;
      x[k + n / 2] = even[k] - turned;
    }
    return;
  }
  std::vector<Complex> root(n), result(n);
  for (size_t k = 0; k < n; ++k)
    root[k] = std::polar(1.0, sign * static_cast<double>(k) / static_cast<double>(n));
  for (size_t k = 0; k < n; ++k)
    for (size_t i = 0, turn = 0; i < n; ++i, turn = (turn + k) % n)
      result[k] += x[i] * root[turn];
  x = std::move(result);
}

/// Nobody needs a longer one.
constexpr int64_t kMaxLength = int64_t(1) << 24;
Error checkLength(int64_t n) {
  if (n < 1 || n > kMaxLength)
    return fail("transform length " + Twine(n) + " is out of range");
  return Error::success();
}

//===----------------------------------------------------------------------===//
// DFT
//===----------------------------------------------------------------------===//

struct DftPlan {
  int64_t axis, length; ///< length -1: not known
  Shape shape;
};
Expected<DftPlan> planDft(const Node &node, ArrayRef<int64_t> dims, std::optional<int64_t> length,
                          int64_t axis) {
  int64_t rank = static_cast<int64_t>(dims.size());
  bool onesided = node.getInt("onesided", 0) != 0;
  if (rank < 2 || (dims.back() >= 0 && dims.back() != 1 && dims.back() != 2))
    return fail("input " + text(dims) + " must end with a dimension of 1 or 2");
  NPUCC_TAKE(normal, normalizeAxis(axis, rank));
  if (normal == rank - 1)
    return fail("axis must not be the last one");
  if (onesided && node.getInt("inverse", 0))
    return fail("onesided and inverse exclude each other");
  DftPlan plan{normal, length.value_or(dims[normal]), Shape(dims.begin(), dims.end())};
  plan.shape[normal] = onesided && plan.length >= 0 ? plan.length / 2 + 1 : plan.length;
  plan.shape.back() = 2;
  return plan;
}
int64_t dftAxis(const Node &node, const Tensor *input) {
  // Opset 17 had an attribute with another default.
  if (input && input->size() == 1)
    return input->asInt(0);
  return node.getInt("axis", -2);
}

Expected<Tensors> dft(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  std::optional<int64_t> length;
  if (present(inputs, 1)) {
    if (inputs[1].size() != 1)
      return fail("dft_length must be a scalar");
    length = inputs[1].asInt(0);
  }
  NPUCC_TAKE(plan, planDft(node, x.shape(), length,
                           dftAxis(node, present(inputs, 2) ? &inputs[2] : nullptr)));
  NPUCC_TRY(checkLength(plan.length));
  NPUCC_TAKE(out, allocate(x.type(), plan.shape));
  bool inverse = node.getInt("inverse", 0) != 0, complex = x.shape().back() == 2;
  int64_t n = x.shape()[plan.axis], bins = plan.shape[plan.axis], parts = complex ? 2 : 1;
  int64_t outer = product(x.shape().take_front(plan.axis));
  int64_t inner = product(x.shape().drop_front(plan.axis + 1).drop_back());
  std::vector<Complex> line(plan.length);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t i = 0; i < inner; ++i) {
            for (int64_t k = 0; k < plan.length; ++k) { // cut, or padded with zeros
              const T *p = from + ((o * n + k) * inner + i) * parts;
              line[k] = k < n ? Complex(p[0], complex ? p[1] : T(0)) : Complex();
            }
            transform(line, inverse);
            double scale = inverse ? 1.0 / static_cast<double>(plan.length) : 1.0;
            for (int64_t k = 0; k < bins; ++k) {
              T *q = to + ((o * bins + k) * inner + i) * 2;
              q[0] = static_cast<T>(line[k].real() * scale);
              q[1] = static_cast<T>(line[k].imag() * scale);
            }
          }
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferDft(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  if (!dims || (c.has(2) && !c.constant(2))) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  std::optional<int64_t> length;
  if (c.has(1))
    length = c.constant(1) && c.constant(1)->size() == 1 ? c.constant(1)->asInt(0) : -1;
  NPUCC_TAKE(plan, planDft(c.node, *dims, length, dftAxis(c.node, c.constant(2))));
  setOutput(c, 0, typeOf(c, 0), plan.shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// STFT
//===----------------------------------------------------------------------===//

Expected<Tensors> stft(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  bool complex = x.rank() == 3 && x.shape()[2] == 2;
  if (x.rank() != 2 && !complex && !(x.rank() == 3 && x.shape()[2] == 1))
    return fail("signal " + text(x.shape()) +
                " must be [batch, samples], with a last dimension of 1 or 2 or none");
  if (inputs[1].size() != 1 || inputs[1].asInt(0) < 1)
    return fail("frame_step must be a positive scalar");
  int64_t step = inputs[1].asInt(0), samples = x.shape()[1], length = samples;
  if (present(inputs, 3) && inputs[3].size() == 1)
    length = inputs[3].asInt(0);
  else if (present(inputs, 2))
    length = inputs[2].size();
  NPUCC_TRY(checkLength(length));
  if (length > samples || (present(inputs, 2) && inputs[2].size() > length))
    return fail("frame length " + Twine(length) + " does not fit the signal or the window");
  int64_t frames = (samples - length) / step + 1;
  bool onesided = node.getInt("onesided", 1) != 0 && !complex;
  int64_t bins = onesided ? length / 2 + 1 : length, parts = complex ? 2 : 1;
  NPUCC_TAKE(out, allocate(x.type(), {x.shape()[0], frames, bins, 2}));
  std::vector<Complex> line(length);
  int64_t window = present(inputs, 2) ? inputs[2].size() : length;
  for (int64_t b = 0; b < x.shape()[0]; ++b)
    for (int64_t f = 0; f < frames; ++f) {
      for (int64_t k = 0; k < length; ++k) {
        int64_t at = (b * samples + f * step + k) * parts;
        double w = k >= window ? 0 : present(inputs, 2) ? inputs[2].asDouble(k) : 1;
        line[k] = Complex(x.asDouble(at) * w, complex ? x.asDouble(at + 1) * w : 0);
      }
      transform(line, false);
      if (!dispatchFloat(x.type(), [&](auto tag) {
            using T = decltype(tag);
            T *to = out.mutableValues<T>().data() + (b * frames + f) * bins * 2;
            for (int64_t k = 0; k < bins; ++k) {
              to[2 * k] = static_cast<T>(line[k].real());
              to[2 * k + 1] = static_cast<T>(line[k].imag());
            }
          }))
        return unsupportedType(x.type());
    }
  return one(out);
}
Error inferStft(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  Shape shape = unknown(4);
  shape[3] = 2;
  auto dims = dimsOf(c, 0), window = dimsOf(c, 2);
  int64_t length = -1;
  if (c.has(3))
    length = c.constant(3) && c.constant(3)->size() == 1 ? c.constant(3)->asInt(0) : -1;
  else if (window && window->size() == 1)
    length = (*window)[0];
  if (dims && !dims->empty())
    shape[0] = (*dims)[0];
  if (dims && dims->size() >= 2 && length > 0) {
    bool complex = dims->size() == 3 && (*dims)[2] == 2;
    shape[2] = c.node.getInt("onesided", 1) && !complex ? length / 2 + 1 : length;
    if (c.constant(1) && c.constant(1)->size() == 1 && c.constant(1)->asInt(0) > 0 &&
        (*dims)[1] >= length)
      shape[1] = ((*dims)[1] - length) / c.constant(1)->asInt(0) + 1;
  }
  setOutput(c, 0, typeOf(c, 0), shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Windows, MelWeightMatrix
//===----------------------------------------------------------------------===//

Expected<ElementType> outputType(const Node &node) {
  int64_t type = node.getInt("output_datatype", 1);
  if (type < 1 || type > static_cast<int64_t>(ElementType::BFloat16) ||
      type == static_cast<int64_t>(ElementType::String) ||
      (type >= static_cast<int64_t>(ElementType::Complex64) && type <= 15))
    return fail("output_datatype " + Twine(type) + " is not supported");
  return static_cast<ElementType>(type);
}
/// a0 - a1 cos(2 pi k / n) + a2 cos(4 pi k / n)
Expected<Tensors> window(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(type, outputType(node));
  double a[3] = {0.5, 0.5, 0};
  if (node.opType == "HammingWindow")
    a[0] = 25.0 / 46, a[1] = 1 - 25.0 / 46;
  if (node.opType == "BlackmanWindow")
    a[0] = 0.42, a[1] = 0.5, a[2] = 0.08;
  if (inputs[0].size() != 1 || inputs[0].asInt(0) < 0)
    return fail("size must be one number that is not negative");
  int64_t size = inputs[0].asInt(0);
  double n = static_cast<double>(node.getInt("periodic", 1) ? size : size - 1);
  NPUCC_TAKE(out, allocate(ElementType::Float64, {size}));
  for (int64_t k = 0; k < size; ++k) {
    double turn = n > 0 ? 2 * kPi * static_cast<double>(k) / n : 0;
    out.mutableValues<double>()[k] = a[0] - a[1] * std::cos(turn) + a[2] * std::cos(2 * turn);
  }
  return one(as(out, type));
}
Error inferWindow(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  NPUCC_TAKE(type, outputType(c.node));
  const Tensor *size = c.constant(0);
  setOutput(c, 0, type, Shape{size && size->size() == 1 ? size->asInt(0) : -1});
  return Error::success();
}

Expected<Tensors> melWeightMatrix(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 5));
  NPUCC_TAKE(type, outputType(node));
  for (const Tensor &input : inputs)
    if (input.size() != 1)
      return fail("inputs must be scalars");
  int64_t mels = inputs[0].asInt(0), length = inputs[1].asInt(0), rate = inputs[2].asInt(0);
  double low = inputs[3].asDouble(0), high = inputs[4].asDouble(0);
  if (mels < 1 || mels > (1 << 20) || length < 1 || length > kMaxLength || rate < 1)
    return fail("num_mel_bins, dft_length or sample_rate is out of range");
  int64_t bins = length / 2 + 1;
  auto toMel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  double melLow = toMel(low), melStep = (toMel(high) - melLow) / static_cast<double>(mels + 2);
  std::vector<double> edge(mels + 2);
  for (int64_t i = 0; i < mels + 2; ++i) {
    double hertz = 700 * (std::pow(10, (static_cast<double>(i) * melStep + melLow) / 2595) - 1);
    edge[i] = std::floor(static_cast<double>(length + 1) * hertz / static_cast<double>(rate));
    if (!(edge[i] >= 0 && edge[i] < static_cast<double>(bins) + 1))
      return fail("upper_edge_hertz exceeds half the sample rate");
  }
  NPUCC_TAKE(out, allocate(ElementType::Float32, {bins, mels}));
  float *to = out.mutableValues<float>().data();
  for (int64_t m = 0; m < mels; ++m) {
    int64_t lower = static_cast<int64_t>(edge[m]), centre = static_cast<int64_t>(edge[m + 1]);
    int64_t upper = static_cast<int64_t>(edge[m + 2]);
    if (centre == lower && centre < bins)
      to[centre * mels + m] = 1;
    for (int64_t k = lower; k <= centre && k < bins && centre > lower; ++k)
      to[k * mels + m] = static_cast<float>(k - lower) / static_cast<float>(centre - lower);
    for (int64_t k = centre; k < upper && k < bins; ++k)
      to[k * mels + m] = static_cast<float>(upper - k) / static_cast<float>(upper - centre);
  }
  return one(as(out, type));
}
Error inferMelWeightMatrix(InferContext &c) {
  NPUCC_TRY(require(c, 5));
  NPUCC_TAKE(type, outputType(c.node));
  Shape shape = unknown(2);
  if (c.constant(0) && c.constant(0)->size() == 1)
    shape[1] = c.constant(0)->asInt(0);
  if (c.constant(1) && c.constant(1)->size() == 1)
    shape[0] = c.constant(1)->asInt(0) / 2 + 1;
  setOutput(c, 0, type, shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Det
//===----------------------------------------------------------------------===//

Expected<Shape> detShape(ArrayRef<int64_t> dims) {
  if (dims.size() < 2 ||
      (dims.back() >= 0 && dims[dims.size() - 2] >= 0 && dims.back() != dims[dims.size() - 2]))
    return fail("input " + text(dims) + " must end with square matrices");
  return Shape(dims.begin(), dims.end() - 2);
}
Expected<Tensors> det(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(shape, detShape(x.shape()));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  if (out.size() == 0)
    return one(out);
  int64_t n = x.shape().back();
  std::vector<double> m(n * n);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        for (int64_t b = 0; b < out.size(); ++b) {
          std::copy_n(x.values<T>().data() + b * n * n, n * n, m.begin());
          double result = 1;
          for (int64_t k = 0; k < n; ++k) { // elimination with partial pivoting
            int64_t pivot = k;
            for (int64_t i = k + 1; i < n; ++i)
              if (std::abs(m[i * n + k]) > std::abs(m[pivot * n + k]))
                pivot = i;
            if (m[pivot * n + k] == 0) {
              result = 0;
              break;
            }
            if (pivot != k) {
              std::swap_ranges(m.begin() + k * n, m.begin() + k * n + n, m.begin() + pivot * n);
              result = -result;
            }
            result *= m[k * n + k];
            for (int64_t i = k + 1; i < n; ++i) {
              double factor = m[i * n + k] / m[k * n + k];
              for (int64_t j = k; j < n; ++j)
                m[i * n + j] -= factor * m[k * n + j];
            }
          }
          out.mutableValues<T>()[b] = static_cast<T>(result);
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferDet(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  if (auto dims = dimsOf(c, 0))
    return setShape(c, typeOf(c, 0), detShape(*dims));
  setOutput(c, 0, typeOf(c, 0));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> signalOps() {
  static const OpInfo table[] = {
      {"", "DFT", 20, inferDft, widened<dft>},
      {"", "STFT", 17, inferStft, widened<stft>},
      {"", "HannWindow", 17, inferWindow, window},
      {"", "HammingWindow", 17, inferWindow, window},
      {"", "BlackmanWindow", 17, inferWindow, window},
      {"", "MelWeightMatrix", 17, inferMelWeightMatrix, melWeightMatrix},
      {"", "Det", 11, inferDet, widened<det>},
  };
  return table;
}

} // namespace npucc::ops
