//===- Accounting.cpp - Where a simulation's time and actions go --------------===//

#include "simulator/core/Accounting.h"

#include <algorithm>

namespace npucc {

Accounting::Accounting(const Program &program, const SimulationOptions &options)
    : options(options), engineBusy(program.streams.size(), 0) {
  result.layers.resize(program.layers.size());
}

void Accounting::add(const Activity &activity, const Actions &actions) {
  ++count;
  last = std::max(last, activity.end);
  result.actions += actions;
  // Pipelined commands of one engine overlap: each moment is counted once.
  int64_t from = std::max(activity.busyStart, engineBusy[activity.stream]);
  int64_t busy = std::max<int64_t>(0, activity.busyEnd - from);
  engineBusy[activity.stream] = std::max(engineBusy[activity.stream], activity.busyEnd);
  if (options.recordTrace)
    result.trace.push_back({static_cast<int32_t>(activity.stream), activity.command, activity.layer,
                            from, std::max(from, activity.busyEnd)});
  if (activity.layer < 0 || static_cast<size_t>(activity.layer) >= result.layers.size())
    return;
  LayerResult &layer = result.layers[static_cast<size_t>(activity.layer)];
  if (layer.firstCycle < 0 || activity.start < layer.firstCycle)
    layer.firstCycle = activity.start;
  layer.lastCycle = std::max(layer.lastCycle, activity.end);
  layer.busyCycles[static_cast<size_t>(activity.engine)] += busy;
  int64_t stretched = std::min(activity.stretched, busy);
  layer.boundCycles[static_cast<size_t>(activity.bound)] += static_cast<double>(busy - stretched);
  layer.boundCycles[static_cast<size_t>(Bound::Scratchpad)] += static_cast<double>(stretched);
  layer.actions += actions;
}

void Accounting::addDram(const DramModel &dram) {
  result.actions[Action::DramActivate] = static_cast<double>(dram.statistics().activates);
  for (size_t i = 0; i < result.layers.size(); ++i)
    result.layers[i].actions[Action::DramActivate] =
        static_cast<double>(dram.activates(dramOwner(static_cast<int32_t>(i))));
}

} // namespace npucc
