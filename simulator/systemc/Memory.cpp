//===- Memory.cpp - DRAM of the SystemC model ---------------------------------===//

#include <systemc>

#include "simulator/systemc/Memory.h"

namespace npucc::model {

void Memory::serve() {
  while (!npu.failed) {
    awaited.clear();
    for (const auto &engine : engines)
      engine->awaits(awaited);
    if (awaited.empty())
      return;
    // Nobody asks for anything before the next event.
    int64_t horizon = INT64_MAX;
    if (sc_core::sc_pending_activity())
      horizon = tick() + static_cast<int64_t>(sc_core::sc_time_to_pending_activity().value());
    npu.dram.advance(horizon == INT64_MAX ? horizon : horizon / kTicksPerCycle, awaited);
    bool settled = false;
    for (const auto &engine : engines)
      settled |= engine->settle();
    if (!settled) {
      npu.memoryWork->notify(delayTo(horizon, npu.memorySlot(), npu.slots()));
      return;
    }
  }
}

} // namespace npucc::model
