//===- GpuPower.cpp - Power of boards and of whole systems ----------------===//

#include "simulator/validate/Evaluators.h"

#include "models/machine/Machine.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/Path.h"

#include <cmath>

using namespace llvm;

namespace npucc {

/// Board power at rates that were measured with it: gpu, precision, ops_per_s (vector true: on
/// ordinary lanes), dram_bytes_per_s. l2_bytes_per_s: what DRAM bytes pass anyway, unless given.
Expected<Figure> gpuPower(Fields &fields, Networks &) {
  std::string name, precision;
  bool vector = false;
  double ops = 0, dram = 0, clock = 1;
  constexpr double kMost = 1e18;
  fields.text("gpu", name);
  fields.text("precision", precision);
  fields.boolean("vector", vector, DataMap::Optional);
  fields.number("ops_per_s", ops, 0, kMost);
  fields.number("dram_bytes_per_s", dram, 0, kMost);
  double l2 = dram;
  fields.number("l2_bytes_per_s", l2, 0, kMost, DataMap::Optional);
  fields.number("clock_ratio", clock, 0.1, 1, DataMap::Optional);
  if (Error error = fields.done())
    return std::move(error);
  Expected<Gpu> gpu = gpuWith(name, precision);
  if (!gpu)
    return gpu.takeError();
  KernelCost activity;
  activity.seconds = 1;
  (vector ? activity.vectorOps : activity.tensorOps) = ops;
  activity.dramBytes = dram;
  activity.l2Bytes = l2;
  return Figure{boardEnergyJ(*gpu, activity, precision, clock), ""};
}

namespace {

/// What surrounds the boards of a system: models/host/*.yaml.
struct Host {
  Constant baseW;            ///< processors, memory, main board, drives
  Constant perBoardW;        ///< of the host, for each board that it feeds with work
  Constant coolingShare;     ///< fans, for each watt of the boards
  Constant supplyEfficiency; ///< of power from the wall
};

Expected<Host> loadHost(const std::string &name) {
  std::vector<std::string> names = listDataFiles("host");
  if (!is_contained(names, name))
    return createStringError("no host is named '" + name + "'" + suggestion(name, names));
  SmallString<256> path(modelsFolder());
  sys::path::append(path, "host", name + ".yaml");
  Expected<std::string> text = readDataText(path.str().str());
  if (!text)
    return text.takeError();
  DataFile file(path);
  DataNode root = file.parse(*text);
  if (file.failed())
    return file.takeError();
  DataMap map(file, &root, "");
  Host host;
  std::string title;
  map.text("title", title);
  map.constant("base_power", host.baseW, "W");
  map.constant("power_per_board", host.perBoardW, "W");
  map.constant("cooling_share", host.coolingShare, "1");
  map.constant("supply_efficiency", host.supplyEfficiency, "1");
  map.finish();
  if (file.failed())
    return file.takeError();
  return host;
}

double systemW(const Host &host, double count, double boardW) {
  double boards = count * boardW;
  return (host.baseW.value + count * host.perBoardW.value +
          boards * (1 + host.coolingShare.value)) /
         host.supplyEfficiency.value;
}

} // namespace

/// Power at the wall while a system of `count` boards does `samples_per_s`. Submissions that
/// measure power choose a clock that is not published: ours is the one that gives their
/// throughput. host: a file in models/host. The other fields are NetworkFields.
Expected<Figure> systemPower(Fields &fields, Networks &networks) {
  NetworkFields network;
  network.read(fields);
  std::string hostName;
  double samples = 0;
  static const StringRef kScenarios[] = {"offline", "single_stream"};
  size_t scenario = 0;
  fields.choice("scenario", kScenarios, scenario);
  fields.text("host", hostName);
  fields.number("samples_per_s", samples, 0, 1e12);
  if (Error error = fields.done())
    return std::move(error);
  Expected<Gpu> gpu = gpuWith(network.gpu, network.precision);
  if (!gpu)
    return gpu.takeError();
  Expected<Host> host = loadHost(hostName);
  if (!host)
    return host.takeError();
  Expected<std::vector<WeightedWorkload>> list = workloads(network, networks);
  if (!list)
    return list.takeError();

  auto at = [&](double clock) {
    if (scenario == 0)
      return offlineThroughput(*gpu, *list, network.precision, clock);
    Throughput result;
    double seconds = 0, joules = 0;
    for (const WeightedWorkload &entry : *list) {
      GpuRun run =
          runWorkload(*gpu, entry.workload, 1, 1, network.precision, Launch::Engine, clock);
      seconds += entry.share * run.latencyS;
      joules += entry.share * run.boardEnergyJ;
    }
    result.samplesPerSecond = 1 / seconds;
    result.boardPowerW = joules / seconds;
    return result;
  };
  double perBoard = samples / double(network.count), low = 0.1, high = 1;
  Throughput run = at(high);
  if (run.samplesPerSecond > perBoard)
    for (int step = 0; step < 10; ++step) {
      double middle = (low + high) / 2;
      run = at(middle);
      (run.samplesPerSecond > perBoard ? high : low) = middle;
    }
  Figure figure;
  figure.value = systemW(*host, double(network.count), run.boardPowerW);
  figure.note = std::to_string(int(std::round(run.boardPowerW))) + " W a board at " +
                std::to_string(int(std::round(high * 100))) + " % of the clock";
  return figure;
}

} // namespace npucc
