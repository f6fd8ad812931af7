//===- Report.h - What a run reports ------------------------------*- C++ -*-===//
//
// Everything that is printed is computed once, here, from the program, the machine and the
// simulation's counts. docs/interface.md has the definitions and the JSON keys.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/baseline/Baseline.h"
#include "simulator/core/Simulator.h"
#include "simulator/cost/Energy.h"

#include "llvm/Support/raw_ostream.h"

#include <optional>
#include <string>
#include <vector>

namespace npucc {

struct VerifyResult {
  double maxAbsError = 0, maxRelError = 0;
  bool passed = false;
};

/// What --precision int8 did to a float model (docs/quantization.md).
struct QuantizationReport {
  std::string ranges; ///< method; empty: nominal ranges
  int64_t samples = 0;
  double int8MacShare = 0;
  std::vector<std::string> floatNodes; ///< with multiply-accumulates
  struct Group {
    int64_t begin, end; ///< channels
    double snrDb;
  };
  struct Output {
    std::string name;
    double snrDb; ///< against the float network on the inputs of the run, by the reference
    std::vector<Group> groups;
  };
  std::vector<Output> outputs; ///< functional mode
};

/// Cost of the tool itself; the only part of a report that differs between equal runs.
struct ToolTimes {
  double compileCpuS = 0, simulateCpuS = 0;
  int64_t peakRssBytes = 0; ///< peakResidentBytes()
};
int64_t peakResidentBytes();

struct ReportInputs {
  std::string modelPath;
  const Program &program;
  const Machine &machine;
  const SimulationResult &result;
  std::string mode = "functional";      ///< or "timing"
  std::string weights = "cold";         ///< or "resident"
  std::vector<std::string> assumptions; ///< beside those of the program
  std::optional<VerifyResult> verify;
  ToolTimes tool;
  std::optional<QuantizationReport> quantization;
};

struct LayerRow {
  std::string node, op, engine, bound;
  int64_t cycles = 0; ///< busy span; layers overlap
  int64_t matrixCycles = 0, vectorCycles = 0, dmaCycles = 0, hostCycles = 0;
  int64_t macs = 0;
  double dramBytes = 0;
  double energyJ = 0;   ///< with its part of the static energy
  double timeShare = 0; ///< of the run: overlapping layers share what they overlap in
};

struct RunReport {
  std::string modelPath, modelName, modelSha256;
  int64_t parameters = 0, macs = 0;
  std::string npuName, technology;
  double clockHz = 0, nodeNm = 0;
  std::map<std::string, double> peakOpsPerSecond;
  std::string mode, precision, weights;
  int64_t batch = 1, cycles = 0;
  double latencyS = 0, utilization = 0, lowerBoundS = 0, estimateError = 0;
  std::string energyScope = "chip+dram";
  Energy energy;
  EnergyModel::StaticPower staticPower;
  std::map<std::string, double> energyPerActionJ;
  /// What energies, static powers and areas are made of. `composition`: by action, or
  /// "static.<part>": names of constants, and joules (watts) per unit of them.
  std::vector<EnergyConstant> constants;
  std::map<std::string, std::vector<std::pair<std::string, double>>> composition;
  Area area;
  std::vector<double> energySamplesJ; ///< of the total
  std::map<std::string, double> actions;
  double dramReadBytes = 0, dramWrittenBytes = 0;
  int64_t hostNodes = 0;
  double hostTimeShare = 0, hostEnergyShare = 0;
  std::vector<LayerRow> layers; ///< in program order; the last one is "(idle)"
  std::vector<BaselineRow> baselines;
  std::vector<std::string> assumptions;
  std::optional<VerifyResult> verify;
  std::optional<QuantizationReport> quantization;
  ToolTimes tool;

  /// What was published more than two generations away from the machine's node, with its share of
  /// the energy. No energy is scaled further than two; areas are.
  std::vector<std::string> farScaled() const;
  /// `assumptions`, and what the rows of `baselines` bring with them.
  std::vector<std::string> allAssumptions() const;
  double inferencesPerSecond() const;
  double ops() const { return 2 * static_cast<double>(macs); }
  NpuFigures figures() const; ///< for compareWithGpus(), whose rows go into `baselines`
};

RunReport buildReport(const ReportInputs &inputs);

/// The JSON report; keys in the order of docs/interface.md.
void writeJson(llvm::raw_ostream &os, const RunReport &report);

struct TextOptions {
  bool color = false;
  size_t slowestLayers = 10; ///< rows of the table
  bool verbose = false;      ///< every layer, every assumption
};
void writeText(llvm::raw_ostream &os, const RunReport &report, const TextOptions &options);

/// How a figure came about, down to the sources: "" or "total", a component ("matrix"), an action
/// ("matrix.mac_int8"), "area", a layer ("layer:NODE"), or a GPU ("h100-sxm"). The error names
/// what there is.
llvm::Error explainEnergy(llvm::raw_ostream &os, const RunReport &report, llvm::StringRef figure);

/// One self-contained page.
void writeHtml(llvm::raw_ostream &os, const RunReport &report);

/// Chrome trace events (chrome://tracing, Perfetto); needs SimulationOptions::recordTrace.
void writeTrace(llvm::raw_ostream &os, const Program &program, const Machine &machine,
                const SimulationResult &result);

} // namespace npucc
