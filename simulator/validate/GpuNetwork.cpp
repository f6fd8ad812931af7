//===- GpuNetwork.cpp - Networks on GPUs, as MLPerf Inference runs them ---===//
//
// scenario: offline (samples a second, any batch) or single_stream (mean latency of one sample).
// The other fields are NetworkFields.
//
//===----------------------------------------------------------------------===//

#include "simulator/validate/Evaluators.h"

#include <cmath>

using namespace llvm;

namespace npucc {

void NetworkFields::read(Fields &fields) {
  fields.text("gpu", gpu);
  fields.integer("count", count, 1, 1 << 16, DataMap::Optional);
  fields.text("precision", precision);
  fields.text("network", network);
  DataMap sizes = fields.map("dims", DataMap::Optional);
  for (const DataNode &entry : sizes.entries()) {
    int64_t size = 1;
    sizes.integer(entry.key, size, 0, int64_t(1) << 32);
    dims[entry.key] = size;
  }
  fields.text("length_dim", lengthDim, DataMap::Optional);
  if (const DataNode *list = fields.find("lengths", DataMap::Optional))
    for (const DataNode &pair : list->children) {
      double length = 0, samples = 0;
      if (pair.children.size() != 2)
        fields.error(pair, "lengths must be a list of [length, samples]");
      else if (fields.numberAt(pair.children[0], "length", 1, 1e9, length) &&
               fields.numberAt(pair.children[1], "samples", 0, 1e12, samples))
        lengths.push_back({int64_t(length), samples});
    }
  if (lengths.empty())
    lengths.push_back({0, 1});
}

Expected<std::vector<WeightedWorkload>> workloads(const NetworkFields &fields, Networks &networks) {
  double samples = 0;
  for (auto [length, weight] : fields.lengths)
    samples += weight;
  std::vector<WeightedWorkload> list;
  for (auto [length, weight] : fields.lengths) {
    std::map<std::string, int64_t> dims = fields.dims;
    if (!fields.lengthDim.empty())
      dims[fields.lengthDim] = length;
    Expected<const Graph *> graph = networks.get(fields.network, dims);
    if (!graph)
      return graph.takeError();
    list.push_back({makeWorkload(**graph, bytesOf(fields.precision)), weight / samples});
  }
  return list;
}

Expected<Gpu> gpuWith(const std::string &name, const std::string &precision) {
  Expected<Gpu> gpu = loadGpu(name);
  if (gpu && !gpu->rates.count(precision))
    return createStringError("the " + gpu->title + " has no " + precision);
  return gpu;
}

Throughput offlineThroughput(const Gpu &gpu, ArrayRef<WeightedWorkload> workloads,
                             const std::string &precision, double highestClock) {
  Throughput result;
  double seconds = 0, joules = 0, most = 0; // a sample
  for (const WeightedWorkload &entry : workloads) {
    GpuRun run = bestBatch(gpu, entry.workload, 1, precision, highestClock);
    seconds += entry.share / run.inferencesPerSecond();
    joules += entry.share * run.boardPowerW() / run.inferencesPerSecond();
    if (entry.share > most) {
      most = entry.share;
      result.batch = run.batch;
    }
  }
  result.samplesPerSecond = 1 / seconds;
  result.boardPowerW = joules / seconds;
  return result;
}

namespace {

/// Samples a second at the peak rate.
double peakThroughput(const Gpu &gpu, ArrayRef<WeightedWorkload> workloads,
                      const std::string &precision) {
  double ops = 0;
  for (const WeightedWorkload &entry : workloads)
    for (const GpuKernel &kernel : entry.workload.kernels)
      for (const Contraction &c : kernel.contractions)
        ops += entry.share * 2 * c.macs();
  double dlas = precision == "int8" ? double(gpu.dla.count) * gpu.dla.opsPerSecond : 0;
  return (gpu.rates.find(precision)->second.opsPerSecond + dlas) / ops;
}

} // namespace

Expected<Figure> gpuNetwork(Fields &fields, Networks &networks) {
  static const StringRef kScenarios[] = {"offline", "single_stream"};
  NetworkFields network;
  network.read(fields);
  size_t scenario = 0;
  fields.choice("scenario", kScenarios, scenario);
  if (Error error = fields.done())
    return std::move(error);
  Expected<Gpu> gpu = gpuWith(network.gpu, network.precision);
  if (!gpu)
    return gpu.takeError();
  Expected<std::vector<WeightedWorkload>> list = workloads(network, networks);
  if (!list)
    return list.takeError();

  Figure figure;
  if (scenario == 0) {
    Throughput run = offlineThroughput(*gpu, *list, network.precision, 1);
    figure.value = run.samplesPerSecond * double(network.count);
    figure.highest = peakThroughput(*gpu, *list, network.precision) * double(network.count);
    figure.note = "batch " + std::to_string(run.batch) + ", " +
                  std::to_string(int(std::round(run.boardPowerW))) + " W a board";
  } else {
    for (const WeightedWorkload &entry : *list)
      figure.value +=
          entry.share * runWorkload(*gpu, entry.workload, 1, 1, network.precision).latencyS;
  }
  return figure;
}

} // namespace npucc
