//===- Quantization.cpp - --precision int8 for float models -------------------===//

#include "compiler/driver/Quantization.h"
#include "runtime/onnx/Errors.h"
#include "runtime/quantize/PostTraining.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/STLExtras.h"

using llvm::Expected;

namespace npucc {

namespace {
/// So many are in memory at a time while ranges are measured, and serve for what needs all
/// intermediate tensors of all samples: means of layers, noise of outputs.
constexpr size_t kSamplesInMemory = 8;

struct Calibration {
  std::vector<std::vector<Tensor>> samples; ///< at most kSamplesInMemory
  Ranges ranges;
  size_t count = 0;
  bool random = false;
};
} // namespace

static Expected<RangeMethod> parseRanges(llvm::StringRef text) {
  if (text == "minmax")
    return RangeMethod::MinMax;
  if (text == "percentile")
    return RangeMethod::Percentile;
  if (text == "mse")
    return RangeMethod::MinError;
  return makeError("--ranges {0}: expected minmax, percentile or mse", quoted(text));
}

static Expected<Calibration> measureSamples(PreparedModel &result, const Options &options,
                                            RangeMethod method) {
  Expected<Samples> samples = Samples::find(result.model.graph, options.calibrate);
  if (!samples)
    return samples.takeError();
  Calibration calibration;
  calibration.count = samples->count();
  RangeStatistics statistics(method);
  for (size_t first = 0; first < samples->count(); first += kSamplesInMemory) {
    std::vector<std::vector<Tensor>> some;
    for (size_t i = first; i < std::min(first + kSamplesInMemory, samples->count()); ++i) {
      Expected<std::vector<Tensor>> sample = samples->read(i);
      if (!sample)
        return sample.takeError();
      some.push_back(std::move(*sample));
    }
    if (llvm::Error error = statistics.add(result.model.graph, some))
      return std::move(error);
    if (first == 0)
      calibration.samples = std::move(some);
  }
  calibration.ranges = statistics.ranges();
  result.assumptions.push_back(
      llvm::formatv("int8 ranges are measured on {0} samples (--calibrate)", calibration.count));
  return calibration;
}

static Expected<Calibration> measureInputs(PreparedModel &result, const Options &options,
                                           const NamedTensors &given, RangeMethod method) {
  llvm::StringSet<> states = statesOf(options);
  Calibration calibration;
  std::vector<Tensor> sample;
  for (ValueId id : result.model.graph.inputs) {
    const std::string &name = result.model.graph.values[id].name;
    sample.push_back(result.inputs[name]);
    calibration.random |= !given.count(name) && !states.contains(name);
  }
  result.assumptions.push_back(
      calibration.random
          ? "int8 ranges are measured on random data, the inputs of this run: see --calibrate"
          : "int8 ranges are measured on the inputs of this run");
  calibration.count = 1;
  calibration.samples.push_back(std::move(sample));
  Expected<Ranges> ranges = calibrate(result.model.graph, calibration.samples, method);
  if (!ranges)
    return ranges.takeError();
  calibration.ranges = std::move(*ranges);
  return calibration;
}

/// With data: also corrects biases, and leaves sensitive layers in floating point.
static Expected<QuantizeReport> quantizeOnData(PreparedModel &result, const Options &options,
                                               const NamedTensors &given) {
  Expected<RangeMethod> method = parseRanges(options.ranges);
  if (!method)
    return method.takeError();
  Expected<Calibration> calibration = options.calibrate.empty()
                                          ? measureInputs(result, options, given, *method)
                                          : measureSamples(result, options, *method);
  if (!calibration)
    return calibration.takeError();
  result.quantization->ranges = options.ranges;
  result.quantization->samples = static_cast<int64_t>(calibration->count);
  PostTrainingOptions settings;
  settings.minSnrDb = options.minSnrDb;
  if (calibration->random) // what random data makes of a network says nothing about its layers
    settings.maxFloatShare = 0;
  return quantizeMeasured(result.model, calibration->samples, std::move(calibration->ranges),
                          settings);
}

llvm::Error quantizeModel(PreparedModel &result, const Options &options,
                          const NamedTensors &given) {
  result.quantization.emplace();
  bool hasData = options.functional || !options.calibrate.empty();
  if (!hasData)
    result.assumptions.push_back("int8 ranges are nominal: time and energy do not depend on them");
  Expected<QuantizeReport> report = hasData ? quantizeOnData(result, options, given)
                                            : quantizeGraph(result.model, QuantizeOptions());
  if (!report)
    return report.takeError();
  if (report->macs > 0)
    result.quantization->int8MacShare =
        static_cast<double>(report->quantizedMacs) / static_cast<double>(report->macs);
  if (!report->floatNodes.empty())
    result.assumptions.push_back(
        llvm::formatv("{0} nodes with multiply-accumulates stay in floating point, {1} first",
                      report->floatNodes.size(), quoted(report->floatNodes.front())));
  result.quantization->floatNodes = std::move(report->floatNodes);
  return llvm::Error::success();
}

static Expected<std::vector<Tensor>> evaluateOn(const Graph &graph, const NamedTensors &inputs) {
  std::vector<Tensor> tensors;
  for (ValueId id : graph.inputs)
    tensors.push_back(inputs.at(graph.values[id].name));
  return evaluate(graph, tensors);
}

llvm::Error measureSnr(PreparedModel &prepared) {
  auto reference = evaluateOn(prepared.network, prepared.inputs);
  if (!reference)
    return reference.takeError();
  auto actual = evaluateOn(prepared.model.graph, prepared.inputs);
  if (!actual)
    return actual.takeError();
  std::vector<OutputGroups> groups = groupOutputs(prepared.network);
  std::vector<OutputSnr> sums;
  addSnr(sums, groups, *reference, *actual);
  prepared.quantization->outputs.clear();
  for (auto [k, sum] : llvm::enumerate(sums)) {
    if (sum.empty())
      continue; // not floating point
    QuantizationReport::Output output{
        prepared.network.values[prepared.network.outputs[k]].name, sum[0].decibels(), {}};
    for (auto [g, group] : llvm::enumerate(groups[k].groups))
      output.groups.push_back({group.begin, group.end, sum[1 + g].decibels()});
    prepared.quantization->outputs.push_back(std::move(output));
  }
  return llvm::Error::success();
}

} // namespace npucc
