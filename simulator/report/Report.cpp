//===- Report.cpp - Figures of a run --------------------------------------===//

#include "simulator/report/Report.h"

#include "simulator/report/Format.h"

#include "llvm/ADT/STLExtras.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>

using namespace llvm;

namespace npucc {

namespace {

const std::pair<Action, ElementType> kMacActions[] = {
    {Action::MacInt8, ElementType::Int8},        {Action::MacInt16, ElementType::Int16},
    {Action::MacFp8, ElementType::Float8E4M3FN}, {Action::MacFp16, ElementType::Float16},
    {Action::MacBf16, ElementType::BFloat16},    {Action::MacFp32, ElementType::Float32}};

const char *boundName(size_t bound) {
  static const char *const kNames[] = {"matrix", "vector",  "dram", "scratchpad",
                                       "noc",    "control", "host"};
  return kNames[bound];
}

/// The arithmetic that most of a layer's multiply-accumulates ran in.
ElementType arithmetic(const Actions &actions, ElementType fallback) {
  double most = 0;
  for (auto [action, type] : kMacActions)
    if (actions[action] > most) {
      most = actions[action];
      fallback = type;
    }
  return fallback;
}

/// Layer of a program that a folded one's work is in; -1 when the chain is broken.
int32_t layerOfWork(const Program &program, int32_t layer) {
  for (size_t steps = 0; layer >= 0 && steps <= program.layers.size(); ++steps) {
    if (layer >= static_cast<int32_t>(program.layers.size()))
      return -1;
    int32_t next = program.layers[static_cast<size_t>(layer)].foldedInto;
    if (next < 0)
      return layer;
    layer = next;
  }
  return -1;
}

class Builder {
public:
  explicit Builder(const ReportInputs &inputs)
      : in(inputs), program(inputs.program), machine(inputs.machine), result(inputs.result),
        model(inputs.machine) {
    fallbackType = parseElementType(program.precision).value_or(ElementType::Float32);
  }

  RunReport build() {
    describe();
    report.energy = model.sampled(result.actions, report.latencyS);
    report.energySamplesJ = model.samples(result.actions, report.latencyS);
    report.area = model.area();
    composition();
    report.staticPower = model.staticPower();
    report.dramReadBytes = result.actions[Action::DramReadByte];
    report.dramWrittenBytes = result.actions[Action::DramWriteByte];
    for (size_t i = 0; i < result.actions.count.size(); ++i) {
      auto action = static_cast<Action>(i);
      report.actions[actionName(action)] = result.actions.count[i];
      report.energyPerActionJ[actionName(action)] = model.perAction(action).value;
    }
    layers();
    work();
    assumptions();
    return std::move(report);
  }

private:
  const ReportInputs &in;
  const Program &program;
  const Machine &machine;
  const SimulationResult &result;
  EnergyModel model;
  ElementType fallbackType;
  RunReport report;

  void describe() {
    report.modelPath = in.modelPath;
    report.modelName = program.modelName;
    report.modelSha256 = program.modelSha256;
    report.parameters = program.parameters;
    report.macs = program.macs;
    report.npuName = machine.name;
    report.technology = machine.technology.name;
    report.clockHz = machine.clockHz;
    report.nodeNm = machine.technology.nodeNm;
    for (const auto &[name, rate] : machine.matrix.precisions)
      report.peakOpsPerSecond[name] = 2 * rate * double(machine.matrix.rows) *
                                      double(machine.matrix.cols) * machine.clockHz *
                                      double(machine.cores);
    report.mode = in.mode;
    report.precision = program.precision;
    report.weights = in.weights;
    report.batch = program.batch;
    report.cycles = result.cycles;
    report.latencyS = double(result.cycles) / machine.clockHz;
    report.estimateError =
        result.cycles > 0 ? program.estimatedCycles / double(result.cycles) - 1 : 0;
    report.verify = in.verify;
    report.quantization = in.quantization;
    report.tool = in.tool;
  }

  void composition() {
    report.constants = model.table().constants();
    auto add = [&](const std::string &name, const Terms &terms) {
      for (const Term &term : terms)
        report.composition[name].push_back({report.constants[term.constant].name, term.factor});
    };
    for (size_t i = 0; i < result.actions.count.size(); ++i)
      add(actionName(static_cast<Action>(i)), model.terms(static_cast<Action>(i)));
    for (const auto &[name, terms] : model.powerTerms())
      add("static." + name, terms);
  }

  const LayerResult *resultOf(size_t layer) const {
    return layer < result.layers.size() ? &result.layers[layer] : nullptr;
  }

