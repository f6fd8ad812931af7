//===- ReportTest.cpp - Energies and reports ------------------------------===//

#include "simulator/report/Report.h"
#include "simulator/report/Format.h"

#include "models/energy/Samples.h"
#include "models/machine/DataFile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace npucc;

namespace {

Machine edge() {
  auto machine = loadMachine("edge");
  if (!machine)
    FAIL(llvm::toString(machine.takeError()));
  return *machine;
}

Layer layer(const char *node, const char *op, int64_t macs) {
  Layer result;
  result.node = node;
  result.op = op;
  result.macs = macs;
  return result;
}

/// Two layers that overlap, a folded one, and 100 cycles in which nothing is busy.
struct Run {
  Machine machine = edge();
  Program program;
  SimulationResult result;

  Run() {
    program.modelName = "net <&> \"1\"";
    program.precision = "int8";
    program.macs = 3000000;
    program.estimatedCycles = 900;
    program.layers = {layer("conv", "Conv", 2000000), layer("relu", "Relu", 0),
                      layer("fc", "MatMul", 1000000)};
    program.layers[1].foldedInto = 0;
    program.layers[0].weightBytes = 51200;
    result.cycles = 1000;
    result.layers.resize(3);
    LayerResult &conv = result.layers[0], &fc = result.layers[2];
    conv.firstCycle = 0;
    conv.lastCycle = 600;
    conv.busyCycles = {100, 50, 500, 0, 0};
    conv.boundCycles[static_cast<size_t>(Bound::Dram)] = 400;
    conv.actions[Action::MacInt8] = 2000000;
    conv.actions[Action::DramReadByte] = 60000;
    fc.firstCycle = 400;
    fc.lastCycle = 900;
    fc.busyCycles = {10, 0, 0, 300, 0};
    fc.actions[Action::MacInt8] = 1000000;
    fc.actions[Action::DramWriteByte] = 1000;
    result.actions += conv.actions;
    result.actions += fc.actions;
    result.actions[Action::ControlCommand] += 7; // belongs to no layer
    result.actions[Action::DramReadByte] += 64;
  }

  RunReport report() {
    ReportInputs inputs{"net.onnx", program, machine, result, "timing", "cold", {}, {}, {}, {}};
    return buildReport(inputs);
  }
};

llvm::json::Object json(const RunReport &report) {
  std::string text;
  llvm::raw_string_ostream os(text);
  writeJson(os, report);
  auto value = llvm::json::parse(text);
  if (!value)
    FAIL(llvm::toString(value.takeError()));
  return *value->getAsObject();
}

std::string text(const RunReport &report) {
  std::string result;
  llvm::raw_string_ostream os(result);
  writeText(os, report, {});
  return result;
}

} // namespace

Machine at(const char *technology) {
  Machine machine = edge();
  auto loaded = loadTechnology(technology);
  if (!loaded)
    FAIL(llvm::toString(loaded.takeError()));
  machine.technology = *loaded;
  machine.voltageV = loaded->nominalVoltageV;
  return machine;
}

TEST_CASE("every technology has an energy for every action", "[energy]") {
  std::vector<Machine> machines;
  for (const std::string &name : listMachines())
    machines.push_back(*loadMachine(name));
  for (const std::string &name : listDataFiles("technology"))
    machines.push_back(at(name.c_str()));
  for (const Machine &machine : machines) {
    EnergyModel model(machine);
    CHECK(model.missing().empty());
    for (size_t i = 0; i < static_cast<size_t>(Action::Count); ++i) {
      const Bounded &joules = model.perAction(static_cast<Action>(i));
      INFO(machine.name << " at " << machine.technology.name << ": "
                        << actionName(static_cast<Action>(i)));
      CHECK(joules.low > 0);
      CHECK(joules.low < joules.value);
      CHECK(joules.value < joules.high);
    }
  }
}

TEST_CASE("a smaller node costs less", "[energy]") {
  Machine seven = at("7nm");
  for (const char *older : {"45nm", "28nm", "16nm"}) {
    EnergyModel old(at(older)), recent(seven);
    for (Action action : {Action::MacInt8, Action::MacBf16, Action::MacFp32, Action::VectorOp,
                          Action::ScratchpadReadByte, Action::NocByte, Action::HostOp}) {
      INFO(older << " " << actionName(action));
      CHECK(recent.perAction(action).value < old.perAction(action).value);
    }
    CHECK(recent.area().matrix.value < old.area().matrix.value);
    CHECK(recent.area().scratchpad.value < old.area().scratchpad.value);
  }
}

