//===- Compare.cpp - The NPU beside GPUs ----------------------------------===//

#include "models/energy/Nodes.h"
#include "models/energy/Samples.h"
#include "simulator/baseline/Baseline.h"
#include "simulator/baseline/Roofline.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace npucc {

namespace {

/// How far the model's times are off where measurements are known (docs/gpu-baselines.md):
/// most lie within this factor.
constexpr double kTimeError = 1.5;

/// Whether arithmetic that the user asked for is at least as accurate as the NPU's.
bool keepsAccuracy(const Gpu &gpu, StringRef asked, StringRef npu) {
  std::string matched = matchPrecision(gpu, npu);
  if (asked == matched || asked == "fp32")
    return true;
  static const StringRef kByAccuracy[] = {"int4", "int8", "fp16", "tf32", "fp32"};
  auto rank = [](StringRef name) {
    const StringRef *found = find(kByAccuracy, name);
    return found == std::end(kByAccuracy) ? -1 : int(found - std::begin(kByAccuracy));
  };
  return rank(asked) >= 0 && rank(matched) >= 0 && rank(asked) >= rank(matched);
}

/// 5th and 95th percentile of GPU over NPU. A GPU's constants are taken to be off together, since
/// they were fitted together; the NPU's samples are the same beside every GPU.
Ratio gain(const Gpu &gpu, const GpuRun &run, double share, const NpuFigures &npu) {
  double factor = share / double(run.batch) * double(npu.batch);
  Ratio result;
  result.nominal = run.boardEnergyJ * gpu.scopeFactor.value * factor / npu.energyJ;
  result.low = result.high = result.nominal;
  if (npu.energySamplesJ.size() != kSamples)
    return result;
  std::vector<double> board = drawSamples(gpu.name + " board energy", run.boardEnergyJ,
                                          run.boardEnergyLowJ, run.boardEnergyHighJ);
  std::vector<double> scope = drawSamples("GPU scope factor", gpu.scopeFactor.value,
                                          gpu.scopeFactor.low, gpu.scopeFactor.high);
  for (size_t i = 0; i < kSamples; ++i)
    board[i] *= scope[i] * factor / npu.energySamplesJ[i];
  auto [low, high] = interval(std::move(board));
  result.low = std::min(low, result.nominal);
  result.high = std::max(high, result.nominal);
  return result;
}

std::vector<std::pair<std::string, Constant>> constantsOf(const Gpu &gpu, StringRef precision) {
  std::vector<std::pair<std::string, Constant>> list;
  for (const std::string &name : {precision.str(), std::string("fp32")}) {
    auto rate = gpu.rates.find(name);
    if (rate != gpu.rates.end() && (list.empty() || precision != "fp32"))
      list.push_back({"energy per " + name + " operation", rate->second.energyPj});
  }
  list.push_back({"energy per byte of L2", gpu.l2PjPerByte});
  list.push_back({"energy per byte of DRAM", gpu.dramPjPerByte});
  list.push_back({"active power", gpu.activeW});
  list.push_back({"scope factor", gpu.scopeFactor});
  if (gpu.dla.count > 0 && precision == "int8")
    list.push_back({"energy per operation of a DLA", gpu.dla.energyPj});
  return list;
}

BaselineRow makeRow(const Gpu &gpu, const GpuRun &run, const NpuFigures &npu, StringRef rule,
                    StringRef precision, bool accurate) {
  BaselineRow row;
  row.name = gpu.name;
  row.title = gpu.title;
  row.rule = rule.str();
  row.precision = precision.str();
  row.accuracyMatch = accurate ? "assumed" : "no";
  row.batch = run.batch;
  row.nodeNm = gpu.nodeNm;
  row.latencyS = run.latencyS;
  row.inferencesPerSecond = run.inferencesPerSecond();
  double batch = double(run.batch), npuBatch = double(npu.batch);
  // Of `batch` inferences, wherever they ran.
  double share = batch / run.latencyS / row.inferencesPerSecond;
  row.energyJ = run.boardEnergyJ * gpu.scopeFactor.value * share;
  row.clockRatio = run.clockRatio;
  row.streamedBytes = run.streamedBytes;

  double npuRate = npu.latencyS > 0 ? npuBatch / npu.latencyS : 0;
  if (npu.latencyS > 0)
    row.speedup.nominal =
        rule == "same-batch" ? run.latencyS / npu.latencyS : npuRate / row.inferencesPerSecond;
  row.speedup.low = row.speedup.nominal / kTimeError;
  row.speedup.high = row.speedup.nominal * kTimeError;
  if (npu.energyJ > 0)
    row.efficiencyGain = gain(gpu, run, share, npu);
  row.constants = constantsOf(gpu, precision);
  double node = nodeEnergyRatio(gpu.nodeNm, npu.nodeNm);
  row.efficiencyGainSameNode = {row.efficiencyGain.nominal * node, row.efficiencyGain.low * node,
                                row.efficiencyGain.high * node};
  return row;
}

} // namespace

GpuRun bestBatch(const Gpu &gpu, const GpuWorkload &workload, int64_t graphBatch,
                 StringRef precision, double highestClock) {
  constexpr int64_t kLargestBatch = 4096;
  GpuRun best;
  for (int64_t batch = 1; batch <= kLargestBatch; batch *= 2) {
    // What does not fit is streamed, so that a batch too large is no better.
    GpuRun run =
        runWorkload(gpu, workload, graphBatch, batch, precision, Launch::Engine, highestClock);
    if (batch == 1 || run.inferencesPerSecond() > best.inferencesPerSecond())
      best = run;
  }
  addDlas(gpu, workload, graphBatch, precision, best);
  return best;
}

GpuRun runOnGpu(const Gpu &gpu, const Graph &graph, int64_t graphBatch, int64_t batch,
                StringRef precision) {
  return runWorkload(gpu, makeWorkload(graph, bytesOf(precision)), graphBatch, batch, precision);
}

GpuRun bestOnGpu(const Gpu &gpu, const Graph &graph, int64_t graphBatch, StringRef precision) {
  return bestBatch(gpu, makeWorkload(graph, bytesOf(precision)), graphBatch, precision);
}

Expected<std::vector<BaselineRow>> compareWithGpus(ArrayRef<BaselineRequest> requests,
                                                   const Graph &graph, const NpuFigures &npu) {
  std::vector<BaselineRow> rows;
  for (const BaselineRequest &request : requests) {
    Expected<Gpu> gpu = loadGpu(request.name);
    if (!gpu)
      return gpu.takeError();
    std::string precision =
        request.precision.empty() ? matchPrecision(*gpu, npu.precision) : request.precision;
    if (!gpu->rates.count(precision)) {
      std::vector<std::string> names;
      for (const auto &[name, rate] : gpu->rates)
        names.push_back(name);
      return createStringError("--baseline " + request.name + "@" + precision + ": the " +
                               gpu->title + " has no " + precision + " (it has " +
                               join(names, ", ") + ")");
    }
    bool accurate = keepsAccuracy(*gpu, precision, npu.precision);
    GpuWorkload workload = makeWorkload(graph, bytesOf(precision));
    rows.push_back(makeRow(*gpu, runWorkload(*gpu, workload, npu.batch, npu.batch, precision), npu,
                           "same-batch", precision, accurate));
    GpuRun best = request.batch > 0
                      ? runWorkload(*gpu, workload, npu.batch, request.batch, precision)
                      : bestBatch(*gpu, workload, npu.batch, precision);
    rows.push_back(makeRow(*gpu, best, npu, "best-throughput", precision, accurate));
  }
  return rows;
}

} // namespace npucc
