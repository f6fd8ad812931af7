//===- Resize.cpp - Resize by repetition, selection or small matrices ---------===//

#include "compiler/lowering/Build.h"

#include <cmath>

using namespace mlir;

namespace npucc::lowering {

namespace {
struct Axis {
  int64_t dim, in, out;
  double scale;
  bool sized = true; // the scale is out / in
};
} // namespace

/// Position in the input that an output position looks at; nullopt for an unknown mode.
static std::optional<double> sourcePosition(StringRef mode, const Axis &a, int64_t i) {
  double x = static_cast<double>(i), in = static_cast<double>(a.in);
  double out = static_cast<double>(a.out), exact = a.sized ? out : a.scale * in; // not rounded
  // `nearest` depends on exact ties: one rounding.
  auto shrink = [&](double v) { return a.sized ? v * in / out : v / a.scale; };
  if (mode == "half_pixel")
    return shrink(x + 0.5) - 0.5;
  if (mode == "pytorch_half_pixel")
    return a.out > 1 ? shrink(x + 0.5) - 0.5 : 0.0;
  if (mode == "align_corners")
    return a.out > 1 && exact != 1 ? x * (in - 1) / (exact - 1) : 0.0;
  if (mode == "asymmetric")
    return shrink(x);
  if (mode == "half_pixel_symmetric") {
    double adjustment = out / exact;
    return in / 2 * (1 - adjustment) + shrink(x + 0.5) - 0.5;
  }
  return std::nullopt;
}

static int64_t nearest(StringRef mode, double x) {
  if (mode == "floor")
    return static_cast<int64_t>(std::floor(x));
  if (mode == "ceil")
    return static_cast<int64_t>(std::ceil(x));
  if (mode == "round_prefer_ceil")
    return static_cast<int64_t>(std::floor(x + 0.5));
  return static_cast<int64_t>(std::ceil(x - 0.5));
}

/// Weights of the inputs at floor(x) - taps / 2 + 1, ...
static SmallVector<double, 4> tapWeights(bool cubic, double fraction, double a) {
  if (!cubic)
    return {1 - fraction, fraction};
  auto near = [a](double d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  auto far = [a](double d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  return {far(1 + fraction), near(fraction), near(1 - fraction), far(2 - fraction)};
}

/// out x in matrix of one axis.
static std::vector<float> resizeMatrix(const Axis &axis, ArrayRef<double> positions, bool cubic,
                                       double a) {
  std::vector<float> matrix(axis.out * axis.in, 0.0f);
  for (int64_t o = 0; o < axis.out; ++o) {
    double x = positions[o];
    if (!cubic)
      x = std::clamp(x, 0.0, static_cast<double>(axis.in - 1));
    double base = std::floor(x);
    auto weights = tapWeights(cubic, x - base, a);
    int64_t first = static_cast<int64_t>(base) - (cubic ? 1 : 0);
    for (auto [t, weight] : llvm::enumerate(weights)) {
      int64_t i = std::clamp<int64_t>(first + static_cast<int64_t>(t), 0, axis.in - 1);
      matrix[o * axis.in + i] += static_cast<float>(weight);
    }
  }
  return matrix;
}

/// Each index repeated `factor` times: a broadcast along a new dimension.
static Value repeat(LoweringContext &c, Value storage, int64_t dim, int64_t factor) {
  Ints shape(shapeOf(storage));
  int64_t rank = shape.size();
  Ints wide(shape), dims;
  wide.insert(wide.begin() + dim + 1, factor);
  for (int64_t d = 0; d < rank; ++d)
    dims.push_back(d <= dim ? d : d + 1);
  Value copies =
      generic(c, storage, dimsMap(c, rank + 1, dims), emptyTensor(c, wide, elementOf(storage)),
              dimsMap(c, rank + 1, iota(rank + 1)),
              [](OpBuilder &, Location, ValueRange x) { return x[0]; });
  shape[dim] *= factor;
  return reshape(c, copies, shape);
}

/// All repeated dimensions at once: one copy instead of one per dimension.
static Value repeatAll(LoweringContext &c, Value storage,
                       ArrayRef<std::pair<int64_t, int64_t>> by) {
  if (by.size() == 1)
    return repeat(c, storage, by[0].first, by[0].second);
  Ints shape(shapeOf(storage)), wide, dims, result(shape);
  for (int64_t d = 0, e = shape.size(); d < e; ++d) {
    dims.push_back(wide.size());
    wide.push_back(shape[d]);
    for (auto [dim, factor] : by)
      if (dim == d) {
        wide.push_back(factor);
        result[d] *= factor;
      }
  }
  int64_t loops = wide.size();
  Value copies = generic(c, storage, dimsMap(c, loops, dims),
                         emptyTensor(c, wide, elementOf(storage)), dimsMap(c, loops, iota(loops)),
                         [](OpBuilder &, Location, ValueRange x) { return x[0]; });
  return reshape(c, copies, result);
}

static LogicalResult lowerNearest(LoweringContext &c, ArrayRef<Axis> axes,
                                  ArrayRef<SmallVector<double>> positions) {
  StringRef rounding = c.getString("nearest_mode", "round_prefer_floor");
  Value y = c.tensor(0);
  SmallVector<std::pair<int64_t, int64_t>> repeats;
  for (auto [axis, where] : llvm::zip_equal(axes, positions)) {
    Ints table;
    for (double x : where)
      table.push_back(std::clamp<int64_t>(nearest(rounding, x), 0, axis.in - 1));
    int64_t factor = axis.out % axis.in == 0 ? axis.out / axis.in : 0;
    bool regular = factor > 0;
    for (int64_t o = 0; regular && o < axis.out; ++o)
      regular = table[o] == o / factor;
    if (regular) {
      repeats.push_back({axis.dim, factor});
      continue;
    }
    Value taken = take(c, y, axis.dim, table);
    if (!taken && isFloat(c.element(0)) && computeType(c.element(0)).isF32()) {
      std::vector<float> matrix(axis.out * axis.in, 0.0f);
      for (int64_t o = 0; o < axis.out; ++o)
        matrix[o * axis.in + table[o]] = 1;
      taken = applyMatrix(c, y, c.element(0), axis.dim, axis.out, matrix);
      taken = toStorage(c, taken, RankedTensorType::get(shapeOf(taken), c.element(0)));
    }
    if (!taken)
      return c.refuse("nearest neighbours at a ratio that is no whole number");
    y = taken;
  }
  return c.result(repeats.empty() ? y : repeatAll(c, y, repeats));
}

static LogicalResult lowerResize(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> in = c.shape(0), out = c.resultType().getShape();
  int64_t rank = in.size();
  StringRef mode = c.getString("mode", "nearest");
  StringRef transform = c.getString("coordinate_transformation_mode", "half_pixel");
  if (c.getInt("antialias", 0) || c.getInt("exclude_outside", 0))
    return c.refuse("antialias or exclude_outside");
  if (c.getString("keep_aspect_ratio_policy", "stretch") != "stretch")
    return c.refuse("keep_aspect_ratio_policy");
  Ints dims = c.getInts("axes", iota(rank));
  std::optional<Tensor> scales = c.has(2) ? c.constant(2) : std::nullopt;
  SmallVector<Axis> axes;
  SmallVector<SmallVector<double>> positions;
  for (auto [i, given] : llvm::enumerate(dims)) {
    int64_t d = wrap(given, rank);
    Axis axis{d, in[d], out[d], static_cast<double>(out[d]) / static_cast<double>(in[d])};
    if (scales && static_cast<size_t>(scales->size()) == dims.size()) {
      axis.scale = scales->asDouble(i);
      axis.sized = false;
    }
    if (axis.in == axis.out && axis.scale == 1)
      continue;
    SmallVector<double> where;
    for (int64_t o = 0; o < axis.out; ++o) {
      auto x = sourcePosition(transform, axis, o);
      if (!x)
        return c.refuse("coordinate_transformation_mode " + transform);
      where.push_back(*x);
    }
    axes.push_back(axis);
    positions.push_back(std::move(where));
  }
  if (axes.empty())
    return c.result(c.tensor(0));
  if (mode == "nearest")
    return lowerNearest(c, axes, positions);
  if (!isFloat(c.element(0)) || !computeType(c.element(0)).isF32())
    return c.refuse("interpolation of numbers that are not fp32 or narrower");
  Value y = c.tensor(0);
  Type element = c.element(0);
  for (auto [axis, where] : llvm::zip_equal(axes, positions)) {
    auto matrix = resizeMatrix(axis, where, mode == "cubic", c.getFloat("cubic_coeff_a", -0.75));
    y = applyMatrix(c, y, element, axis.dim, axis.out, matrix);
    element = c.b.getF32Type();
  }
  return c.result(toStorage(c, y, c.resultType()));
}

ArrayRef<Lowering> resizeLowerings() {
  static const Lowering entries[] = {{"", "Resize", lowerResize}};
  return entries;
}

} // namespace npucc::lowering
