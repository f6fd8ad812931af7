//===- Hazards.h - Are conflicting accesses ordered? ------------*- C++ -*-===//
//
// Tests the ordering relation that the program's semaphores give, not the values that one
// run happened to produce: vector clocks over streams (Mattern 1989; as in the happens-before
// race detectors), and for every byte its last writer and last reader of each stream.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/core/Simulator.h"
#include "simulator/functional/Functional.h"

#include <deque>
#include <memory>
#include <set>
#include <vector>

namespace npucc {

/// Call run, signal and wait in an order that the simulated streams could have: each stream's
/// calls in its order, a signal before the wait that takes it.
class HazardChecker {
public:
  HazardChecker(const Program &program, int64_t spmBytes, int64_t accBytes);
  ~HazardChecker();

  void signal(int stream, int semaphore);
  void wait(int stream, int semaphore);
  /// `commandIndex`: Program::commands.
  void run(int stream, int commandIndex, llvm::ArrayRef<Footprint> footprints);
  /// After the last command: were all bytes of the outputs written?
  void finish();

  const std::vector<Hazard> &hazards() const { return found; }

private:
  using Clock = std::vector<uint32_t>; ///< commands of each stream known to be complete
  struct Event {
    int32_t stream, command;
    uint32_t sequence; ///< position in its stream, from 1
  };
  struct Range {
    int64_t begin, end;
  };
  struct Page;
  enum class Conflict : uint8_t {
    ReadAfterWrite,
    WriteAfterRead,
    WriteAfterWrite,
    Undefined,
    Constant
  };

  const Program &program;
  std::vector<Clock> clocks;
  struct Tokens {
    int64_t initial = 0;
    std::deque<Clock> signalled;
  };
  std::vector<Tokens> semaphores;
  std::vector<Event> events;                   ///< 0: never written, 1: written before the start
  std::vector<std::unique_ptr<Page>> pages[3]; ///< by space, made on first access
  std::vector<Range> initial, constants;       ///< of DRAM; sorted, disjoint
  std::set<std::tuple<Conflict, int32_t, int32_t>> reported;
  std::vector<Hazard> found;

  bool ordered(uint32_t event, int stream) const;
  void visit(const Footprint &footprint, int stream, uint32_t event);
  void access(Space space, int64_t begin, int64_t end, bool write, int stream, uint32_t event);
  Page *page(Space space, int64_t number);
  void report(Conflict conflict, Space space, int64_t begin, int64_t end, uint32_t earlier,
              uint32_t later);
  std::string describe(const Event &event) const;
};

} // namespace npucc
