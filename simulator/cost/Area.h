//===- Area.h - Square millimetres of a machine -------------------*- C++ -*-===//
#pragma once

#include "simulator/cost/EnergyTable.h"

namespace npucc {

/// docs/energy.md says how it was made and how far it is off.
struct Area {
  Bounded matrix, vector, scratchpad, noc, dramPhy, control;
  double logicMm2 = 0; ///< all cores: what leaks and is clocked as logic does
  Bounded total() const;
};

/// Adds the constants that it needs to `table`.
Area areaOf(const Machine &machine, EnergyTable &table);

} // namespace npucc
