//===- Resize.cpp - Resize in all its modes -------------------------------===//
//
// Axis by axis: each result index is a weighted sum of a few source indices.
// Coordinates are computed in fp32, as ONNX Runtime does, since a nearest
// neighbour depends on the last bit.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

/// One axis: sizes, the scale, and the part of the input for tf_crop_and_resize.
struct Axis {
  int64_t axis, in, out;
  float scale, start = 0, end = 1;
  bool sized = false; // the scale is out / in, before rounding
};

struct ResizePlan {
  std::vector<Axis> axes;
  Shape shape;
};

Expected<ResizePlan> planResize(const Node &node, ArrayRef<int64_t> dims,
                                std::optional<std::vector<float>> roi,
                                std::optional<std::vector<float>> scales,
                                std::optional<std::vector<int64_t>> sizes) {
  int64_t rank = static_cast<int64_t>(dims.size());
  std::vector<int64_t> axes = node.getInts("axes");
  if (!node.has("axes"))
    for (int64_t d = 0; d < rank; ++d)
      axes.push_back(d);
  NPUCC_TAKE(unique, normalizeAxes(axes, rank));
  (void)unique;
  if (scales && scales->empty())
    scales.reset();
  if (sizes && sizes->empty())
    sizes.reset();
  if (!scales == !sizes)
    return fail("needs either scales or sizes");
  if ((scales ? scales->size() : sizes->size()) != axes.size())
    return fail(Twine(scales ? "scales" : "sizes") + " should have " + Twine(axes.size()) +
                " elements");
  ResizePlan plan;
  plan.shape.assign(dims.begin(), dims.end());
  std::string policy = node.getString("keep_aspect_ratio_policy", "stretch");
  float shared = 0;
  if (sizes && policy != "stretch") {
    if (policy != "not_larger" && policy != "not_smaller")
      return fail("keep_aspect_ratio_policy '" + policy + "' is not known");
    for (size_t i = 0; i < axes.size(); ++i) {
      int64_t in = dims[axes[i] < 0 ? axes[i] + rank : axes[i]];
      if (in <= 0)
        return fail("cannot keep the aspect ratio of " + text(dims));
      float scale = static_cast<float>((*sizes)[i]) / static_cast<float>(in);
      shared = i == 0                   ? scale
               : policy == "not_larger" ? std::min(shared, scale)
                                        : std::max(shared, scale);
    }
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    Axis a;
    a.axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    a.in = dims[a.axis];
    double out;
    if (scales) {
      a.scale = (*scales)[i];
      out = std::floor(static_cast<double>(static_cast<float>(a.in) * a.scale));
    } else if (shared > 0) {
      a.scale = shared;
      out = std::floor(static_cast<double>(shared * static_cast<float>(a.in)) + 0.5);
    } else {
      if (a.in == 0 && (*sizes)[i] != 0)
        return fail("cannot resize the empty dimension " + Twine(a.axis));
      a.scale = a.in ? static_cast<float>((*sizes)[i]) / static_cast<float>(a.in) : 1;
      a.sized = true;
      out = static_cast<double>((*sizes)[i]);
    }
    if (a.in < 0) { // scales without a known size
      plan.shape[a.axis] = scales ? (a.scale == 1 ? a.in : -1) : (*sizes)[i];
      continue;
    }
    if (!(out >= 0 && out < 2147483648.0) || !(a.scale >= 0))
      return fail("size or scale of dimension " + Twine(a.axis) + " is out of range");
    a.out = static_cast<int64_t>(out);
    if (roi && roi->size() == 2 * axes.size()) {
      a.start = (*roi)[i];
      a.end = (*roi)[i + axes.size()];
    }
    plan.shape[a.axis] = a.out;
    plan.axes.push_back(a);
  }
  return plan;
}

//===----------------------------------------------------------------------===//
// Coordinates
//===----------------------------------------------------------------------===//

enum class Coordinates { HalfPixel, Symmetric, PytorchHalfPixel, AlignCorners, Asymmetric, Crop };

