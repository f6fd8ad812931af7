//===- Energy.h - From counted actions to joules ------------------*- C++ -*-===//
//
// Energy = sum of actions x energy per action + static power x time. Counting knows no
// joules, so that technology and voltage can change without a new simulation.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/cost/Area.h"
#include "simulator/cost/Cost.h"
#include "simulator/cost/EnergyTable.h"

#include <array>
#include <string>
#include <vector>

namespace npucc {

/// The parts of `energy_j` in the report, in its order.
enum class Component : uint8_t { Matrix, Vector, Scratchpad, Dram, Noc, Dma, Control, Static };
constexpr size_t kComponents = 8;
const char *componentName(Component component);

/// Intervals only after EnergyModel::sampled(); else both ends are the value.
struct Energy {
  std::array<Bounded, kComponents> byComponent{};
  /// Of the sum: less than the sum of the intervals, since not all is off in one direction.
  double low = 0, high = 0;
  Bounded &operator[](Component c) { return byComponent[static_cast<size_t>(c)]; }
  const Bounded &operator[](Component c) const { return byComponent[static_cast<size_t>(c)]; }
  Bounded total() const;
  Energy &operator+=(const Energy &other);
};

/// The energy table of one machine: components of the library at its node and voltage, composed
/// by its sizes, and its DRAM, which has its own supply.
class EnergyModel {
public:
  explicit EnergyModel(const Machine &machine);

  /// Joules of one action.
  const Bounded &perAction(Action action) const { return actionJ[static_cast<size_t>(action)]; }
  static Component componentOf(Action action);

  /// Watts that flow whatever happens, by what draws them: leakage (core: of control and
  /// interconnect), clock tree, DRAM's standby and
  /// refresh.
  struct StaticPower {
    Bounded matrix, vector, scratchpad, core, clock, dram, dramRefresh;
    Bounded total() const;
  };
  const StaticPower &staticPower() const { return power; }
  const Area &area() const { return areas; }

  /// Without static energy; values only.
  Energy dynamic(const Actions &actions) const;
  Energy total(const Actions &actions, double seconds) const;
  /// total(), with intervals.
  Energy sampled(const Actions &actions, double seconds) const;
  /// kSamples values of the total.
  std::vector<double> samples(const Actions &actions, double seconds) const;

  /// What everything is made of: constants, and joules (watts) per unit of them.
  const EnergyTable &table() const { return constants; }
  const Terms &terms(Action action) const { return actionTerms[static_cast<size_t>(action)]; }
  const std::vector<std::pair<std::string, Terms>> &powerTerms() const { return powers; }

  /// Components that the library lacks: they count as free.
  const std::vector<std::string> &missing() const { return constants.missing(); }

private:
  EnergyTable constants;
  Area areas;
  std::array<Terms, static_cast<size_t>(Action::Count)> actionTerms;
  std::vector<std::pair<std::string, Terms>> powers; ///< by member of StaticPower
  std::array<Bounded, static_cast<size_t>(Action::Count)> actionJ{};
  StaticPower power;

  /// All of a run's energy, or a component's, as terms.
  Terms runTerms(const Actions &actions, double seconds, const Component *only) const;
};

} // namespace npucc