  /// Share of the run that each layer was busy in; where n layers overlap, each has 1/n of it.
  std::vector<double> timeShares() const {
    std::vector<double> shares(program.layers.size(), 0);
    struct Edge {
      int64_t cycle;
      int step;
    };
    std::vector<Edge> edges;
    std::vector<std::pair<int64_t, int64_t>> spans(program.layers.size(), {0, 0});
    for (size_t i = 0; i < shares.size(); ++i) {
      const LayerResult *layer = resultOf(i);
      if (!layer || layer->firstCycle < 0)
        continue;
      spans[i] = {std::clamp<int64_t>(layer->firstCycle, 0, result.cycles),
                  std::clamp<int64_t>(layer->lastCycle, 0, result.cycles)};
      if (spans[i].second <= spans[i].first)
        continue;
      edges.push_back({spans[i].first, +1});
      edges.push_back({spans[i].second, -1});
    }
    sort(edges, [](const Edge &a, const Edge &b) { return a.cycle < b.cycle; });
    // The integral of 1/(layers busy) up to each edge.
    std::map<int64_t, double> integral;
    double sum = 0;
    int64_t previous = 0;
    int busy = 0;
    for (const Edge &edge : edges) {
      if (busy > 0)
        sum += double(edge.cycle - previous) / busy;
      previous = edge.cycle;
      busy += edge.step;
      integral[edge.cycle] = sum;
    }
    for (size_t i = 0; i < shares.size(); ++i)
      if (spans[i].second > spans[i].first)
        shares[i] = (integral[spans[i].second] - integral[spans[i].first]) / double(result.cycles);
    return shares;
  }

  void layers() {
    std::vector<double> shares = timeShares();
    double staticJ = report.energy[Component::Static].value;
    Actions rest = result.actions;
    double restShare = 1, hostEnergy = 0, hostCycles = 0;
    for (size_t i = 0; i < program.layers.size(); ++i) {
      const Layer &layer = program.layers[i];
      LayerRow row;
      row.node = layer.node;
      row.op = layer.op;
      row.macs = layer.macs;
      row.timeShare = shares[i];
      const LayerResult *measured = resultOf(i);
      if (measured) {
        fill(row, layer, *measured);
        row.energyJ = model.dynamic(measured->actions).total().value + shares[i] * staticJ;
        for (size_t a = 0; a < rest.count.size(); ++a)
          rest.count[a] -= measured->actions.count[a];
      }
      // Folded into another layer, or not there at all: a view, or part of a constant.
      if (layer.host)
        row.engine = "host";
      else if (layer.foldedInto >= 0 || !measured || measured->firstCycle < 0)
        row.engine = "folded";
      if (layer.host) {
        ++report.hostNodes;
        hostEnergy += row.energyJ;
        hostCycles += double(row.hostCycles);
      }
      restShare -= shares[i];
      report.layers.push_back(std::move(row));
    }
    for (size_t i = 0; i < program.layers.size(); ++i) {
      int32_t target = layerOfWork(program, static_cast<int32_t>(i));
      if (program.layers[i].foldedInto >= 0 && target >= 0)
        report.layers[i].bound = report.layers[static_cast<size_t>(target)].bound;
    }
    LayerRow idle;
    idle.node = "(idle)";
    idle.engine = "folded";
    idle.bound = "control";
    idle.timeShare = std::max(0.0, restShare);
    idle.dramBytes = rest[Action::DramReadByte] + rest[Action::DramWriteByte];
    idle.energyJ = model.dynamic(rest).total().value + restShare * staticJ;
    report.layers.push_back(std::move(idle));

    double total = report.energy.total().value;
    report.hostTimeShare = result.cycles > 0 ? hostCycles / double(result.cycles) : 0;
    report.hostEnergyShare = total > 0 ? hostEnergy / total : 0;
  }

  void fill(LayerRow &row, const Layer &layer, const LayerResult &measured) {
    auto busy = [&](EngineKind kind) { return measured.busyCycles[static_cast<size_t>(kind)]; };
    if (measured.firstCycle >= 0)
      row.cycles = measured.lastCycle - measured.firstCycle;
    row.matrixCycles = busy(EngineKind::Matrix);
    row.vectorCycles = busy(EngineKind::Vector);
    row.dmaCycles = busy(EngineKind::Load) + busy(EngineKind::Store);
    row.hostCycles = busy(EngineKind::Control);
    row.dramBytes =
        measured.actions[Action::DramReadByte] + measured.actions[Action::DramWriteByte];
    row.engine = layer.host             ? "host"
                 : row.matrixCycles > 0 ? "matrix"
                 : row.vectorCycles > 0 ? "vector"
                                        : "dma";
    const auto &bounds = measured.boundCycles;
    auto most = std::max_element(bounds.begin(), bounds.end());
    // A layer without commands is bound by whatever issues commands.
    size_t bound = *most > 0 ? static_cast<size_t>(most - bounds.begin())
                             : static_cast<size_t>(Bound::Control);
    row.bound = boundName(bound);
  }

