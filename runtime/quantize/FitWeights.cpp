//===- FitWeights.cpp - Weights for inputs that are not exact -------------===//
#include "runtime/quantize/FitWeights.h"

#include "runtime/ops/Window.h"

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Parallel.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include <algorithm>
#include <array>

using namespace npucc;

namespace {

constexpr int64_t kMostInputs = 1152;       // 128 channels of a 3x3 window
constexpr int64_t kBlockElements = 1 << 20; // of a block of unfolded inputs
constexpr std::array<double, 5> kRidges = {1e-3, 1e-2, 1e-1, 1, 10};

using Matrix = Eigen::MatrixXd;
using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Sums over samples and positions: of inputs x, of residuals r = y - W x, and of their products.
struct Moments {
  Matrix xx, xr;
  Eigen::VectorXd x, r;
  double count = 0;

  Moments(int64_t depth, int64_t outputs)
      : xx(Matrix::Zero(depth, depth)), xr(Matrix::Zero(depth, outputs)),
        x(Eigen::VectorXd::Zero(depth)), r(Eigen::VectorXd::Zero(outputs)) {}
  void add(const Floats &inputs, const Floats &residuals);
  void add(const Moments &other);
  void center();
  Matrix solve(double ridge) const;
  /// What a change of weights changes of the squared residuals.
  double change(const Matrix &delta) const {
    return (delta.cwiseProduct(xx * delta)).sum() - 2 * delta.cwiseProduct(xr).sum();
  }
};

/// A layer as a product of matrices: for each group, [outputs, depth] weights times [depth,
/// positions].
struct Layer {
  int64_t groups = 1, outputs = 0, depth = 0, positions = 0;
  bool transposed = false; ///< weights are stored as [depth, outputs]
  std::optional<ops::Convolution> convolution;

  static std::optional<Layer> of(const Node &node, const Tensor &weights, const Tensor &input);
  Floats weightsOf(llvm::ArrayRef<float> weights, int64_t group) const;
  void store(const Matrix &delta, int64_t group, llvm::MutableArrayRef<float> weights) const;
  void visit(const Tensor &input, const Tensor &result, int64_t group,
             llvm::function_ref<void(const Floats &, const Floats &, bool secondHalf)> use) const;
};

} // namespace

void Moments::add(const Floats &inputs, const Floats &residuals) {
  xx += (inputs * inputs.transpose()).cast<double>();
  xr += (inputs * residuals.transpose()).cast<double>();
  x += inputs.rowwise().sum().cast<double>();
  r += residuals.rowwise().sum().cast<double>();
  count += static_cast<double>(inputs.cols());
}

void Moments::add(const Moments &other) {
  xx += other.xx;
  xr += other.xr;
  x += other.x;
  r += other.r;
  count += other.count;
}

void Moments::center() {
  if (count > 0) {
    xx -= x * x.transpose() / count;
    xr -= x * r.transpose() / count;
  }
}

Matrix Moments::solve(double ridge) const {
  Matrix left = xx;
  left.diagonal().array() += ridge * xx.trace() / static_cast<double>(xx.rows()) + 1e-30;
  return left.llt().solve(xr);
}

std::optional<Layer> Layer::of(const Node &node, const Tensor &weights, const Tensor &input) {
  Layer layer;
  if (node.opType == "Conv") {
    llvm::Expected<ops::Convolution> conv = ops::convolution(node, input.shape(), weights.shape());
    if (!conv) {
      llvm::consumeError(conv.takeError());
      return std::nullopt;
    }
    layer.groups = conv->groups;
    layer.outputs = conv->groupOutputs();
    layer.depth = conv->depth();
    layer.positions = conv->batch * conv->window.outSize();
    layer.convolution = std::move(*conv);
  } else if (weights.shape().size() == 2 && (node.opType == "MatMul" || node.opType == "Gemm") &&
             node.getInt("transA", 0) == 0 && node.getFloat("alpha", 1) == 1) {
    layer.transposed = node.getInt("transB", 0) == 0;
    layer.depth = weights.shape()[layer.transposed ? 0 : 1];
    layer.outputs = weights.shape()[layer.transposed ? 1 : 0];
    layer.positions = layer.depth ? input.size() / layer.depth : 0;
  } else {
    return std::nullopt;
  }
  if (layer.depth < 1 || layer.depth > kMostInputs || layer.outputs < 1 || layer.positions < 1)
    return std::nullopt;
  return layer;
}

