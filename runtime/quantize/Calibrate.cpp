//===- Calibrate.cpp - Ranges of activations ------------------------------===//
#include "runtime/quantize/Quantize.h"
#include "runtime/reference/Reference.h"

#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>
#include <mutex>

using namespace npucc;

namespace {
constexpr int64_t kBins = 4096; // a range fills at least a quarter of them
constexpr double kOutliers = 1e-4;
constexpr double kGridSteps = 255;
} // namespace

RangeStatistics::Histogram RangeStatistics::measure(llvm::ArrayRef<float> values, bool count) {
  Histogram result{INFINITY, -INFINITY, 0, {}};
  for (float x : values)
    if (std::isfinite(x)) {
      result.low = std::min(result.low, x);
      result.high = std::max(result.high, x);
    }
  if (!count || result.low > result.high)
    return result;
  double most = std::max({std::fabs(result.low), std::fabs(result.high), 1e-30f});
  result.binWidth = std::exp2(std::floor(std::log2(most)) + 2) / kBins;
  result.counts.assign(kBins, 0);
  for (float x : values)
    if (std::isfinite(x))
      ++result.counts[static_cast<int64_t>(std::floor(x / result.binWidth)) + kBins / 2];
  return result;
}

void RangeStatistics::coarsen(Histogram &histogram, double binWidth) {
  for (; histogram.binWidth < binWidth; histogram.binWidth *= 2) {
    std::vector<int64_t> counts(kBins, 0);
    for (int64_t i = 0; i < kBins; ++i) // an even number of bins on either side of 0
      counts[kBins / 4 + i / 2] += histogram.counts[i];
    histogram.counts = std::move(counts);
  }
}

void RangeStatistics::merge(Histogram &into, Histogram from) {
  into.low = std::min(into.low, from.low);
  into.high = std::max(into.high, from.high);
  if (into.counts.empty())
    return;
  double binWidth = std::max(into.binWidth, from.binWidth);
  coarsen(into, binWidth);
  coarsen(from, binWidth);
  for (int64_t i = 0; i < kBins; ++i)
    into.counts[i] += from.counts[i];
}

llvm::Error RangeStatistics::add(const Graph &graph, llvm::ArrayRef<std::vector<Tensor>> samples) {
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  auto note = [&](ValueId id, const Tensor &tensor) {
    ElementType type = tensor.type();
    if (type != ElementType::Float32 && type != ElementType::Float16 &&
        type != ElementType::BFloat16)
      return;
    Tensor wide = type == ElementType::Float32 ? tensor : castTensor(tensor, ElementType::Float32);
    Histogram histogram = measure(wide.values<float>(), method != RangeMethod::MinMax);
    if (histogram.low > histogram.high)
      return;
    std::lock_guard<std::mutex> lock(mutex);
    auto [it, isNew] = values.try_emplace(id, histogram);
    if (!isNew)
      merge(it->second, std::move(histogram));
  };
  llvm::parallelFor(0, samples.size(), [&](size_t i) {
    auto outputs = evaluate(graph, samples[i], note);
    for (size_t k = 0; k < graph.inputs.size() && k < samples[i].size(); ++k)
      note(graph.inputs[k], samples[i][k]);
    if (!outputs) {
      std::lock_guard<std::mutex> lock(mutex);
      failure = llvm::joinErrors(std::move(failure), outputs.takeError());
    }
  });
  return failure;
}

/// Mean square error of a grid over [low, high] times the number of elements: rounding inside,
/// the distance to the nearer end outside.
static double gridError(llvm::ArrayRef<int64_t> counts, double binWidth, double low, double high) {
  double step = (high - low) / kGridSteps, error = 0;
  for (int64_t i = 0; i < kBins; ++i) {
    double x = (static_cast<double>(i - kBins / 2) + 0.5) * binWidth;
    double beyond = std::max({low - x, x - high, 0.0});
    error += static_cast<double>(counts[i]) * (beyond > 0 ? beyond * beyond : step * step / 12);
  }
  return error;
}

Range RangeStatistics::rangeOf(const Histogram &histogram) const {
  Range full = {histogram.low, histogram.high};
  if (histogram.counts.empty() || full.low == full.high)
    return full;
  auto edge = [&](int64_t bin) {
    return static_cast<float>(static_cast<double>(bin - kBins / 2) * histogram.binWidth);
  };
  if (method == RangeMethod::Percentile) {
    int64_t total = 0;
    for (int64_t count : histogram.counts)
      total += count;
    double allowed = kOutliers / 2 * static_cast<double>(total);
    int64_t first = 0, last = kBins - 1;
    for (double seen = 0; (seen += static_cast<double>(histogram.counts[first])) <= allowed;)
      ++first;
    for (double seen = 0; (seen += static_cast<double>(histogram.counts[last])) <= allowed;)
      --last;
    return {std::max(full.low, edge(first)), std::min(full.high, edge(last + 1))};
  }
  // Each end in turn, twice; 0 stays in.
  float low = std::min(full.low, 0.0f), high = std::max(full.high, 0.0f);
  Range best = {low, high};
  double least = gridError(histogram.counts, histogram.binWidth, low, high);
  for (int round = 0; round < 2; ++round)
    for (bool upper : {true, false})
      for (float factor = 0.98f; factor > 0.1f; factor -= 0.02f) {
        Range range = best;
        (upper ? range.high : range.low) = factor * (upper ? high : low);
        if (range.low == range.high)
          continue;
        double error = gridError(histogram.counts, histogram.binWidth, range.low, range.high);
        if (error < least) {
          least = error;
          best = range;
        }
      }
  return best;
}

Ranges RangeStatistics::ranges() const {
  Ranges result;
  for (const auto &[id, histogram] : values)
    result[id] = rangeOf(histogram);
  return result;
}

llvm::Expected<Ranges> npucc::calibrate(const Graph &graph,
                                        llvm::ArrayRef<std::vector<Tensor>> inputs,
                                        RangeMethod method) {
  RangeStatistics statistics(method);
  if (llvm::Error error = statistics.add(graph, inputs))
    return std::move(error);
  return statistics.ranges();
}