Expected<Coordinates> coordinateMode(const Node &node) {
  static const std::pair<const char *, Coordinates> modes[] = {
      {"half_pixel", Coordinates::HalfPixel},
      {"half_pixel_symmetric", Coordinates::Symmetric},
      {"pytorch_half_pixel", Coordinates::PytorchHalfPixel},
      {"align_corners", Coordinates::AlignCorners},
      {"asymmetric", Coordinates::Asymmetric},
      {"tf_crop_and_resize", Coordinates::Crop}};
  std::string mode = node.getString("coordinate_transformation_mode", "half_pixel");
  for (auto [name, value] : modes)
    if (mode == name)
      return value;
  return fail("coordinate_transformation_mode '" + mode + "' is not known");
}

/// In double, and without a rounded scale where sizes were given: `nearest` depends on exact ties.
double sourceCoordinate(const Axis &a, Coordinates mode, int64_t index) {
  double x = static_cast<double>(index), in = static_cast<double>(a.in);
  double out = static_cast<double>(a.out), scale = a.scale, exact = a.sized ? out : scale * in;
  auto shrink = [&](double v) { return a.sized ? v * in / out : v / scale; };
  switch (mode) {
  case Coordinates::HalfPixel:
    return shrink(x + 0.5) - 0.5;
  case Coordinates::Symmetric:
    return in / 2 * (1 - out / exact) + shrink(x + 0.5) - 0.5;
  case Coordinates::PytorchHalfPixel:
    return a.out > 1 ? shrink(x + 0.5) - 0.5 : 0;
  case Coordinates::AlignCorners:
    return exact == 1 || a.out == 1 ? 0 : x * (in - 1) / (exact - 1);
  case Coordinates::Asymmetric:
    return shrink(x);
  case Coordinates::Crop:
    return a.out > 1 ? a.start * (in - 1) + x * (a.end - a.start) * (in - 1) / (out - 1)
                     : 0.5 * (a.start + a.end) * (in - 1);
  }
  return 0;
}

//===----------------------------------------------------------------------===//
// Filters
//===----------------------------------------------------------------------===//

enum class Filter { Nearest, Linear, Cubic };
enum class Rounding { PreferFloor, PreferCeil, Floor, Ceil };

int64_t nearest(double x, Rounding rounding) {
  switch (rounding) {
  case Rounding::PreferFloor:
    return saturate<int64_t>(std::ceil(x - 0.5));
  case Rounding::PreferCeil:
    return saturate<int64_t>(std::floor(x + 0.5));
  case Rounding::Floor:
    return saturate<int64_t>(std::floor(x));
  case Rounding::Ceil:
    return saturate<int64_t>(std::ceil(x));
  }
  return 0;
}

float cubicWeight(float d, float a) {
  d = std::abs(d);
  if (d <= 1)
    return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/// Source indices and weights of one result index.
struct Taps {
  std::vector<int64_t> index;
  std::vector<float> weight;
};

Taps filterTaps(const Axis &a, float x, Filter filter, bool antialias, float cubicA,
                bool excludeOutside) {
  Taps taps;
  // A filter for shrinking is stretched by the scale.
  float squeeze = antialias ? std::min(a.scale, 1.0f) : 1.0f;
  float radius = (filter == Filter::Linear ? 1.0f : 2.0f) / squeeze;
  int64_t first = static_cast<int64_t>(std::floor(x - radius)) + 1;
  int64_t last = static_cast<int64_t>(std::ceil(x + radius)) - 1;
  if (last < first) // cannot be for radius >= 1, but x may be huge
    last = first;
  float sum = 0;
  for (int64_t i = first; i <= last; ++i) {
    float d = (static_cast<float>(i) - x) * squeeze;
    float w = filter == Filter::Linear ? std::max(0.0f, 1 - std::abs(d)) : cubicWeight(d, cubicA);
    if (w == 0 || (excludeOutside && (i < 0 || i >= a.in)))
      continue;
    taps.index.push_back(std::clamp<int64_t>(i, 0, a.in - 1));
    taps.weight.push_back(w);
    sum += w;
  }
  if ((antialias || excludeOutside) && sum != 0)
    for (float &w : taps.weight)
      w /= sum;
  return taps;
}

/// y[o][k][i] = sum of weight * x[o][index][i] along one axis.
Expected<Tensor> interpolate(const Tensor &x, const Axis &a, ArrayRef<Taps> taps) {
  Shape shape(x.shape().begin(), x.shape().end());
  shape[a.axis] = a.out;
  NPUCC_TAKE(out, allocate(x.type(), shape));
  int64_t outer = product(x.shape().take_front(a.axis));
  int64_t inner = product(x.shape().drop_front(a.axis + 1));
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T *to = out.mutableValues<T>().data();
        const T *from = x.values<T>().data();
        for (int64_t o = 0; o < outer; ++o, from += a.in * inner)
          for (int64_t k = 0; k < a.out; ++k, to += inner)
            for (size_t t = 0; t < taps[k].index.size(); ++t) {
              const T *row = from + taps[k].index[t] * inner;
              T weight = static_cast<T>(taps[k].weight[t]);
              for (int64_t i = 0; i < inner; ++i)
                to[i] += weight * row[i];
            }
      }))
    return unsupportedType(x.type());
  return std::move(out);
}