TEST_CASE("energy is actions times their energy, plus static power times time", "[energy]") {
  Machine machine = edge();
  EnergyModel model(machine);
  Actions actions;
  actions[Action::MacInt8] = 1e6;
  actions[Action::DramReadByte] = 1e3;
  Energy energy = model.sampled(actions, 2e-3);
  // Multiplier and 32-bit adder of the 7 nm table; 40 register bits at 0.75 for 0.7 V.
  CHECK(energy[Component::Matrix].value ==
        Approx(1e-6 * (0.07 + 0.03 + 40 * 0.0014 * std::pow(0.75 / 0.7, 2))));
  CHECK(energy[Component::Dram].value ==
        Approx(8e3 * machine.dram.energy.readPjPerBit.value * 1e-12));
  CHECK(energy[Component::Static].value == Approx(model.staticPower().total().value * 2e-3));
  CHECK(energy.total().low < energy.total().value);
  CHECK(energy.total().value < energy.total().high);
  CHECK(energy.total().value == Approx(model.total(actions, 2e-3).total().value));
}

TEST_CASE("the technology file's own energies count", "[energy]") {
  Machine machine = edge();
  machine.technology.energyPj["matrix.mac_int8"] = {2, 1, 3, "pJ", "measured on our chip", "high"};
  CHECK(EnergyModel(machine).perAction(Action::MacInt8).value == Approx(2e-12));
  machine.voltageV /= 2;
  CHECK(EnergyModel(machine).perAction(Action::MacInt8).value == Approx(0.5e-12));
}

TEST_CASE("voltage scales dynamic energy by its square and leakage linearly", "[energy]") {
  Machine machine = edge(), low = machine;
  low.voltageV = machine.voltageV / 2;
  EnergyModel model(machine), lower(low);
  CHECK(lower.perAction(Action::MacInt8).value ==
        Approx(model.perAction(Action::MacInt8).value / 4));
  CHECK(lower.perAction(Action::DramReadByte).value == model.perAction(Action::DramReadByte).value);
  CHECK(lower.staticPower().scratchpad.value == Approx(model.staticPower().scratchpad.value / 2));
  CHECK(lower.staticPower().clock.value == Approx(model.staticPower().clock.value / 4));
  CHECK(lower.staticPower().dram.value == model.staticPower().dram.value);
}

TEST_CASE("a larger bank costs more for each byte, a wider row less", "[energy]") {
  Machine machine = edge(), large = machine, wide = machine;
  large.scratchpad.bytes *= 16;
  wide.scratchpad.writeBytesPerCycle *= 2;
  double joules = EnergyModel(machine).perAction(Action::ScratchpadReadByte).value;
  CHECK(EnergyModel(large).perAction(Action::ScratchpadReadByte).value > joules);
  CHECK(EnergyModel(wide).perAction(Action::ScratchpadReadByte).value < joules);
}

TEST_CASE("intervals are sampled, and what stands on both sides cancels", "[energy]") {
  // Constants that are independent add up to less than all low and all high ends.
  Machine machine = edge();
  EnergyModel model(machine);
  Actions actions;
  actions[Action::MacInt8] = 1e9;
  actions[Action::DramReadByte] = 2e6;
  actions[Action::ScratchpadReadByte] = 1e8;
  Energy energy = model.sampled(actions, 0);
  double low = 0, high = 0;
  for (const Bounded &part : energy.byComponent) {
    low += part.low;
    high += part.high;
  }
  CHECK(energy.total().low > low);
  CHECK(energy.total().high < high);
  // The same work on the same machine: a ratio of exactly 2, whatever the constants are.
  Actions twice = actions;
  twice += actions;
  std::vector<double> once = model.samples(actions, 0), both = model.samples(twice, 0);
  for (size_t i = 0; i < once.size(); ++i)
    CHECK(both[i] / once[i] == Approx(2));
  CHECK(model.samples(actions, 0) == EnergyModel(machine).samples(actions, 0));
}

TEST_CASE("samples keep the constant's interval", "[energy]") {
  std::vector<double> samples = drawSamples("x", 2, 1, 8);
  auto [low, high] = interval(samples);
  CHECK(low == Approx(1).epsilon(0.1));
  CHECK(high == Approx(8).epsilon(0.2));
  CHECK(drawSamples("x", 2, 1, 8) == samples);
  CHECK(drawSamples("y", 2, 1, 8) != samples);
  std::sort(samples.begin(), samples.end());
  CHECK(samples[samples.size() / 2] == Approx(2).epsilon(0.1));
}