Floats Layer::weightsOf(llvm::ArrayRef<float> weights, int64_t group) const {
  const float *data = weights.data() + group * outputs * depth;
  if (transposed)
    return Eigen::Map<const Floats>(data, depth, outputs).transpose();
  return Eigen::Map<const Floats>(data, outputs, depth);
}

/// `delta` is [depth, outputs].
void Layer::store(const Matrix &delta, int64_t group, llvm::MutableArrayRef<float> weights) const {
  float *data = weights.data() + group * outputs * depth;
  if (transposed)
    Eigen::Map<Floats>(data, depth, outputs) += delta.cast<float>();
  else
    Eigen::Map<Floats>(data, outputs, depth) += delta.transpose().cast<float>();
}

/// Calls use(inputs [depth, n], results [outputs, n]) for blocks of positions.
void Layer::visit(const Tensor &input, const Tensor &result, int64_t group,
                  llvm::function_ref<void(const Floats &, const Floats &, bool)> use) const {
  int64_t block = std::max<int64_t>(1, kBlockElements / depth);
  block = std::min(block, (positions + 1) / 2);
  const float *x = input.values<float>().data(), *y = result.values<float>().data();
  Floats columns, rows;
  if (!convolution) {
    for (int64_t first = 0; first < positions; first += block) {
      int64_t n = std::min(block, positions - first);
      columns = Eigen::Map<const Floats>(x + first * depth, n, depth).transpose();
      rows = Eigen::Map<const Floats>(y + first * outputs, n, outputs).transpose();
      use(columns, rows, first * 2 >= positions);
    }
    return;
  }
  const ops::Window &window = convolution->window;
  int64_t size = window.outSize(), channels = convolution->groupChannels();
  for (int64_t image = 0; image < convolution->batch; ++image)
    for (int64_t first = 0; first < size; first += block) {
      int64_t n = std::min(block, size - first), slice = image * groups + group;
      columns.resize(depth, n);
      ops::unfold<float>(window, x + slice * channels * window.inSize(), channels, first, first + n,
                         columns.data(), n, 1, 0.0f);
      rows = Eigen::Map<const Floats, 0, Eigen::OuterStride<>>(
          y + slice * outputs * size + first, outputs, n, Eigen::OuterStride<>(size));
      use(columns, rows, (image * size + first) * 2 >= positions);
    }
}

std::optional<Tensor> npucc::fitWeights(const Node &node, const Tensor &weights, bool hasBias,
                                        llvm::ArrayRef<Tensor> inputs,
                                        llvm::ArrayRef<Tensor> results) {
  std::optional<Layer> layer = Layer::of(node, weights, inputs[0]);
  if (!layer)
    return std::nullopt;
  std::vector<std::optional<Matrix>> deltas(layer->groups);
  llvm::parallelFor(0, layer->groups, [&](size_t group) {
    Floats known = layer->weightsOf(weights.values<float>(), group), residuals;
    std::array<Moments, 2> folds = {Moments(layer->depth, layer->outputs),
                                    Moments(layer->depth, layer->outputs)};
    for (size_t k = 0; k < inputs.size(); ++k)
      layer->visit(inputs[k], results[k], group,
                   [&](const Floats &x, const Floats &y, bool secondHalf) {
                     residuals = y;
                     residuals.noalias() -= known * x;
                     folds[inputs.size() > 1 ? k % 2 : secondHalf].add(x, residuals);
                   });
    Moments all = folds[0];
    all.add(folds[1]);
    if (hasBias)
      for (Moments *moments : {&all, &folds[0], &folds[1]})
        moments->center();
    double best = 0, ridge = 0;
    for (double candidate : kRidges) {
      double change =
          folds[1].change(folds[0].solve(candidate)) + folds[0].change(folds[1].solve(candidate));
      if (change < best) {
        best = change;
        ridge = candidate;
      }
    }
    if (ridge > 0)
      deltas[group] = all.solve(ridge);
  });
  Tensor fitted = Tensor::of<float>(ElementType::Float32, weights.shape(), weights.values<float>());
  bool changed = false;
  for (size_t group = 0; group < deltas.size(); ++group)
    if (deltas[group] && deltas[group]->allFinite()) {
      layer->store(*deltas[group], group, fitted.mutableValues<float>());
      changed = true;
    }
  if (!changed)
    return std::nullopt;
  return fitted;
}
