//===- Hazards.h - Are conflicting accesses ordered? ------------*- C++ -*-===//
//
// Tests the ordering relation that the program's semaphores give, not the values that one
// run happened to produce: vector clocks over streams (Mattern 1989; as in the happens-before
// race detectors), and for every byte its last writer and last reader of each stream.
//
// The same last writers tell who reads whose bytes. When asked, that is recorded, or compared
// with the record of another run: a dropped command shows at its first reader, even where its
// effect would not reach an output.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/core/Simulator.h"
#include "simulator/functional/Functional.h"

#include "llvm/ADT/MapVector.h"

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

  /// Before the first command: record the flows, or report those that are not among these
  /// (null: report none).
  void recordFlows();
  void expectFlows(std::shared_ptr<const FlowSet> flows);
  FlowSet takeFlows() { return std::move(flows); }

  const std::vector<Hazard> &hazards() const { return found; }

private:
  using Clock = std::vector<uint32_t>; ///< commands of each stream known to be complete
  struct Event {
    int32_t stream, command;
    uint32_t sequence; ///< position in its stream, from 1
    uint32_t run;      ///< of this command in this stream, from 0; counted when flows are watched
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
    Constant,
    Flow,
    MoreFlow
  };
  struct Source { ///< what one command reads of one writer
    uint64_t bytes = 0;
    Space space = Space::Dram;
    int64_t begin = 0, end = 0; ///< the first of them
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
  bool watchesFlows = false;
  std::vector<std::vector<uint32_t>> runs;   ///< by stream and command
  llvm::MapVector<uint32_t, Source> sources; ///< of the command at hand, by writing event
  FlowSet flows;
  std::shared_ptr<const FlowSet> expected;

  bool ordered(uint32_t event, int stream) const;
  void visit(const Footprint &footprint, int stream, uint32_t event);
  void access(Space space, int64_t begin, int64_t end, bool write, int stream, uint32_t event);
  void noteSources(const Page &shadow, Space space, int64_t first, size_t from, size_t to);
  void settleSources(uint32_t event);
  Page *page(Space space, int64_t number);
  void report(Conflict conflict, Space space, int64_t begin, int64_t end, uint32_t earlier,
              uint32_t later);
  std::string describe(const Event &event) const;
};

} // namespace npucc
