//===- Program.h - A compiled NPU program -------------------------*- C++ -*-===//
//
// The one contract between compiler and simulator, and the contents of a .npu file.
// Each engine channel has an in-order stream of instructions with hardware loops;
// streams meet only in counting semaphores.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/onnx/Graph.h"
#include "runtime/program/Command.h"

#include "llvm/Support/Error.h"

#include <string>
#include <vector>

namespace llvm {
class MemoryBuffer;
} // namespace llvm

namespace npucc {

enum class EngineKind : uint8_t { Load, Store, Matrix, Vector, Control };

struct Instruction {
  enum class Kind : uint8_t {
    LoopBegin, ///< index: Program::loops
    LoopEnd,   ///< index: the same loop
    Run,       ///< index: Program::commands
    Wait,      ///< index: Program::semaphores; blocks until the count is >= 1, then takes 1
    Signal,    ///< index: Program::semaphores; adds 1 when every earlier command is complete
    Advance,   ///< index: Program::rings; this stream's slot of the ring moves on by one
  };
  Kind kind = Kind::Run;
  int32_t index = 0;
  /// Wait only: the compiler proved that the order holds without it (kept for clarity).
  bool redundant = false;
};

struct Stream {
  EngineKind engine = EngineKind::Load;
  int32_t channel = 0; ///< which load or store channel
  std::vector<Instruction> code;
};

struct Loop {
  int64_t trips = 1;
};

/// Slots of a multi-buffered tile. Each stream counts its own Advance instructions
/// (none yet: slot -1 + 1 = 0 after the first) modulo `slots`.
struct Ring {
  int64_t slots = 1, slotBytes = 0;
};

struct Semaphore {
  int64_t initial = 0;
};

/// How a constant's bytes are made: a file's tensor, or an ONNX node applied to other
/// recipes, evaluated by the reference kernels when (and only when) data is needed.
struct Recipe {
  Tensor data;        ///< defined: a leaf
  Node node;          ///< else: evaluated; node.inputs index Program::recipes (-1 absent)
  int32_t output = 0; ///< which output of the node
};

/// A whole tensor in DRAM.
struct ProgramTensor {
  enum class Kind : uint8_t { Input, Output, Constant, Intermediate };
  Kind kind = Kind::Intermediate;
  std::string name;
  ElementType type = ElementType::Undefined; ///< as stored in DRAM
  Shape shape;                               ///< logical (ONNX) shape
  /// The shape depends on data: `shape` is the room for it, and host commands alone use it.
  bool isBound = false;
  llvm::SmallVector<int64_t, 6> strides; ///< bytes per logical dimension, in DRAM
  int64_t address = 0, bytes = 0;        ///< in DRAM; tensors may alias (in-place, views)
  int32_t recipe = -1;                   ///< Constant: Program::recipes
  /// Input/Output: the element type on the outside (npy) when it differs from `type`;
  /// conversion happens when the tensor is bound, outside the clock.
  ElementType externalType = ElementType::Undefined;
};

/// A row of the layer table: an ONNX node (or a few that became one).
struct Layer {
  std::string node, op;
  int64_t macs = 0;
  bool host = false;
  int32_t foldedInto = -1; ///< no commands of its own: its work is in that layer
  int64_t weightBytes = 0; ///< constants that only this layer reads, for lower_bound_s
};

struct Program {
  static constexpr uint32_t kVersion = 2;

  std::string modelName, modelSha256, machineName;
  std::string machineYaml; ///< the machine file the program was compiled for, as text
  std::string precision;   ///< as in the report
  int64_t batch = 1, parameters = 0, macs = 0;
  double estimatedCycles = 0; ///< the scheduler's own estimate

  std::vector<Stream> streams;
  std::vector<Loop> loops;
  std::vector<Ring> rings;
  std::vector<Semaphore> semaphores;
  std::vector<Command> commands;
  std::vector<DmaCommand> dma;
  std::vector<MatrixCommand> matrix;
  std::vector<VectorCommand> vector;
  std::vector<GatherCommand> gather;
  std::vector<HostCommand> host;
  std::vector<Node> hostNodes;
  std::vector<ProgramTensor> tensors;
  std::vector<Recipe> recipes;
  std::vector<Layer> layers;
  std::vector<std::string> assumptions;
  int64_t dramBytes = 0, spmBytes = 0, accBytes = 0; ///< extents in use
};

/// Structural check of a program that came from outside: every index in range, loops
/// nested, extents positive, addresses inside the memories of the sizes given.
llvm::Error validate(const Program &program, int64_t spmBytes, int64_t accBytes);

llvm::Error writeProgram(const Program &program, const std::string &path);
llvm::Expected<Program> readProgram(const std::string &path);
/// A file's contents; constants are used in place and keep the buffer alive. Its name stands
/// in errors.
llvm::Expected<Program> parseProgram(std::unique_ptr<llvm::MemoryBuffer> buffer);

/// Readable listing: each stream with loops, waits and commands, numbered as `npu-run --drop`
/// counts them, with ONNX node names.
std::string disassemble(const Program &program);

/// The bytes of a recipe (evaluated, cached by index in `cache`).
llvm::Expected<Tensor> materialize(const Program &program, int32_t recipe,
                                   std::vector<Tensor> &cache);

} // namespace npucc
