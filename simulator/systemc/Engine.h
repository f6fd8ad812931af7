//===- Engine.h - One command stream of the SystemC model ---------*- C++ -*-===//
//
// Private to this folder; include <systemc> before it. One SC_THREAD per command stream issues
// commands in order; an SC_METHOD beside it delivers their completions, so that a signal never
// holds back the next command.
//
// Time unit: 2^16 ticks of SystemC's resolution are one core cycle. Completions are delivered in
// slot 0 of a cycle, and each stream uses what it shares with others (ports, DRAM) in a slot of its
// own. What happens in one cycle is thus ordered by the number of the stream, as by a fixed
// arbiter, not by the order in which SystemC happens to run processes: with data or without,
// the time is the same.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/core/Accounting.h"
#include "simulator/core/DmaTraffic.h"
#include "simulator/core/PortContention.h"
#include "simulator/core/StreamWalker.h"
#include "simulator/functional/Hazards.h"

#include <deque>
#include <memory>
#include <random>

namespace npucc::model {

constexpr int64_t kTicksPerCycle = 1 << 16;
inline int64_t tick() { return static_cast<int64_t>(sc_core::sc_time_stamp().value()); }
inline int64_t now() { return tick() / kTicksPerCycle; } ///< the cycle

struct Counter { ///< a semaphore
  int64_t count = 0;
  std::unique_ptr<sc_core::sc_event> changed;
};

/// What all engines share during one run.
struct Npu {
  Npu(const Program &program, const Machine &machine, const SimulationOptions &options)
      : program(program), machine(machine), options(options), dram(machine),
        ports(program.streams.size()), accounting(program, options), random(options.shuffleSeed) {}

  /// Weights that are loaded before the clock starts.
  llvm::Error placeWeights();

  /// The first failure counts; the engines see it and stop.
  void fail(llvm::Error reason) {
    if (failed) {
      llvm::consumeError(std::move(reason));
      return;
    }
    failed = true;
    llvm::handleAllErrors(std::move(reason), [&](const llvm::ErrorInfoBase &info) {
      error = info.message();
      code = info.convertToErrorCode();
    });
  }

  bool isResident(int64_t address) const {
    auto after = llvm::upper_bound(resident, std::pair(address, INT64_MAX));
    return after != resident.begin() && address < std::prev(after)->second;
  }

  const Program &program;
  const Machine &machine;
  const SimulationOptions &options;
  DramModel dram;
  PortContention ports;
  Accounting accounting;
  std::vector<Counter> semaphores;
  FunctionalMemory *memory = nullptr; ///< functional mode
  HazardChecker *hazards = nullptr;   ///< when asked for
  std::vector<std::pair<int64_t, int64_t>> resident;
  std::mt19937_64 random;
  int64_t totalRuns = 0, startedRuns = 0;
  bool failed = false;
  std::string error;
  std::error_code code = llvm::inconvertibleErrorCode();
};

class StreamEngine : public sc_core::sc_module {
public:
  SC_HAS_PROCESS(StreamEngine);

  StreamEngine(const sc_core::sc_module_name &name, Npu &npu, size_t index, int64_t firstNumber)
      : sc_module(name), npu(npu), stream(npu.program.streams[index]), index(index),
        walker(npu.program, index, firstNumber, npu.options.dropInstruction) {
    npu.totalRuns += walker.dynamicRuns();
    SC_THREAD(issue);
    SC_METHOD(deliver);
    sensitive << due;
    dont_initialize();
  }

  bool finished() const { return done; }
  int64_t lastCompletion() const { return completed; }
  /// For the message about a deadlock.
  std::string blockedOn() const;

private:
  /// A finished command's effect on data, or a signal, at its time.
  struct Completion {
    int64_t at;
    int32_t command, semaphore;         ///< one of them is -1
    std::unique_ptr<StreamState> state; ///< of the command
  };
  struct Outstanding {
    int64_t done, bytes;
  };

  void issue();
  void walk();
  void take(int32_t semaphore);
  void run(int32_t command);
  void compute(int32_t command, const CommandCost &cost);
  void copy(int32_t command, const DmaCost &cost, DmaTraffic traffic);
  int64_t moveBytes(const DmaCost &cost, DmaTraffic &traffic, size_t owner, int64_t &stretched);
  void waitForWindow(int64_t bytes);
  void finishAt(int32_t command, int64_t at);
  void post(Completion completion);
  void deliver();
  /// From now to the next tick of `slot` in `cycle`, or in this one if that is later.
  sc_core::sc_time delay(int64_t cycle, int64_t slot) const {
    const auto slots = static_cast<int64_t>(npu.program.streams.size()) + 1;
    int64_t at = std::max(tick(), cycle * kTicksPerCycle);
    int64_t phase = at % kTicksPerCycle % slots;
    at += (slot - phase + slots) % slots;
    return sc_core::sc_time::from_value(static_cast<sc_dt::uint64>(at - tick()));
  }
  /// Waits for `cycle`, and for this stream's slot.
  void until(int64_t cycle) {
    sc_core::sc_time time = delay(cycle, static_cast<int64_t>(index) + 1);
    if (time != sc_core::SC_ZERO_TIME)
      wait(time);
  }
  void shuffle() {
    if (npu.options.shuffleSeed)
      for (uint64_t n = npu.random() % 4; n > 0; --n)
        wait(sc_core::SC_ZERO_TIME);
  }

  Npu &npu;
  const Stream &stream;
  size_t index;
  StreamWalker walker;
  bool done = false;
  int32_t waitsFor = -1;
  int64_t engineFree = 0; ///< the next command may issue
  int64_t workEnd = 0;    ///< the array or the lanes are free again
  int64_t completed = 0;  ///< every earlier command's results are visible
  std::deque<Completion> pending;
  bool shuffledThisCycle = false;
  sc_core::sc_event due;
  // Copies: the datapath's end of work, and what is on its way in DRAM.
  int64_t lastDescriptor = 0, datapathEnd = 0, outstandingBytes = 0;
  std::deque<Outstanding> outstanding;
  DmaRequest request;
  llvm::SmallVector<int64_t, 8> extents, rowExtents;
  DmaBox box;
};

} // namespace npucc::model
