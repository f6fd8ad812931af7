//===- Explain.cpp - How an energy came about, down to the sources --------===//

#include "simulator/report/Format.h"
#include "simulator/report/Report.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;

namespace npucc {

namespace {

class Explainer {
public:
  Explainer(raw_ostream &os, const RunReport &report) : os(os), report(report) {}

  Error explain(StringRef figure) {
    if (figure.empty() || figure == "total") {
      total();
    } else if (figure == "area") {
      area();
    } else if (std::optional<Component> component = findComponent(figure)) {
      explainComponent(*component);
    } else if (report.composition.count(figure.str())) {
      action(figure.str(), /*withSources=*/true);
    } else if (figure.consume_front("layer:")) {
      return layer(figure);
    } else if (any_of(report.baselines,
                      [&](const BaselineRow &row) { return row.name == figure; })) {
      gpu(figure);
    } else {
      return unknown(figure);
    }
    constants();
    return Error::success();
  }

private:
  raw_ostream &os;
  const RunReport &report;
  std::vector<std::string> used; ///< constants, in order of appearance

  static std::optional<Component> findComponent(StringRef name) {
    for (size_t i = 0; i < kComponents; ++i)
      if (name == componentName(static_cast<Component>(i)))
        return static_cast<Component>(i);
    return std::nullopt;
  }

  Error unknown(StringRef figure) const {
    std::string known = "total, area";
    for (size_t i = 0; i < kComponents; ++i)
      known += std::string(", ") + componentName(static_cast<Component>(i));
    for (const auto &[name, terms] : report.composition)
      known += ", " + name;
    for (const BaselineRow &row : report.baselines)
      if (row.rule == "same-batch")
        known += ", " + row.name;
    return createStringError("--explain-energy: no figure is named '" + figure + "' (there are " +
                             known + ", and layer:NODE)");
  }

  static std::string range(const Bounded &value, StringRef unit) {
    return si(value.value, unit) + " (" + si(value.low, unit, 3) + " to " +
           si(value.high, unit, 3) + ")";
  }

  void total() {
    os << "energy = sum of actions x energy per action + static power x time\n"
       << "  total " << range(report.energy.total(), "J") << ", " << report.energyScope << "\n\n";
    for (size_t i = 0; i < kComponents; ++i)
      explainComponent(static_cast<Component>(i));
  }

  void explainComponent(Component component) {
    os << componentName(component) << " "
       << range(report.energy.byComponent[static_cast<size_t>(component)], "J") << "\n";
    if (component == Component::Static) {
      for (const auto &[name, terms] : report.composition)
        if (StringRef(name).starts_with("static."))
          composed(name, report.latencyS, "s", "W");
      return;
    }
    for (size_t i = 0; i < static_cast<size_t>(Action::Count); ++i)
      if (EnergyModel::componentOf(static_cast<Action>(i)) == component)
        action(actionName(static_cast<Action>(i)), /*withSources=*/false);
  }

  void action(const std::string &name, bool withSources) {
    auto count = report.actions.find(name);
    double times = count == report.actions.end() ? report.latencyS : count->second;
    if (times == 0 && !withSources)
      return;
    bool isStatic = StringRef(name).starts_with("static.");
    composed(name, times, isStatic ? "s" : "", isStatic ? "W" : "J");
  }

  /// count x energy = joules, and the energy's parts.
  void composed(const std::string &name, double count, StringRef countUnit, StringRef unit) {
    const auto &terms = report.composition.at(name);
    double each = 0;
    for (const auto &[constant, factor] : terms)
      each += factor * find(constant).value;
    os << "  " << name << ": " << si(count, countUnit) << " x " << si(each, unit) << " = "
       << si(count * each, "J") << "\n";
    for (const auto &[constant, factor] : terms) {
      const EnergyConstant &found = find(constant);
      os << "    " << si(factor * found.value, unit) << " = " << constant << ", "
         << significant(found.value, 3) << " " << found.unit << " x "
         << significant(factor * (StringRef(found.unit).starts_with("pJ") ? 1e12 : 1), 3) << "\n";
      if (!is_contained(used, constant))
        used.push_back(constant);
    }
  }

  const EnergyConstant &find(const std::string &name) const {
    for (const EnergyConstant &constant : report.constants)
      if (constant.name == name)
        return constant;
    llvm_unreachable("a composition names its constants");
  }

  void area() {
    auto line = [&](const char *name, const Bounded &part) {
      os << "  " << name << " " << significant(part.value, 3) << " mm2 ("
         << significant(part.low, 3) << " to " << significant(part.high, 3) << ")\n";
    };
    line("total", report.area.total());
    line("matrix", report.area.matrix);
    line("vector", report.area.vector);
    line("scratchpad", report.area.scratchpad);
    line("noc", report.area.noc);
    line("dram_phy", report.area.dramPhy);
    line("control", report.area.control);
    for (const EnergyConstant &constant : report.constants)
      if (StringRef(constant.unit).starts_with("um2") ||
          StringRef(constant.unit).starts_with("mm2") || constant.unit == "1")
        used.push_back(constant.name);
  }

  Error layer(StringRef node) {
    for (const LayerRow &row : report.layers)
      if (row.node == node) {
        double staticJ = report.energy[Component::Static].value * row.timeShare;
        os << "layer " << node << ": " << si(row.energyJ, "J") << " of "
           << si(report.energy.total().value, "J") << "\n  its actions "
           << si(row.energyJ - staticJ, "J") << "\n  its share of the time, "
           << percent(row.timeShare) << ", of static energy " << si(staticJ, "J") << "\n\n";
        total();
        constants();
        return Error::success();
      }
    return createStringError("--explain-energy: no layer is named '" + node + "'");
  }

  void gpu(StringRef name) {
    for (const BaselineRow &row : report.baselines) {
      if (row.name != name)
        continue;
      const Ratio &gain = row.efficiencyGain;
      os << name << ", " << row.rule << ", " << row.precision << ", batch " << row.batch
         << ": efficiency gain " << times(gain.nominal) << " (" << significant(gain.low, 2)
         << " to " << significant(gain.high, 2)
         << ") = " << si(row.energyJ / double(row.batch), "J") << " an inference over "
         << si(report.energy.total().value / double(report.batch), "J") << "\n";
      for (const auto &[what, constant] : row.constants)
        os << "    " << what << ": " << significant(constant.value, 3) << " " << constant.unit
           << " (" << significant(constant.low, 3) << " to " << significant(constant.high, 3)
           << "), board, confidence " << constant.confidence << "\n      " << constant.source
           << "\n";
    }
    os << "\n";
    total();
  }

  void constants() {
    os << "\nconstants\n";
    for (const std::string &name : used) {
      const EnergyConstant &constant = find(name);
      os << "  " << name << ": " << significant(constant.value, 3) << " " << constant.unit << " ("
         << significant(constant.low, 3) << " to " << significant(constant.high, 3) << ")";
      if (constant.nodeNm > 0)
        os << ", " << significant(constant.nodeNm, 3) << " nm at "
           << significant(constant.voltageV, 3) << " V";
      os << ", " << constant.scope << ", confidence " << constant.confidence << "\n    "
         << constant.source << "\n";
    }
  }
};

} // namespace

Error explainEnergy(raw_ostream &os, const RunReport &report, StringRef figure) {
  return Explainer(os, report).explain(figure);
}

} // namespace npucc