  /// Seconds of `macs` at the machine's peak in the layer's arithmetic.
  double peakSeconds(size_t layer, int64_t macs) const {
    if (macs <= 0)
      return 0;
    int32_t target = layerOfWork(program, static_cast<int32_t>(layer));
    const LayerResult *measured = target < 0 ? nullptr : resultOf(static_cast<size_t>(target));
    ElementType type = measured ? arithmetic(measured->actions, fallbackType) : fallbackType;
    double peak = machine.peakMacsPerSecond(type);
    // Work that the array cannot do in that type ran elsewhere: measured against its best.
    if (peak <= 0)
      for (const auto &[name, rate] : machine.matrix.precisions)
        peak = std::max(peak, rate * double(machine.matrix.rows * machine.matrix.cols) *
                                  machine.clockHz * double(machine.cores));
    return peak > 0 ? double(macs) / peak : 0;
  }

  /// Bytes of the network's inputs and outputs, by the layer whose commands move them.
  std::vector<double> boundaryBytes(double &unplaced) const {
    std::vector<double> bytes(program.layers.size(), 0);
    auto place = [&](const ProgramTensor &tensor, bool input) {
      for (const Command &command : program.commands) {
        if (command.kind != CommandKind::Dma || command.index >= program.dma.size() ||
            command.layer < 0 || command.layer >= static_cast<int32_t>(bytes.size()))
          continue;
        const DmaCommand &dma = program.dma[command.index];
        const Address &end = input ? dma.source : dma.target;
        if (end.space == Space::Dram && end.offset.constant >= tensor.address &&
            end.offset.constant < tensor.address + tensor.bytes) {
          bytes[static_cast<size_t>(command.layer)] += double(tensor.bytes);
          return;
        }
      }
      unplaced += double(tensor.bytes);
    };
    for (const ProgramTensor &tensor : program.tensors)
      if (tensor.kind == ProgramTensor::Kind::Input || tensor.kind == ProgramTensor::Kind::Output)
        place(tensor, tensor.kind == ProgramTensor::Kind::Input);
    return bytes;
  }

  void work() {
    double bandwidth = machine.dramBytesPerSecond();
    double unplaced = 0, computing = 0, slack = 0;
    int64_t counted = 0;
    std::vector<double> boundary = boundaryBytes(unplaced);
    for (size_t i = 0; i < program.layers.size(); ++i) {
      double compute = peakSeconds(i, program.layers[i].macs);
      double bytes = boundary[i];
      if (in.weights != "resident")
        bytes += double(program.layers[i].weightBytes);
      double memory = bandwidth > 0 ? bytes / bandwidth : 0;
      computing += compute;
      counted += program.layers[i].macs;
      slack += std::max(0.0, compute - memory);
      report.lowerBoundS += std::max(compute, memory);
    }
    // What no DMA moves (the host reads it in place) may hide behind any computing.
    if (bandwidth > 0)
      report.lowerBoundS += std::max(0.0, unplaced / bandwidth - slack);
    // Work of nodes that left no layer behind still counts.
    double peak = machine.peakMacsPerSecond(fallbackType);
    if (program.macs > counted && peak > 0)
      computing += double(program.macs - counted) / peak;
    report.utilization = report.latencyS > 0 ? computing / report.latencyS : 0;
  }

  void assumptions() {
    auto &list = report.assumptions;
    list.insert(list.end(), program.assumptions.begin(), program.assumptions.end());
    list.insert(list.end(), in.assumptions.begin(), in.assumptions.end());
    list.push_back("time and energy are modelled, not measured: cycle-approximate timing, energy "
                   "per action from published tables at " +
                   machine.technology.name + " (docs/energy.md)");
    list.push_back("intervals are the 5th to the 95th percentile of 1000 samples of the constants; "
                   "they hold the constants' uncertainty, not the model's");
    append_range(list, report.farScaled());
    list.push_back("DRAM draws its background power for as long as the run lasts; host processor, "
                   "board, cooling and power conversion are outside of the scope");
    for (const std::string &component : model.missing())
      list.push_back("the library of energies has no " + component + ": counted as 0");
    // The same sentence may come from the program and from the driver.
    std::vector<std::string> unique;
    for (std::string &text : list)
      if (!is_contained(unique, text))
        unique.push_back(std::move(text));
    list = std::move(unique);
  }
};

} // namespace

int64_t peakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t(usage.ru_maxrss) * 1024; // Linux counts KiB
}

double RunReport::inferencesPerSecond() const {
  return latencyS > 0 ? double(batch) / latencyS : 0;
}

NpuFigures RunReport::figures() const {
  NpuFigures figures;
  Bounded total = energy.total();
  figures.batch = batch;
  figures.latencyS = latencyS;
  figures.energyJ = total.value;
  figures.energySamplesJ = energySamplesJ;
  figures.nodeNm = nodeNm;
  figures.precision = precision;
  return figures;
}

RunReport buildReport(const ReportInputs &inputs) { return Builder(inputs).build(); }

} // namespace npucc