TEST_CASE("energies of whole machines lie where chips do", "[energy]") {
  // NVDLA's primer: 0.26 pJ a multiply-accumulate at 16 nm for the core on average, estimated;
  // Simba's best voltage: 0.22. An element alone must cost less than twice the core's, and its
  // interval hold both.
  Machine machine = *loadMachine("nvdla-small");
  Bounded mac = EnergyModel(machine).perAction(Action::MacInt8);
  CHECK(mac.value < 2 * 0.264e-12);
  CHECK(mac.low < 0.22e-12);
  CHECK(mac.high > 0.264e-12);
}

TEST_CASE("areas of whole machines lie where chips do", "[area]") {
  // NVDLA's primer: 64 multipliers and 128 KiB are 0.55 mm2 at 16 nm, without DRAM's PHY, a
  // control core and a vector unit that runs anything.
  Machine nvdla = *loadMachine("nvdla-small");
  Area area = EnergyModel(nvdla).area();
  Bounded core = area.matrix;
  core += area.scratchpad;
  CHECK(core.low < 0.55);
  CHECK(core.high > 0.25);
  // Twice the array, twice its area; the interval holds the value.
  Machine wide = nvdla;
  wide.matrix.cols *= 2;
  wide.matrix.accumulatorBytes *= 2;
  CHECK(EnergyModel(wide).area().matrix.value == Approx(2 * area.matrix.value));
  CHECK(area.total().low < area.total().value);
  CHECK(area.total().value < area.total().high);
}

TEST_CASE("no headline rests on a constant from far away without saying so", "[report]") {
  for (const std::string &name : listMachines())
    for (const char *technology : {"45nm", "28nm", "16nm", "7nm", "5nm"}) {
      Run run;
      run.machine = *loadMachine(name);
      run.machine.technology = *loadTechnology(technology);
      run.result.actions[Action::HostOp] = 1000;
      run.result.actions[Action::NocByte] = 60000;
      RunReport report = run.report();
      std::string text;
      for (const std::string &assumption : report.assumptions)
        text += assumption + "\n";
      INFO(name << " at " << technology << "\n" << text);
      for (const EnergyConstant &constant : report.constants) {
        if (constant.generations <= kMostGenerations)
          continue;
        INFO(constant.name << ", " << constant.generations << " generations");
        CHECK((constant.area || constant.limited));
        llvm::StringRef className = llvm::StringRef(constant.name).split(' ').first;
        className.consume_front("area_");
        CHECK_THAT(text, Catch::Contains(className.str()));
        CHECK_THAT(text, Catch::Contains(constant.area ? "areas scaled over up to"
                                                       : "no gain is counted beyond two"));
      }
    }
}

TEST_CASE("the share of energy from far away adds up", "[report]") {
  // At 7 nm routers come from 32 nm, four generations away: all of this run's dynamic energy but
  // the wire of the same action.
  Run run;
  run.result.actions = {};
  run.result.actions[Action::NocByte] = 1e12;
  RunReport report = run.report();
  auto line = std::find_if(report.assumptions.begin(), report.assumptions.end(),
                           [](const std::string &text) {
                             return text.find("router, instruction: no") == 0 ||
                                    text.find("instruction, router: no") == 0;
                           });
  REQUIRE(line != report.assumptions.end());
  double router = 0, total = 0;
  for (const auto &[constant, factor] : report.composition.at("noc.byte"))
    for (const EnergyConstant &each : report.constants)
      if (each.name == constant) {
        total += factor * each.value;
        if (constant == "router")
          router += factor * each.value;
      }
  REQUIRE(router > 0);
  CHECK_THAT(*line, Catch::Contains("together " + percent(router / total) + " of the energy"));
  double perMm = 0, energy = report.energy.total().value;
  for (const EnergyConstant &each : report.constants)
    if (each.name == "wire" || each.name == "leakage_logic" || each.name == "clock_tree")
      for (const auto &[action, terms] : report.composition)
        for (const auto &[constant, factor] : terms)
          if (constant == each.name)
            perMm += factor * each.value *
                     (report.actions.count(action) ? report.actions.at(action) : report.latencyS);
  REQUIRE(perMm > 0);
  auto areas = std::find_if(report.assumptions.begin(), report.assumptions.end(),
                            [](const std::string &text) { return text.find("areas scaled") == 0; });
  REQUIRE(areas != report.assumptions.end());
  CHECK_THAT(*areas, Catch::Contains("wires only, " + percent(perMm / energy) + " of it"));
  run.machine.technology = *loadTechnology("28nm");
  for (const std::string &text : run.report().assumptions)
    CHECK(text.find("no gain is counted") == std::string::npos);
}