/// y[o][k][i] = x[o][map[k]][i] along one axis.
Expected<Tensor> pickAlong(const Tensor &x, const Axis &a, ArrayRef<int64_t> map) {
  Shape shape(x.shape().begin(), x.shape().end());
  shape[a.axis] = a.out;
  NPUCC_TAKE(out, allocate(x.type(), shape));
  int64_t outer = product(x.shape().take_front(a.axis));
  int64_t inner = product(x.shape().drop_front(a.axis + 1));
  if (!dispatchWidth(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T *to = out.mutableValues<T>().data();
        const T *from = x.values<T>().data();
        for (int64_t o = 0; o < outer; ++o, from += a.in * inner) {
          if (inner == 1)
            for (int64_t k = 0; k < a.out; ++k)
              *to++ = from[map[k]];
          else
            for (int64_t k = 0; k < a.out; ++k, to += inner)
              std::memcpy(to, from + map[k] * inner, inner * sizeof(T));
        }
      }))
    return unsupportedType(x.type());
  return std::move(out);
}

/// Result positions that lie outside the input along an axis take `value`.
void extrapolate(Tensor &out, const Axis &a, ArrayRef<bool> outside, double value) {
  int64_t outer = product(out.shape().take_front(a.axis));
  int64_t inner = product(out.shape().drop_front(a.axis + 1));
  dispatchNumeric(out.type(), [&](auto tag) {
    using T = decltype(tag);
    T *to = out.mutableValues<T>().data(), fill;
    if constexpr (std::is_integral_v<T>)
      fill = saturate<T>(value);
    else
      fill = static_cast<T>(value);
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t k = 0; k < a.out; ++k)
        if (outside[k])
          std::fill_n(to + (o * a.out + k) * inner, inner, fill);
  });
}

Expected<ResizePlan> planOf(const Node &node, ArrayRef<Tensor> inputs) {
  std::optional<std::vector<float>> roi, scales;
  std::optional<std::vector<int64_t>> sizes;
  if (present(inputs, 1))
    roi = floats(inputs[1]);
  if (present(inputs, 2))
    scales = floats(inputs[2]);
  if (present(inputs, 3)) {
    auto list = ints(inputs[3]);
    sizes.emplace(list.begin(), list.end());
  }
  return planResize(node, inputs[0].shape(), roi, scales, sizes);
}

