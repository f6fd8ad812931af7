//===- Accounting.h - Where a simulation's time and actions go ----*- C++ -*-===//
#pragma once

#include "simulator/core/DramModel.h"
#include "simulator/core/Simulator.h"

namespace npucc {

/// One command instance as it ran.
struct Activity {
  size_t stream = 0;
  EngineKind engine = EngineKind::Control;
  int32_t command = -1, layer = -1;
  int64_t start = 0, busyStart = 0, busyEnd = 0, end = 0; ///< cycles; issue, ..., result visible
  Bound bound = Bound::Control;
  int64_t stretched = 0; ///< the part of the busy time that waits for scratchpad ports
};

class Accounting {
public:
  Accounting(const Program &program, const SimulationOptions &options);

  void add(const Activity &activity, const Actions &actions);
  /// Number that the DRAM model counts activates under.
  static size_t dramOwner(int32_t layer) { return static_cast<size_t>(layer + 1); }
  void addDram(const DramModel &dram);
  int64_t lastCycle() const { return last; }
  int64_t commands() const { return count; }

  SimulationResult result;

private:
  const SimulationOptions &options;
  std::vector<int64_t> engineBusy; ///< by stream: end of the time already counted as busy
  int64_t last = 0, count = 0;
};

} // namespace npucc