TEST_CASE("gains at the same node are no headline over many generations", "[report]") {
  RunReport report;
  report.nodeNm = 28;
  BaselineRow row;
  row.name = "far";
  row.nodeNm = 5;
  report.baselines = {row, row};
  auto far = [&] {
    for (const std::string &text : report.allAssumptions())
      if (text.find("gains at the same node") == 0)
        return text;
    return std::string();
  };
  CHECK_THAT(far(), Catch::Contains("energy of far over more than two generations"));
  report.nodeNm = 7;
  CHECK(far().empty());
}

TEST_CASE("every number of a report can be traced", "[report]") {
  Run run;
  run.result.actions[Action::HostByte] += 5;
  RunReport built = run.report();
  Graph graph;
  auto requests = parseBaselines("h100-sxm,jetson-agx-orin-64");
  REQUIRE(bool(requests));
  auto rows = compareWithGpus(*requests, graph, built.figures());
  REQUIRE(bool(rows));
  built.baselines = *rows;
  llvm::json::Object report = json(built);

  std::map<std::string, double> values;
  auto isTraced = [&](const llvm::json::Object &constant) {
    std::string name = constant.getString("name")->str();
    INFO(name);
    double value = *constant.getNumber("value");
    CHECK(*constant.getNumber("low") < value);
    CHECK(value < *constant.getNumber("high"));
    for (const char *key : {"unit", "source", "scope", "confidence"}) {
      INFO(key);
      REQUIRE(constant.getString(key));
      CHECK_FALSE(constant.getString(key)->empty());
    }
    CHECK(constant.getString("source")->size() > 10);
    // What belongs to a node names it.
    if (!constant.getNumber("node_nm"))
      CHECK_THAT(name + constant.getString("scope")->str(),
                 Catch::Contains("dram") || Catch::Contains("board"));
    values[name] = value;
  };
  for (const llvm::json::Value &constant : *report.getArray("constants"))
    isTraced(*constant.getAsObject());

  // Every energy and power is the sum of its constants.
  const llvm::json::Object &composition = *report.getObject("composition");
  auto sum = [&](const std::string &figure) {
    INFO(figure);
    REQUIRE(composition.getObject(figure));
    double total = 0;
    for (const auto &[constant, factor] : *composition.getObject(figure)) {
      INFO(constant.str());
      REQUIRE(values.count(constant.str()));
      total += *factor.getAsNumber() * values[constant.str()];
    }
    return total;
  };
  for (const auto &[action, count] : *report.getObject("actions"))
    CHECK(sum(action.str()) == Approx(*report.getObject("energy_per_action_j")->getNumber(action)));
  for (const auto &[part, watts] : *report.getObject("static_power_w"))
    if (part != "total")
      CHECK(sum("static." + part.str()) == Approx(*watts.getAsNumber()));
  CHECK(report.getArray("energy_interval_j")->size() == 2);
  CHECK(report.getArray("area_interval_mm2")->size() == 2);
  double parts = 0;
  for (const auto &[part, mm2] : *report.getObject("area_mm2"))
    parts += part == "total" ? 0 : *mm2.getAsNumber();
  CHECK(parts == Approx(*report.getObject("area_mm2")->getNumber("total")));

  for (const llvm::json::Value &row : *report.getArray("baselines")) {
    REQUIRE(row.getAsObject()->getArray("constants")->size() >= 5);
    for (const llvm::json::Value &constant : *row.getAsObject()->getArray("constants"))
      isTraced(*constant.getAsObject());
  }
}

