//===- Energy.h - From counted actions to joules ------------------*- C++ -*-===//
//
// Energy = sum of actions x energy per action + static power x time. Counting knows no
// joules, so that technology and voltage can change without a new simulation.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/cost/Cost.h"

#include <array>
#include <string>
#include <vector>

namespace npucc {

/// The parts of `energy_j` in the report, in its order.
enum class Component : uint8_t { Matrix, Vector, Scratchpad, Dram, Noc, Dma, Control, Static };
constexpr size_t kComponents = 8;
const char *componentName(Component component);

/// A value with its interval. Intervals add up as if all constants were off in the same
/// direction: the widest there can be.
struct Bounded {
  double value = 0, low = 0, high = 0;
  Bounded &operator+=(const Bounded &other);
  Bounded scaled(double factor) const { return {value * factor, low * factor, high * factor}; }
};

struct Energy {
  std::array<Bounded, kComponents> byComponent{};
  Bounded &operator[](Component c) { return byComponent[static_cast<size_t>(c)]; }
  const Bounded &operator[](Component c) const { return byComponent[static_cast<size_t>(c)]; }
  Bounded total() const;
  Energy &operator+=(const Energy &other);
};

/// The energy table of one machine: its technology at its voltage, its memories' sizes and its
/// DRAM. Dynamic energy goes with (V / Vnominal)^2, leakage with V / Vnominal; DRAM has its own
/// supply.
class EnergyModel {
public:
  explicit EnergyModel(const Machine &machine);

  /// Joules of one action.
  const Bounded &perAction(Action action) const { return actionJ[static_cast<size_t>(action)]; }
  static Component componentOf(Action action);

  /// Watts that flow whatever happens, by what draws them.
  struct StaticPower {
    Bounded matrix, vector, scratchpad, core, dram, dramRefresh;
    Bounded total() const;
  };
  const StaticPower &staticPower() const { return power; }

  /// Without static energy.
  Energy dynamic(const Actions &actions) const;
  Energy total(const Actions &actions, double seconds) const;

  /// Actions that the technology's table has no energy for: they count as free.
  const std::vector<std::string> &missing() const { return without; }

private:
  std::array<Bounded, static_cast<size_t>(Action::Count)> actionJ{};
  StaticPower power;
  std::vector<std::string> without;
};

} // namespace npucc