Expected<Tensors> resize(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(plan, planOf(node, inputs));
  NPUCC_TAKE(coordinates, coordinateMode(node));
  std::string mode = node.getString("mode", "nearest");
  std::string round = node.getString("nearest_mode", "round_prefer_floor");
  Filter filter = mode == "cubic"    ? Filter::Cubic
                  : mode == "linear" ? Filter::Linear
                                     : Filter::Nearest;
  if (filter == Filter::Nearest && mode != "nearest")
    return fail("mode '" + mode + "' is not known");
  Rounding rounding = round == "round_prefer_ceil" ? Rounding::PreferCeil
                      : round == "floor"           ? Rounding::Floor
                      : round == "ceil"            ? Rounding::Ceil
                                                   : Rounding::PreferFloor;
  if (rounding == Rounding::PreferFloor && round != "round_prefer_floor")
    return fail("nearest_mode '" + round + "' is not known");
  bool crop = coordinates == Coordinates::Crop;
  bool antialias = node.getInt("antialias", 0) != 0;
  bool exclude = node.getInt("exclude_outside", 0) != 0;
  float cubicA = node.getFloat("cubic_coeff_a", -0.75f);

  Tensor x = inputs[0];
  // Checks the size of the result before work starts on the parts.
  NPUCC_TAKE(whole, allocate(x.type(), plan.shape));
  if (whole.size() == 0)
    return one(whole);
  ElementType type = x.type();
  if (filter != Filter::Nearest && isInteger(type))
    x = castTensor(x, ElementType::Float32);
  std::vector<std::pair<Axis, std::vector<bool>>> cropped;
  for (const Axis &a : plan.axes) {
    if (a.in == a.out && a.scale == 1 && !crop)
      continue;
    if (a.in == 0 && a.out != 0)
      return fail("cannot resize the empty dimension " + Twine(a.axis));
    std::vector<int64_t> map(a.out);
    std::vector<Taps> taps(filter == Filter::Nearest ? 0 : a.out);
    std::vector<bool> outside(a.out, false);
    for (int64_t k = 0; k < a.out; ++k) {
      double c = sourceCoordinate(a, coordinates, k);
      if (!(std::abs(c) < 1e9))
        return fail("scale or roi of dimension " + Twine(a.axis) + " is out of range");
      outside[k] = c < 0 || c > static_cast<double>(a.in - 1);
      if (filter == Filter::Nearest) {
        map[k] = std::clamp<int64_t>(nearest(c, rounding), 0, a.in - 1);
        continue;
      }
      if (antialias && a.scale * 65536 < 1)
        return fail("scale of dimension " + Twine(a.axis) + " is too small");
      taps[k] = filterTaps(a, static_cast<float>(c), filter, antialias, cubicA, exclude);
    }
    Expected<Tensor> next =
        filter == Filter::Nearest ? pickAlong(x, a, map) : interpolate(x, a, taps);
    if (!next)
      return next.takeError();
    x = *next;
    if (crop)
      cropped.emplace_back(a, std::move(outside));
  }
  for (auto &[a, outside] : cropped) {
    llvm::SmallVector<bool, 64> flags(outside.begin(), outside.end());
    extrapolate(x, a, flags, node.getFloat("extrapolation_value", 0));
  }
  return one(as(x, type));
}

Error inferResize(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  if (!dims) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  // An input that is there but empty counts as absent.
  auto counts = [&](size_t i) {
    auto list = dimsOf(c, i);
    return c.has(i) && !(list && list->size() == 1 && (*list)[0] == 0);
  };
  std::optional<std::vector<float>> scales;
  std::optional<std::vector<int64_t>> sizes;
  if (counts(2) && c.constant(2))
    scales = floats(*c.constant(2));
  if (counts(3))
    if (auto list = constantInts(c, 3))
      sizes.emplace(list->begin(), list->end());
  if (!scales && !sizes && (counts(2) || counts(3))) {
    setOutput(c, 0, typeOf(c, 0), unknown(static_cast<int64_t>(dims->size())));
    return Error::success();
  }
  NPUCC_TAKE(plan, planResize(c.node, *dims, std::nullopt, scales, sizes));
  setOutput(c, 0, typeOf(c, 0), plan.shape);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> resizeOps() {
  static const OpInfo table[] = {
      {"", "Resize", 19, inferResize, widened<resize>},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::imageOps() {
  static const std::vector<OpInfo> all =
      ops::join({ops::resizeOps(), ops::samplingOps(), ops::detectionOps(), ops::signalOps()});
  return all;
}
