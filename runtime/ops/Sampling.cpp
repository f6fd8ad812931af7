//===- Sampling.cpp - GridSample and RoiAlign ------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

//===----------------------------------------------------------------------===//
// GridSample
//===----------------------------------------------------------------------===//

enum class Padding { Zeros, Border, Reflection };
enum class Mode { Linear, Nearest, Cubic };

double reflect(double x, double low, double high) {
  double range = high - low;
  if (range <= 0)
    return low;
  double from = std::fmod(std::abs(x - low), 2 * range);
  return low + (from > range ? 2 * range - from : from);
}

struct Sampler {
  Mode mode;
  Padding padding;
  bool align;

  /// Pixel coordinate of a normalised one.
  double pixel(double x, int64_t n) const {
    double size = static_cast<double>(n);
    return align ? (x + 1) / 2 * (size - 1) : ((x + 1) * size - 1) / 2;
  }
  std::pair<double, double> borders(int64_t n) const {
    double size = static_cast<double>(n);
    return align ? std::pair(0.0, size - 1) : std::pair(-0.5, size - 0.5);
  }
  /// The pixel that stands for index i; -1: zero.
  int64_t tap(double i, int64_t n) const {
    if (i >= 0 && i < static_cast<double>(n))
      return static_cast<int64_t>(i);
    if (padding == Padding::Zeros)
      return -1;
    if (padding == Padding::Reflection) {
      auto [low, high] = borders(n);
      i = reflect(i, low, high);
    }
    return saturate<int64_t>(std::clamp(i, 0.0, static_cast<double>(n - 1))); // 0 for NaN
  }
  /// Up to four taps along one dimension.
  int taps(double x, int64_t n, int64_t *index, double *weight) const {
    if (!(std::abs(x) < 1e15)) // NaN and infinity sample nothing
      return 0;
    x = pixel(x, n);
    auto [low, high] = borders(n);
    if (mode != Mode::Cubic && padding == Padding::Border)
      x = std::clamp(x, 0.0, static_cast<double>(n - 1));
    else if (mode != Mode::Cubic && padding == Padding::Reflection && (x < low || x > high))
      x = reflect(x, low, high);
    if (mode == Mode::Nearest) {
      index[0] = tap(std::nearbyint(x), n);
      weight[0] = 1;
      return 1;
    }
    double base = std::floor(x), f = x - base;
    if (mode == Mode::Linear) {
      index[0] = tap(base, n);
      index[1] = tap(base + 1, n);
      weight[0] = 1 - f;
      weight[1] = f;
      return 2;
    }
    constexpr double a = -0.75;
    for (int k = 0; k < 4; ++k) {
      double d = std::abs(f - (k - 1));
      index[k] = tap(base + (k - 1), n);
      weight[k] =
          d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
    return 4;
  }
};

Expected<Sampler> samplerOf(const Node &node) {
  Sampler s;
  std::string mode = node.getString("mode", "linear");
  std::string padding = node.getString("padding_mode", "zeros");
  if (mode == "linear" || mode == "bilinear")
    s.mode = Mode::Linear;
  else if (mode == "cubic" || mode == "bicubic")
    s.mode = Mode::Cubic;
  else if (mode == "nearest")
    s.mode = Mode::Nearest;
  else
    return fail("mode '" + mode + "' is not known");
  if (padding == "zeros")
    s.padding = Padding::Zeros;
  else if (padding == "border")
    s.padding = Padding::Border;
  else if (padding == "reflection")
    s.padding = Padding::Reflection;
  else
    return fail("padding_mode '" + padding + "' is not known");
  s.align = node.getInt("align_corners", 0) != 0;
  return s;
}

Expected<Shape> gridShape(ArrayRef<int64_t> x, ArrayRef<int64_t> grid) {
  if ((x.size() != 4 && x.size() != 5) || grid.size() != x.size())
    return fail("X " + text(x) + " and grid " + text(grid) + " must both have rank 4 or 5");
  if (grid.back() >= 0 && grid.back() != static_cast<int64_t>(x.size()) - 2)
    return fail("the last dimension of grid " + text(grid) + " should be " + Twine(x.size() - 2));
  if (x[0] >= 0 && grid[0] >= 0 && x[0] != grid[0])
    return fail("batches of X " + text(x) + " and grid " + text(grid) + " differ");
  Shape shape{x[0], x[1]};
  shape.append(grid.begin() + 1, grid.end() - 1);
  return shape;
}

Expected<Tensors> gridSample(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0], &grid = inputs[1];
  NPUCC_TAKE(sampler, samplerOf(node));
  NPUCC_TAKE(shape, gridShape(x.shape(), grid.shape()));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  int64_t rank = x.rank() - 2, channels = shape[1];
  ArrayRef<int64_t> size = x.shape().drop_front(2);
  int64_t inSize = product(size), points = product(ArrayRef<int64_t>(shape).drop_front(2));
  if (out.size() == 0)
    return one(out);
  if (inSize == 0)
    return fail("X " + text(x.shape()) + " is empty");
  Shape strides = rowMajorStrides(size);
  if (!dispatchFloat(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        for (int64_t n = 0; n < shape[0]; ++n)
          for (int64_t p = 0; p < points; ++p) {
            int64_t index[3][4] = {{0}, {0}, {0}};
            double weight[3][4] = {{1}, {1}, {1}};
            int count[3] = {1, 1, 1};
            for (int64_t d = 0; d < rank; ++d) // the grid's first coordinate is the innermost
              count[d] = sampler.taps(grid.asDouble((n * points + p) * rank + rank - 1 - d),
                                      size[d], index[d], weight[d]);
            for (int i = 0; i < count[0]; ++i)
              for (int j = 0; j < count[1]; ++j)
                for (int k = 0; k < count[2]; ++k) {
                  if (index[0][i] < 0 || index[1][j] < 0 || index[2][k] < 0)
                    continue;
                  int64_t offset = index[0][i] * strides[0] + index[1][j] * strides[1] +
                                   (rank > 2 ? index[2][k] * strides[2] : 0);
                  T w = static_cast<T>(weight[0][i] * weight[1][j] * weight[2][k]);
                  for (int64_t c = 0; c < channels; ++c)
                    to[(n * channels + c) * points + p] +=
                        w * from[(n * channels + c) * inSize + offset];
                }
          }
      }))
    return unsupportedType(x.type());
  return one(out);
}
Error inferGridSample(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto x = dimsOf(c, 0), grid = dimsOf(c, 1);
  if (x && grid)
    return setShape(c, typeOf(c, 0), gridShape(*x, *grid));
  setOutput(c, 0, typeOf(c, 0));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

Expected<Shape> roiShape(const Node &node, ArrayRef<int64_t> x, ArrayRef<int64_t> rois) {
  if (x.size() != 4 || rois.size() != 2 || (rois[1] >= 0 && rois[1] != 4))
    return fail("X " + text(x) + " must have rank 4 and rois " + text(rois) + " shape [n, 4]");
  int64_t h = node.getInt("output_height", 1), w = node.getInt("output_width", 1);
  if (h < 1 || w < 1 || h > (1 << 16) || w > (1 << 16))
    return fail("output_height or output_width is out of range");
  return Shape{rois[0], x[1], h, w};
}

Expected<Tensors> roiAlign(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &x = inputs[0], &rois = inputs[1];
  NPUCC_TAKE(shape, roiShape(node, x.shape(), rois.shape()));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  if (inputs[2].size() != shape[0])
    return fail("batch_indices has " + Twine(inputs[2].size()) + " elements for " +
                Twine(shape[0]) + " rois");
  bool most = node.getString("mode", "avg") == "max";
  bool half = node.getString("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  int64_t ratio = node.getInt("sampling_ratio", 0);
  double scale = node.getFloat("spatial_scale", 1);
  int64_t channels = shape[1], height = x.shape()[2], width = x.shape()[3];
  if (ratio < 0 || ratio > 1024)
    return fail("sampling_ratio is out of range");
  if (height * width == 0 && out.size() != 0)
    return fail("X " + text(x.shape()) + " is empty");
  for (int64_t r = 0; r < shape[0]; ++r) {
    int64_t batch = inputs[2].asInt(r);
    if (batch < 0 || batch >= x.shape()[0])
      return fail("batch index " + Twine(batch) + " is out of range");
    double box[4];
    for (int k = 0; k < 4; ++k) {
      box[k] = rois.asDouble(r * 4 + k) * scale - (half ? 0.5 : 0);
      if (!(std::abs(box[k]) < 1e6))
        return fail("a roi is out of range");
    }
    double boxW = box[2] - box[0], boxH = box[3] - box[1];
    if (!half) {
      boxW = std::max(boxW, 1.0);
      boxH = std::max(boxH, 1.0);
    }
    double binH = boxH / static_cast<double>(shape[2]), binW = boxW / static_cast<double>(shape[3]);
    auto samples = [&](double bin) {
      return std::clamp<int64_t>(ratio ? ratio : static_cast<int64_t>(std::ceil(bin)), 0, 1 << 16);
    };
    int64_t countY = samples(binH), countX = samples(binW);
    if (countY * countX > (1 << 20) || product({countY, countX, out.size()}) > maxTensorBytes())
      return fail("a roi takes too many samples");
    dispatchFloat(x.type(), [&](auto tag) {
      using T = decltype(tag);
      for (int64_t c = 0; c < channels; ++c) {
        const T *from = x.values<T>().data() + (batch * channels + c) * height * width;
        T *to = out.mutableValues<T>().data() + (r * channels + c) * shape[2] * shape[3];
        for (int64_t o = 0; o < shape[2] * shape[3]; ++o) {
          double total = 0, peak = 0;
          bool first = true;
          for (int64_t s = 0; s < countY * countX; ++s) {
            double y =
                box[1] + (static_cast<double>(o / shape[3]) +
                          (static_cast<double>(s / countX) + 0.5) / static_cast<double>(countY)) *
                             binH;
            double z =
                box[0] + (static_cast<double>(o % shape[3]) +
                          (static_cast<double>(s % countX) + 0.5) / static_cast<double>(countX)) *
                             binW;
            double value = 0, highest = 0;
            if (y >= -1 && y <= static_cast<double>(height) && z >= -1 &&
                z <= static_cast<double>(width)) {
              y = std::max(y, 0.0);
              z = std::max(z, 0.0);
              int64_t y0 = std::min(static_cast<int64_t>(y), height - 1);
              int64_t x0 = std::min(static_cast<int64_t>(z), width - 1);
              int64_t y1 = std::min(y0 + 1, height - 1), x1 = std::min(x0 + 1, width - 1);
              double fy = y0 == height - 1 ? 0 : y - static_cast<double>(y0);
              double fx = x0 == width - 1 ? 0 : z - static_cast<double>(x0);
              double parts[] = {(1 - fy) * (1 - fx) * from[y0 * width + x0],
                                (1 - fy) * fx * from[y0 * width + x1],
                                fy * (1 - fx) * from[y1 * width + x0],
                                fy * fx * from[y1 * width + x1]};
              value = parts[0] + parts[1] + parts[2] + parts[3];
              highest = std::max({parts[0], parts[1], parts[2], parts[3]});
            }
            total += value;
            // ONNX takes the maximum of the weighted corners.
            peak = first ? highest : std::max(peak, highest);
            first = false;
          }
          double n = static_cast<double>(std::max<int64_t>(1, countY * countX));
          to[o] = static_cast<T>(most ? peak : total / n);
        }
      }
    });
  }
  if (x.type() != ElementType::Float32 && x.type() != ElementType::Float64)
    return unsupportedType(x.type());
  return one(out);
}
Error inferRoiAlign(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  auto x = dimsOf(c, 0), rois = dimsOf(c, 1);
  if (x && rois)
    return setShape(c, typeOf(c, 0), roiShape(c.node, *x, *rois));
  setOutput(c, 0, typeOf(c, 0), unknown(4));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> samplingOps() {
  static const OpInfo table[] = {
      {"", "GridSample", 20, inferGridSample, widened<gridSample>},
      {"", "RoiAlign", 16, inferRoiAlign, widened<roiAlign>},
  };
  return table;
}

} // namespace npucc::ops
