//===- PostTraining.cpp - int8 networks that keep their answers -----------===//
#include "runtime/quantize/PostTraining.h"

#include "runtime/onnx/Loader.h"
#include "runtime/quantize/Reconstruct.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Parallel.h"

#include <algorithm>
#include <cmath>
#include <mutex>

using namespace npucc;
using llvm::ArrayRef;
using llvm::Expected;

namespace {

struct Layer {
  std::string node;
  int64_t macs = 0;
  std::vector<double> noise; ///< by group: share of the signal, were this layer alone in int8
};

class PostTraining {
public:
  PostTraining(Model &model, ArrayRef<std::vector<Tensor>> samples, Ranges ranges,
               const PostTrainingOptions &options)
      : model(model), samples(samples), options(options), groups(groupOutputs(model.graph)) {
    settings.ranges = std::move(ranges);
    settings.foldLimit = 0; // reconstruct() changes constants
  }
  Expected<QuantizeReport> run();

private:
  struct Attempt {
    Model model;
    QuantizeReport report;
    std::vector<double> noise;
    double worst() const {
      double result = 0;
      for (double x : noise)
        result = std::max(result, x);
      return result;
    }
  };
  Expected<Attempt> quantize(const std::set<std::string> &exclude) const;
  Expected<Attempt> attempt(const std::set<std::string> &exclude) const;
  std::vector<double> noiseOf(ArrayRef<std::vector<Tensor>> outputs) const;
  llvm::Error leaveInFloat(Attempt &best, double wanted);
  llvm::Error measureLayers(const QuantizeReport &report);
  std::set<std::string> choose(int64_t budget, double enough) const;

  Model &model;
  ArrayRef<std::vector<Tensor>> samples;
  const PostTrainingOptions &options;
  QuantizeOptions settings;
  std::vector<OutputGroups> groups;
  std::vector<std::vector<Tensor>> reference; ///< the float network's outputs, by sample
  std::vector<Layer> layers;
};

} // namespace

Expected<PostTraining::Attempt> PostTraining::quantize(const std::set<std::string> &exclude) const {
  Attempt result;
  result.model = model;
  QuantizeOptions current = settings;
  current.exclude = exclude;
  Expected<QuantizeReport> report = quantizeGraph(result.model, current);
  if (!report)
    return report.takeError();
  result.report = std::move(*report);
  return result;
}

Expected<PostTraining::Attempt> PostTraining::attempt(const std::set<std::string> &exclude) const {
  Expected<Attempt> result = quantize(exclude);
  if (!result)
    return result;
  auto outputs = reconstruct(result->model.graph, model.graph, samples);
  if (!outputs)
    return outputs.takeError();
  result->noise = noiseOf(*outputs);
  return result;
}

/// By group, for the first samples.
std::vector<double> PostTraining::noiseOf(ArrayRef<std::vector<Tensor>> outputs) const {
  std::vector<OutputSnr> sums;
  for (size_t k = 0; k < outputs.size(); ++k)
    addSnr(sums, groups, reference[k], outputs[k]);
  std::vector<double> noise;
  for (const OutputSnr &output : sums) // groups speak for an output that has them
    for (size_t g = output.size() > 1 ? 1 : 0; g < output.size(); ++g)
      noise.push_back(output[g].ratio());
  return noise;
}

/// One sample serves, without reconstruction: this ranks layers, and the result is measured again.
llvm::Error PostTraining::measureLayers(const QuantizeReport &report) {
  for (const auto &[node, macs] : report.quantizedNodes)
    layers.push_back({node, macs, {}});
  std::set<std::string> all;
  for (const Layer &layer : layers)
    all.insert(layer.node);
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  auto measure = [&](Layer &layer) -> llvm::Error {
    std::set<std::string> others = all;
    others.erase(layer.node);
    Expected<Attempt> alone = quantize(others);
    if (!alone)
      return alone.takeError();
    auto outputs = evaluate(alone->model.graph, samples.front());
    if (!outputs)
      return outputs.takeError();
    layer.noise = noiseOf({std::move(*outputs)});
    return llvm::Error::success();
  };
  llvm::parallelFor(0, layers.size(), [&](size_t i) {
    llvm::Error error = measure(layers[i]);
    std::lock_guard<std::mutex> lock(mutex);
    failure = llvm::joinErrors(std::move(failure), std::move(error));
  });
  return failure;
}

/// Noise of independent roundings adds up. Greedy: what takes most from the noisiest group for
/// its multiply-accumulates.
std::set<std::string> PostTraining::choose(int64_t budget, double enough) const {
  std::vector<double> left(layers.front().noise.size(), 0);
  for (const Layer &layer : layers)
    for (size_t g = 0; g < left.size(); ++g)
      left[g] += layer.noise[g];
  std::set<std::string> result;
  while (true) {
    size_t worst = std::max_element(left.begin(), left.end()) - left.begin();
    if (left[worst] <= enough)
      return result;
    const Layer *best = nullptr;
    double bestValue = 0;
    for (const Layer &layer : layers)
      if (layer.macs <= budget && !result.count(layer.node)) {
        double value = layer.noise[worst] / static_cast<double>(std::max<int64_t>(layer.macs, 1));
        if (value > bestValue) {
          bestValue = value;
          best = &layer;
        }
      }
    if (!best)
      return result;
    result.insert(best->node);
    budget -= best->macs;
    for (size_t g = 0; g < left.size(); ++g)
      left[g] -= best->noise[g];
  }
}

llvm::Error PostTraining::leaveInFloat(Attempt &best, double wanted) {
  int64_t budget =
      static_cast<int64_t>(options.maxFloatShare * static_cast<double>(best.report.macs)) -
      (best.report.macs - best.report.quantizedMacs);
  if (budget <= 0 || best.report.quantizedNodes.empty())
    return llvm::Error::success();
  if (llvm::Error error = measureLayers(best.report))
    return error;
  // Noises are not quite independent, so that sums predict an order rather than a result: they are
  // asked for 6 dB more.
  for (int parts : {4, 2, 1}) {
    Expected<Attempt> next = attempt(choose(budget / parts, wanted / 4));
    if (!next)
      return next.takeError();
    if (next->worst() < best.worst())
      best = std::move(*next);
    if (best.worst() <= wanted)
      break;
  }
  return llvm::Error::success();
}

Expected<QuantizeReport> PostTraining::run() {
  reference.resize(samples.size());
  std::mutex mutex;
  llvm::Error failure = llvm::Error::success();
  llvm::parallelFor(0, samples.size(), [&](size_t k) {
    auto outputs = evaluate(model.graph, samples[k]);
    std::lock_guard<std::mutex> lock(mutex);
    if (outputs)
      reference[k] = std::move(*outputs);
    else
      failure = llvm::joinErrors(std::move(failure), outputs.takeError());
  });
  if (failure)
    return std::move(failure);
  double wanted = std::pow(10.0, -options.minSnrDb / 10);
  Expected<Attempt> best = attempt({});
  if (!best)
    return best.takeError();
  if (best->worst() > wanted)
    if (llvm::Error error = leaveInFloat(*best, wanted))
      return std::move(error);
  model = std::move(best->model);
  return best->report;
}

Expected<QuantizeReport> npucc::quantizeMeasured(Model &model,
                                                 ArrayRef<std::vector<Tensor>> samples,
                                                 Ranges ranges,
                                                 const PostTrainingOptions &options) {
  return PostTraining(model, samples, std::move(ranges), options).run();
}
