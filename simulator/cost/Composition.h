//===- Composition.h - What an action's energy is made of ---------*- C++ -*-===//
#pragma once

#include "simulator/cost/Area.h"
#include "simulator/cost/Cost.h"

namespace npucc {

/// Joules per unit of a constant for each action, and watts for each part of the static power
/// (matrix, vector, scratchpad, core, clock, dram, dram_refresh, in this order).
struct Composition {
  std::array<Terms, static_cast<size_t>(Action::Count)> actions;
  std::vector<std::pair<std::string, Terms>> powers;
};

/// Adds the constants that it needs to `table`.
Composition compose(const Machine &machine, const Area &area, EnergyTable &table);

} // namespace npucc
