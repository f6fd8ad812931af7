//===- Engine.h - One command stream of the SystemC model ---------*- C++ -*-===//
//
// Private to this folder; include <systemc> before it. One SC_THREAD per command stream issues
// commands in order; an SC_METHOD beside it delivers their completions, so that a signal never
// holds back the next command.
//
// Time unit: 2^16 ticks of SystemC's resolution are one core cycle. Completions are delivered in
// slot 0 of a cycle, each stream uses what it shares with others (ports, DRAM) in a slot of its
// own, and DRAM goes on in the last one. What happens in one cycle is thus ordered by the number of
// the stream, as by a fixed arbiter, not by the order in which SystemC happens to run processes:
// with data or without, the time is the same.
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

/// From now to the next tick of `slot`, one of `slots`, that is not before tick `at`.
inline sc_core::sc_time delayTo(int64_t at, int64_t slot, int64_t slots) {
  at = std::max(tick(), at);
  const int64_t phase = at % kTicksPerCycle % slots;
  at += (slot - phase + slots) % slots;
  return sc_core::sc_time::from_value(static_cast<sc_dt::uint64>(at - tick()));
}

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

  int64_t slots() const { return memorySlot() + 1; }
  int64_t memorySlot() const { return static_cast<int64_t>(program.streams.size()) + 1; }

  const Program &program;
  const Machine &machine;
  const SimulationOptions &options;
  DramModel dram;
  std::unique_ptr<sc_core::sc_event> memoryWork; ///< DRAM has requests
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
  /// Requests whose end decides what this stream does next.
  void awaits(std::vector<size_t> &requests) const;
  /// Takes note of the requests whose end is known by now; false when there were none.
  bool settle();
  int64_t lastCompletion() const { return completed; }
  /// For the message about a deadlock.
  std::string blockedOn() const;

private:
  /// A finished command's effect on data, or a signal, at its time.
  struct Completion {
    int64_t at;
    int32_t command, semaphore;         ///< one of them is -1
    std::unique_ptr<StreamState> state; ///< of the command
    int64_t copies = 0;                 ///< as many must have ended before `at` is known
  };
  /// A copy that has been issued, up to its end.
  struct OpenCopy {
    Activity activity; ///< `end`: of the requests that have settled
    Actions actions;
    PortContention::Demand demand;
    int64_t dramBeats = INT64_MAX; ///< cycles of the datapath for what DRAM must keep up with
    int64_t unsettled = 0;         ///< requests
    bool issued = false;           ///< all requests have been made
  };
  /// What a copy has asked DRAM for.
  struct Outstanding {
    size_t request;
    int64_t bytes, copy;
    bool read;
    int64_t from;      ///< not before
    int64_t service;   ///< of the datapath, after the data
    int64_t done = -1; ///< -1: not known
  };

  void issue();
  void walk();
  void take(int32_t semaphore);
  void run(int32_t command);
  void compute(int32_t command, const CommandCost &cost);
  void copy(int32_t command, const DmaCost &cost, DmaTraffic traffic);
  void moveBytes(const DmaCost &cost, DmaTraffic &traffic, size_t owner, OpenCopy &copy);
  void waitForWindow(int64_t bytes);
  void waitFor(size_t position);
  void waitForReads();
  void finishCopies();
  void finishAt(int32_t command, int64_t at);
  void post(Completion completion);
  void deliver();
  /// From now to the next tick of `slot` in `cycle`, or in this one if that is later.
  sc_core::sc_time delay(int64_t cycle, int64_t slot) const {
    return delayTo(cycle * kTicksPerCycle, slot, npu.slots());
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
  // Copies: the datapath's end of work, after the reads that have settled, and what is on its way
  // in DRAM.
  int64_t lastDescriptor = 0, datapathEnd = 0, outstandingBytes = 0;
  std::deque<Outstanding> outstanding;
  size_t settled = 0; ///< so many of the first ones
  static constexpr size_t kNobody = ~size_t(0);
  size_t awaited = kNobody; ///< position of the one that the stream is blocked on
  sc_core::sc_event arrived;
  std::deque<OpenCopy> copies;
  int64_t endedCopies = 0;
  int64_t claimingCopy = -1; ///< number of the last one that has claimed ports
  DmaRequest request;
  llvm::SmallVector<int64_t, 8> extents, rowExtents;
  DmaBox box;
};

} // namespace npucc::model
