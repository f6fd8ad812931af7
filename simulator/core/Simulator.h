//===- Simulator.h - Runs a program on the modelled NPU -----------*- C++ -*-===//
//
// The plain C++ face of the SystemC model (SystemC headers stay in simulator/systemc/*.cpp).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "simulator/cost/Cost.h"

#include "llvm/ADT/DenseMap.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace npucc {

/// Who reads whose bytes: run r of command c (c << 32 | r; an output: -1 - its tensor) as the
/// reader, then as the last writer (-1: before the start); the number of bytes.
using FlowSet = llvm::DenseMap<std::pair<uint64_t, uint64_t>, uint64_t>;

struct SimulationOptions {
  bool functional = true; ///< move and compute real bytes
  bool checkHazards =
      false; ///< functional mode only: order of conflicting accesses, undefined reads
  /// With checkHazards. What a program does as a whole is what it may do with one instruction
  /// dropped: every other flow is a hazard.
  bool recordFlows = false;
  std::shared_ptr<const FlowSet> expectedFlows;
  bool residentWeights = false;
  int64_t dropInstruction = -1; ///< skip the K-th Run or Wait (numbered as by disassemble)
  uint64_t shuffleSeed = 0; ///< != 0: random order among engines that are ready at the same time
  bool recordTrace = false;
  /// Called now and then with the fraction done, for a progress bar.
  std::function<void(double)> progress;
};

struct LayerResult {
  int64_t firstCycle = -1, lastCycle = -1; ///< busy span
  std::array<int64_t, 5> busyCycles{};     ///< by EngineKind; Load plus Store is the dma's time
  std::array<double, 7> boundCycles{};     ///< by Bound
  Actions actions;
};

struct TraceEvent {
  int32_t stream, command, layer;
  int64_t startCycle, endCycle;
};

struct Hazard {
  std::string text; ///< names the two commands, their nodes and the bytes
};

struct SimulationResult {
  int64_t cycles = 0;
  Actions actions;
  std::vector<LayerResult> layers; ///< by Program::layers
  std::vector<TraceEvent> trace;
  std::vector<Hazard> hazards;          ///< at most 16
  std::shared_ptr<const FlowSet> flows; ///< recordFlows
  std::vector<std::string> assumptions; ///< what this run took for granted, for the report
  int64_t commands = 0;                 ///< command instances that ran
  /// residentWeights: what was loaded before the clock started, and how long that takes.
  int64_t residentBytes = 0, residentLoadCycles = 0;
  std::map<std::string, Tensor> outputs; ///< functional mode: by graph output name
  double cpuSeconds = 0;
};

/// Runs once. Inputs by graph input name (functional mode). Errors: bad program, missing input,
/// deadlock (with the waits that block), out-of-range access, index out of range.
llvm::Expected<SimulationResult> simulate(const Program &program, const Machine &machine,
                                          const std::map<std::string, Tensor> &inputs,
                                          const SimulationOptions &options);

} // namespace npucc
