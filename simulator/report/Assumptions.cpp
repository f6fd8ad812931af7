//===- Assumptions.cpp - What a report takes for granted ------------------===//

#include "simulator/report/Report.h"

#include "models/energy/Nodes.h"
#include "simulator/report/Format.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace npucc {

namespace {

/// Joules of this run that are factors times the constant.
double energyOf(const RunReport &report, const EnergyConstant &constant) {
  double joules = 0;
  for (const auto &[name, terms] : report.composition) {
    auto count = report.actions.find(name);
    double times = count == report.actions.end() ? report.latencyS : count->second;
    for (const auto &[other, factor] : terms)
      if (other == constant.name)
        joules += times * factor * constant.value;
  }
  return joules;
}

} // namespace

std::vector<std::string> RunReport::farScaled() const {
  std::vector<std::string> lines, energies, areas;
  double joules = 0, byArea = 0, total = std::max(energy.total().value, 1e-30);
  int most = 0;
  for (const EnergyConstant &constant : constants) {
    // By the mm and mm2: leakage and clock tree of logic, wires.
    if (!constant.area && StringRef(constant.unit).contains("mm"))
      byArea += energyOf(*this, constant);
    if (constant.generations <= kMostGenerations)
      continue;
    StringRef className = StringRef(constant.name).split(' ').first; // sizes follow
    className.consume_front("area_");
    std::vector<std::string> &names = constant.area ? areas : energies;
    if (!is_contained(names, className))
      names.push_back(className.str());
    if (constant.area)
      most = std::max(most, constant.generations);
    else
      joules += energyOf(*this, constant);
  }
  if (!energies.empty())
    lines.push_back(join(energies, ", ") + ": no published figure within two generations of " +
                    technology +
                    "; no gain is counted beyond two, and intervals reach to the whole; together " +
                    percent(joules / total) + " of the energy");
  if (!areas.empty())
    lines.push_back("areas scaled over up to " + std::to_string(most) +
                    " generations of nodes (Stillmaker and Baas): " + join(areas, ", ") +
                    "; energy has them in leakage and clock tree of logic and in wires only, " +
                    percent(byArea / total) + " of it");
  return lines;
}

std::vector<std::string> RunReport::allAssumptions() const {
  std::vector<std::string> list = assumptions;
  if (baselines.empty())
    return list;
  list.push_back("GPU figures are modelled, not measured (docs/gpu-baselines.md): tuned library, "
                 "weights in DRAM, no host transfer; accuracy at equal formats is assumed equal");
  if (any_of(baselines, [](const BaselineRow &row) { return row.clockRatio < 1; }))
    list.push_back("the power limit lowers the clock of at least one GPU");
  for (const BaselineRow &row : baselines)
    if (row.streamedBytes > 0)
      list.push_back("the network does not fit into the memory of " + row.name + " (" + row.rule +
                     "): " + si(row.streamedBytes, "B") + " a run come over the host link");
  std::string far;
  for (const BaselineRow &row : baselines)
    if (nodeSteps(row.nodeNm, nodeNm) > kMostGenerations && !StringRef(far).contains(row.name))
      far += (far.empty() ? "" : ", ") + row.name;
  if (!far.empty())
    list.push_back("gains at the same node scale the energy of " + far +
                   " over more than two generations of nodes: an upper bound, no headline");
  if (any_of(baselines, [](const BaselineRow &row) { return row.precision == "fp32"; }))
    list.push_back(
        "fp32 runs on a GPU's ordinary lanes; TF32 on its tensor cores is faster and less "
        "accurate, and counts only when asked for (--baseline NAME@tf32)");
  return list;
}

} // namespace npucc
