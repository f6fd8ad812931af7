//===- Machine.h - The description of an NPU ----------------------*- C++ -*-===//
//
// Read from models/npu/NAME.yaml. It drives the scheduler's limits, the simulator and
// the energy model; nothing about a particular NPU is compiled in.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "models/machine/Dram.h"
#include "models/machine/Technology.h"
#include "runtime/program/Command.h"

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <map>
#include <string>
#include <vector>

namespace npucc {

enum class MatrixKind : uint8_t { Systolic, DotProduct, RowStationary, InMemory };
enum class Stationary : uint8_t { Weight, Input, Output };

struct MatrixEngine {
  MatrixKind kind = MatrixKind::Systolic;
  int64_t rows = 0, cols = 0; ///< rows: reduction; cols: output channels
  Stationary stationary = Stationary::Weight;
  std::vector<LoopRole> rowDims; ///< roles that may unroll together on the rows
  std::vector<LoopRole> colDims;
  std::map<std::string, double> precisions; ///< MACs per element and cycle, by name(ElementType)
  int64_t accumulatorBytes = 0;
  int64_t weightLoadBytesPerCycle = 0;
  bool shadowWeights = true;
  int64_t outputElementsPerCycle = 0;
  int64_t pipelineCycles = 5; ///< registers beside fill and drain; docs/rtl.md counts them
};

/// The key of an operation in core.vector.op_cost: the enumerator in lower case with
/// underscores ("exp", "less_equal", "to_float"); nullptr where `op` is no enumerator.
const char *opCostName(BodyOp op);

struct VectorEngine {
  int64_t lanes = 0;
  double opsPerLanePerCycle = 1;
  int64_t pipelineCycles = 16; ///< issue to first result
  /// Scalar ops per body operation, by opCostName(); absent: 1. Filled with defaults where the
  /// machine file has no core.vector.op_cost.
  std::map<std::string, double> opCost;

  double cost(BodyOp op) const {
    auto found = opCost.find(opCostName(op));
    return found == opCost.end() ? 1 : found->second;
  }
};

struct Scratchpad {
  int64_t bytes = 0, banks = 1, readBytesPerCycle = 0, writeBytesPerCycle = 0;
};

struct DmaEngine {
  int64_t loadChannels = 1, storeChannels = 1, bytesPerCycle = 0;
  int64_t setupCycles = 16; ///< descriptor fetch and decode per command
};

struct Control {
  std::string kind;
  double clockHz = 0, opsPerCycle = 1, bytesPerCycle = 8;
  int64_t interruptCycles = 0;
};

struct Machine {
  std::string name, file, text; ///< `text`: the YAML as read
  std::string technologyName, dramStandard;
  double voltageV = 0, clockHz = 0;
  int64_t cores = 1;
  MatrixEngine matrix;
  VectorEngine vector;
  Scratchpad scratchpad;
  DmaEngine dma;
  Control control;
  int64_t dramChannels = 1, dramWidthBits = 64; ///< width over all channels together
  bool dramRefreshPerBank = false; ///< one bank at a time instead of all at once
  /// models/dram/<standard>.yaml. Where the machine's channels are wider than the standard's,
  /// several run in lockstep: width, page and energy per channel are already multiplied here.
  DramStandard dram;
  Technology technology; ///< models/technology/<name>.yaml

  double peakMacsPerSecond(ElementType type) const; ///< 0: the type is not supported
  double dramBytesPerSecond() const;                ///< peak, all channels
  /// Supported arithmetic for the matrix engine.
  bool supports(ElementType type) const { return peakMacsPerSecond(type) > 0; }
};

/// The name of the arithmetic that a type uses: unsigned integers share the signed array, the
/// two fp8 formats each have a name of their own. "" when no matrix engine has such arithmetic.
std::string_view arithmeticName(ElementType type);

/// `nameOrFile`: a bundled machine's name or a .yaml file. Errors name file, line and column.
llvm::Expected<Machine> loadMachine(llvm::StringRef nameOrFile);
llvm::Expected<Machine> parseMachine(llvm::StringRef text, llvm::StringRef fileName);
std::vector<std::string> listMachines();
/// The machine as YAML, with every optional key written out; parseMachine() reads it back.
std::string dumpMachine(const Machine &machine);

llvm::Expected<DramStandard> loadDram(llvm::StringRef name);
llvm::Expected<Technology> loadTechnology(llvm::StringRef name);

/// Folder of the data files (npu/, gpu/, ...): $NPUCC_MODELS, or beside the installed
/// binary (../share/npucc/models), or the source tree.
std::string modelsFolder();

} // namespace npucc
