//===- Command.h - The commands of a compiled program -------------*- C++ -*-===//
//
// What one NPU engine does in one go. Shapes are static; a ragged last tile is
// clipped when the command issues (LoopDim::clip). Coordinates and addresses are
// affine in the loop variables of the engine's own stream, so that loops stay
// loops. The forms follow "one command form" of docs/npu-dialect.md.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/tensor/ElementType.h"

#include "llvm/ADT/SmallVector.h"

#include <cstdint>
#include <string>
#include <vector>

namespace npucc {

/// Memory spaces of a core: device memory, scratchpad, accumulators.
enum class Space : uint8_t { Dram, Spm, Acc };

/// constant + sum of coefficient * loop variable. A loop variable counts 0, 1, 2, ...
/// (steps are folded into the coefficients).
struct Affine {
  struct Term {
    int32_t loop; ///< Program::loops
    int64_t coefficient;
  };
  int64_t constant = 0;
  llvm::SmallVector<Term, 2> terms;
};

/// Where an operand's element (0, 0, ...) lies, in bytes from the start of `space`:
/// offset(ivs) + slot(ring) * Program::rings[ring].slotBytes.
struct Address {
  Space space = Space::Dram;
  int32_t ring = -1; ///< Program::rings; -1: a single buffer
  Affine offset;
};

/// What a loop dimension of a contraction ranges over; a matrix engine's machine
/// description says which of them unroll on its rows and columns.
enum class LoopRole : uint8_t {
  Batch,      ///< in a, b and out: batched matmul, groups, depthwise channels
  Stream,     ///< in a and out: pixels, rows of a matmul
  OutChannel, ///< in b and out
  InChannel,  ///< reduced, indexes a channel of a
  Window,     ///< reduced, shares a tensor dimension of a with a Stream dimension (ky, kx)
  Other,      ///< vector commands
};

struct LoopDim {
  int64_t extent = 1;     ///< the static tile
  bool reduction = false; ///< not in the output
  LoopRole role = LoopRole::Other;
  /// Actual extent = clamp(bound - start(ivs), 0, extent) when clipped.
  bool clipped = false;
  int64_t bound = 0;
  Affine start;
};

/// An operand's coordinate along one tensor dimension must lie in [0, bound); elsewhere
/// the operand reads as `Operand::fill` (padding) and a write is dropped.
struct Guard {
  Affine start;
  llvm::SmallVector<int64_t, 8> coefficients; ///< one per loop dimension
  int64_t bound = 0;
};

/// A tensor read or written by a loop nest.
struct Operand {
  Address address;
  ElementType type = ElementType::Undefined;
  llvm::SmallVector<int64_t, 8> strides; ///< bytes, one per loop dimension
  llvm::SmallVector<Guard, 2> guards;
  double fill = 0; ///< value read outside the guards, in units of the stored number
};

/// Scalar instructions of a command body. Every value is f32 or i64; integer types
/// narrower than 64 bits wrap when an instruction's `wrap` names one. Comparisons work in f32
/// when an argument is f32 and give 0 or 1. And, Or, Xor are bitwise in i64 (logical in f32),
/// Not is logical; integer Div and Mod truncate towards zero (0 where the divisor is 0);
/// Max and Min keep NaN. An argument of the other kind is converted first.
enum class BodyOp : uint8_t {
  Constant, ///< imm
  /// Operand `a` (inputs first, then outputs' current values), converted to its kind, minus
  /// `imm`: the ports widen and subtract a zero point for free.
  Input,
  Index, ///< loop counter of dimension `a` plus its clip start (the global coordinate)
  // f32 and i64
  Add,
  Sub,
  Mul,
  Div,
  Mod,
  Max,
  Min,
  Neg,
  Abs,
  Fma /* a*b+c */,
  Equal,
  Less,
  LessEqual,
  And,
  Or,
  Xor,
  Not,
  Select /* a ? b : c */,
  // f32
  Floor,
  Ceil,
  Round /* half to even */,
  Exp,
  Log,
  Sqrt,
  Rsqrt,
  Reciprocal,
  Tanh,
  Erf,
  Sin,
  Cos,
  Pow,
  Sigmoid,
  // conversions between the kinds
  ToFloat,
  ToInt /* truncates towards zero, saturates at `wrap` */,
  RoundTo, ///< f32 rounded to the storage format `wrap` (bf16, fp16, fp8) and back
  Wrap,    ///< i64 wrapped to `wrap`
  Lookup,  ///< table operand `a`, element `b` (i64): a look-up table in scratchpad; `imm`: its
           ///< number of entries (0: 256), to which the index is clamped
};

struct BodyInst {
  BodyOp op = BodyOp::Constant;
  bool isFloat = true; ///< kind of the result
  ElementType wrap = ElementType::Undefined;
  int16_t a = -1, b = -1, c = -1; ///< earlier instructions (or operand/dimension numbers)
  double imm = 0;                 ///< Constant, Input; exact for |imm| < 2^53
};

/// Straight-line code over one point of the loop nest. yields[i] is stored to output i,
/// saturating when the output's type is an integer narrower than 64 bits and the value is f32
/// (round first), plain wrap when the value is i64.
struct Body {
  llvm::SmallVector<BodyInst, 8> insts;
  llvm::SmallVector<int16_t, 2> yields;
  /// Empty, or one per yield: the output port adds it to the rounded value before it saturates
  /// (the zero point of QuantizeLinear).
  llvm::SmallVector<double, 2> zeros;
};

/// True when value(ivs) == equals; a default-constructed condition always holds.
struct Condition {
  bool always = true;
  Affine value;
  int64_t equals = 0;
};

enum class CommandKind : uint8_t { Dma, Matrix, Vector, Gather, Host };

/// An n-dimensional copy of a box between memory spaces. Coordinates outside
/// [0, bound) of a clipped dimension are not copied, at both ends.
struct DmaCommand {
  struct Dim {
    int64_t extent = 1;
    int64_t sourceStride = 0, targetStride = 0; ///< bytes
    bool clipped = false; ///< copy only i with 0 <= start(ivs) + i * step < bound
    int64_t bound = 0;
    int64_t step = 1;
    Affine start;
  };
  Address source, target;
  ElementType type = ElementType::Undefined;
  llvm::SmallVector<Dim, 6> dims; ///< outermost first
};

/// Contraction: acc[out] (+)= sum over reduction dims of (a - aZero) * (b - bZero), then,
/// where `epilogueIf` holds, the output stage: out = body(acc, epilogue inputs).
/// Integer operands accumulate in int32 (wrapping), floats in f32.
struct MatrixCommand {
  llvm::SmallVector<LoopDim, 8> dims;
  Operand a, b;
  int32_t aZero = 0, bZero = 0;
  Operand accumulator; ///< space Acc, int32 or fp32
  Condition clearIf;   ///< start from zero instead of the accumulator's contents
  bool hasEpilogue = false;
  Condition epilogueIf;
  llvm::SmallVector<Operand, 2> epilogueInputs; ///< per-channel parameters, in scratchpad
  Operand out;   ///< written by the epilogue; strides 0 in reduction dims
  Body epilogue; ///< input 0 is the accumulator, then epilogueInputs
};

/// Loop nest on the SIMD unit. With reduction dims, an output's current value is the body's
/// operand inputs.size() + i; it starts from `initial[i]` where `clearIf` holds.
struct VectorCommand {
  llvm::SmallVector<LoopDim, 8> dims;
  llvm::SmallVector<Operand, 4> inputs;
  llvm::SmallVector<Operand, 1> outputs;
  llvm::SmallVector<double, 1> initial;
  Condition clearIf;
  Body body;
};

/// Index-driven copy: for each index position i (loop over `indices` elements), the row
/// source[base + clampOrWrap(indices[i]) * axisStride] of `row` dims goes to the target.
struct GatherCommand {
  Operand indices;                         ///< int32 or int64, in scratchpad or DRAM
  llvm::SmallVector<LoopDim, 4> indexDims; ///< loops over the indices
  int64_t axisSize = 0;                    ///< negative indices count from the end; outside: fault
  Address source, target;
  int64_t axisStride = 0;                           ///< bytes per index step in the source
  llvm::SmallVector<int64_t, 4> targetIndexStrides; ///< bytes per index dim in the target
  ElementType type = ElementType::Undefined;
  llvm::SmallVector<DmaCommand::Dim, 4> row; ///< what is copied for each index
};

/// An operator that the control core runs with the reference kernel on tensors in DRAM.
struct HostCommand {
  int32_t node = -1;                    ///< Program::hostNodes
  std::vector<int32_t> inputs, outputs; ///< Program::tensors; -1: absent
  /// What the kernel computes with, by input; where it is Undefined, or missing, as stored.
  std::vector<ElementType> inputTypes;
};

struct Command {
  CommandKind kind = CommandKind::Dma;
  int32_t layer = -1; ///< Program::layers: the ONNX node that the time and energy belong to
  uint32_t index = 0; ///< position in the list of its kind in Program
};

} // namespace npucc
