//===- ReportTest.cpp - Energies and reports ------------------------------===//

#include "simulator/report/Report.h"
#include "simulator/report/Format.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

#include <catch2/catch.hpp>

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

TEST_CASE("every technology has an energy for every action", "[energy]") {
  for (const std::string &name : listMachines()) {
    auto machine = loadMachine(name);
    REQUIRE(bool(machine));
    CHECK(EnergyModel(*machine).missing().empty());
  }
  Machine machine = edge();
  for (const char *name : {"45nm", "28nm", "16nm", "7nm"}) {
    auto technology = loadTechnology(name);
    REQUIRE(bool(technology));
    machine.technology = *technology;
    CHECK(EnergyModel(machine).missing().empty());
  }
}

TEST_CASE("energy is actions times their energy, plus static power times time", "[energy]") {
  Machine machine = edge();
  EnergyModel model(machine);
  Actions actions;
  actions[Action::MacInt8] = 1e6;
  actions[Action::DramReadByte] = 1e3;
  Energy energy = model.total(actions, 2e-3);
  CHECK(energy[Component::Matrix].value ==
        Approx(1e6 * machine.technology.energyPj["matrix.mac_int8"].value * 1e-12));
  CHECK(energy[Component::Dram].value ==
        Approx(8e3 * machine.dram.energy.readPjPerBit.value * 1e-12));
  CHECK(energy[Component::Static].value == Approx(model.staticPower().total().value * 2e-3));
  CHECK(energy.total().low < energy.total().value);
  CHECK(energy.total().value < energy.total().high);
}

TEST_CASE("voltage scales dynamic energy by its square and leakage linearly", "[energy]") {
  Machine machine = edge(), low = machine;
  low.voltageV = machine.voltageV / 2;
  EnergyModel model(machine), lower(low);
  CHECK(lower.perAction(Action::MacInt8).value ==
        Approx(model.perAction(Action::MacInt8).value / 4));
  CHECK(lower.perAction(Action::DramReadByte).value == model.perAction(Action::DramReadByte).value);
  CHECK(lower.staticPower().scratchpad.value == Approx(model.staticPower().scratchpad.value / 2));
  CHECK(lower.staticPower().dram.value == model.staticPower().dram.value);
}

TEST_CASE("a larger scratchpad costs more for each byte", "[energy]") {
  Machine machine = edge(), large = machine;
  large.scratchpad.bytes *= 16;
  CHECK(EnergyModel(large).perAction(Action::ScratchpadReadByte).value >
        EnergyModel(machine).perAction(Action::ScratchpadReadByte).value);
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
                        "resident", {},          {},          {},          {}};
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