TEST_CASE("an explanation goes down to the sources", "[report]") {
  Run run;
  RunReport report = run.report();
  auto explain = [&](llvm::StringRef figure) {
    std::string text;
    llvm::raw_string_ostream os(text);
    if (llvm::Error error = explainEnergy(os, report, figure))
      return llvm::toString(std::move(error));
    return text;
  };
  CHECK_THAT(explain(""), Catch::Contains("int_multiplier 8 bits") && Catch::Contains("Jouppi") &&
                              Catch::Contains("dram LPDDR5-6400 read"));
  CHECK_THAT(explain("matrix.mac_int8"), Catch::Contains("register"));
  CHECK_THAT(explain("area"), Catch::Contains("area_bitcell") && Catch::Contains("layout_sram"));
  CHECK_THAT(explain("layer:conv"), Catch::Contains("share of the time, 50.0 %"));
  CHECK_THAT(explain("layer:nothing"), Catch::Contains("no layer is named 'nothing'"));
  CHECK_THAT(explain("matrox"), Catch::Contains("no figure is named 'matrox' (there are total"));
}

TEST_CASE("layer rows add up to the totals", "[report]") {
  Run run;
  RunReport report = run.report();
  REQUIRE(report.layers.size() == 4);
  CHECK(report.layers.back().node == "(idle)");
  double energy = 0, bytes = 0, time = 0;
  for (const LayerRow &row : report.layers) {
    energy += row.energyJ;
    bytes += row.dramBytes;
    time += row.timeShare;
  }
  CHECK(energy == Approx(report.energy.total().value));
  CHECK(bytes == report.dramReadBytes + report.dramWrittenBytes);
  CHECK(time == Approx(1));
  // 400 cycles alone, 200 shared; 300 alone; nobody in the last 100.
  CHECK(report.layers[0].timeShare == Approx(0.5));
  CHECK(report.layers[2].timeShare == Approx(0.4));
  CHECK(report.layers[3].timeShare == Approx(0.1));
  CHECK(report.layers[0].engine == "matrix");
  CHECK(report.layers[1].engine == "folded");
  CHECK(report.layers[2].engine == "vector");
  CHECK(report.layers[0].bound == "dram");
  CHECK(report.layers[1].bound == "dram");
  CHECK(report.layers[0].dmaCycles == 150);
}

TEST_CASE("a layer without commands is folded, wherever its work went", "[report]") {
  Run run;
  run.program.layers.push_back(layer("view", "Reshape", 0));
  run.result.layers.emplace_back();
  RunReport report = run.report();
  REQUIRE(report.layers.size() == 5);
  CHECK(report.layers[3].node == "view");
  CHECK(report.layers[3].engine == "folded");
  CHECK(report.layers[3].energyJ == 0);
  CHECK(report.layers[2].engine == "vector");
}

TEST_CASE("utilization and the lower bound follow their definitions", "[report]") {
  Run run;
  RunReport report = run.report();
  double peak = 4096e9, bandwidth = 51.2e9;
  CHECK(report.latencyS == Approx(1e-6));
  CHECK(report.utilization == Approx(3e6 / peak / 1e-6));
  CHECK(report.lowerBoundS == Approx(51200 / bandwidth + 1e6 / peak));
  CHECK(report.estimateError == Approx(-0.1));
  ReportInputs resident{"net.onnx", run.program, run.machine, run.result, "timing",
                        "resident", {},          {},          {},         {}};
  CHECK(buildReport(resident).lowerBoundS == Approx(3e6 / peak));
}

TEST_CASE("the JSON has the promised keys", "[report]") {
  Run run;
  RunReport report = run.report();
  BaselineRow row;
  row.name = "l4";
  report.baselines = {row};
  llvm::json::Object object = json(report);
  for (const char *key : {"schema",
                          "model",
                          "npu",
                          "mode",
                          "precision",
                          "batch",
                          "weights",
                          "cycles",
                          "latency_s",
                          "inferences_per_s",
                          "ops",
                          "achieved_ops_per_s",
                          "utilization",
                          "lower_bound_s",
                          "estimate_error",
                          "energy_scope",
                          "energy_j",
                          "energy_interval_j",
                          "average_power_w",
                          "ops_per_j",
                          "inferences_per_j",
                          "dram_bytes",
                          "actions",
                          "host",
                          "layers",
                          "baselines",
                          "assumptions",
                          "verify",
                          "tool"}) {
    INFO(key);
    CHECK(object.get(key));
  }
  for (const char *key :
       {"total", "matrix", "vector", "scratchpad", "dram", "noc", "dma", "control", "static"})
    CHECK(object.getObject("energy_j")->getNumber(key));
  for (const char *key : {"node", "op", "engine", "cycles", "engine_busy_cycles", "macs",
                          "dram_bytes", "energy_j", "bound"})
    CHECK(object.getArray("layers")->front().getAsObject()->get(key));
  for (const char *key :
       {"name", "rule", "precision", "batch", "energy_scope", "node_nm", "latency_s",
        "inferences_per_s", "energy_j", "speedup", "efficiency_gain", "accuracy_match"})
    CHECK(object.getArray("baselines")->front().getAsObject()->get(key));
  CHECK(object.get("verify")->getAsNull());

  // total = sum of actions x energy + static power x time, from the file alone.
  double sum =
      *object.getObject("static_power_w")->getNumber("total") * *object.getNumber("latency_s");
  for (const auto &[key, count] : *object.getObject("actions"))
    sum += *count.getAsNumber() * *object.getObject("energy_per_action_j")->getNumber(key);
  CHECK(sum == Approx(*object.getObject("energy_j")->getNumber("total")));
}

TEST_CASE("the same run gives the same report", "[report]") {
  Run run;
  std::string first, second;
  llvm::raw_string_ostream a(first), b(second);
  writeJson(a, run.report());
  writeJson(b, run.report());
  CHECK(first == second);
}

TEST_CASE("the text fits into 100 columns and has no colour unless asked", "[report]") {
  Run run;
  run.program.layers[0].node = std::string(300, 'n');
  run.program.modelName = std::string(300, 'm');
  RunReport report = run.report();
  BaselineRow row;
  row.name = "rtx4090-laptop-16gb";
  row.precision = "int8";
  row.batch = 4096;
  row.latencyS = 1.234e-3;
  row.inferencesPerSecond = 123456;
  row.energyJ = 1.2;
  row.speedup = row.efficiencyGain = {0.00899, 0.00601, 0.0135};
  report.baselines = {row};
  std::string out = text(report);
  CHECK(out.find('\033') == std::string::npos);
  llvm::SmallVector<llvm::StringRef, 64> lines;
  llvm::StringRef(out).split(lines, '\n');
  for (llvm::StringRef line : lines) {
    INFO(line.str());
    CHECK(line.size() <= 100);
  }
}

TEST_CASE("a GPU whose memory is too small is named", "[report]") {
  Run run;
  RunReport report = run.report();
  BaselineRow row;
  row.name = "l4";
  row.rule = "same-batch";
  report.baselines = {row};
  CHECK(text(report).find("does not fit") == std::string::npos);
  report.baselines[0].streamedBytes = 5e9;
  CHECK_THAT(llvm::join(report.allAssumptions(), "\n"),
             Catch::Contains("does not fit into the memory of l4 (same-batch): 5.000 GB a run"));
}

TEST_CASE("a run without cycles is reported, too", "[report]") {
  Run run;
  run.program.layers.clear();
  run.program.macs = 0;
  run.result = {};
  RunReport report = run.report();
  CHECK(text(report).find("nan") == std::string::npos);
  CHECK(json(report).getNumber("latency_s") == 0.0);
}

TEST_CASE("pages and timelines escape what names contain", "[report]") {
  Run run;
  run.program.layers[0].node = "<script>\"'\xff\n";
  Stream stream;
  stream.engine = EngineKind::Matrix;
  run.program.streams = {stream};
  run.result.trace = {{0, -1, 0, 0, 600}, {7, 3, -1, 5, 6}};
  std::string page, trace;
  llvm::raw_string_ostream a(page), b(trace);
  writeHtml(a, run.report());
  CHECK(page.find("<script>") == std::string::npos);
  CHECK(page.find("&lt;script&gt;") != std::string::npos);
  writeTrace(b, run.program, run.machine, run.result);
  auto value = llvm::json::parse(trace);
  REQUIRE(bool(value));
  CHECK(value->getAsObject()->getArray("traceEvents")->size() == 4);
}

TEST_CASE("numbers for people", "[report]") {
  CHECK(si(0.00123456, "s") == "1.235 ms");
  CHECK(si(999.96, "B") == "1.000 kB");
  CHECK(si(0, "J") == "0 J");
  CHECK(si(4.09e9, "MAC", 3) == "4.09 GMAC");
  CHECK(grouped(1234567) == "1 234 567");
  CHECK(grouped(-123) == "-123");
  CHECK(percent(0.1234) == "12.3 %");
  CHECK(times(3.21) == "3.21x");
  CHECK(fit("a/very/long/name/of/a/node", 12).size() == 12);
}
