//===- ProgramEmitter.h - From npu ops to a program ------------------*- C++ -*-===//
//
// Internal to compiler/emit: the state of one emission. EmitMemory.cpp declares tensors and
// recipes, EmitCommands.cpp resolves accesses and makes commands, Emit.cpp splits the loops
// into streams.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/emit/Emit.h"
#include "compiler/import/Attributes.h"
#include "compiler/npu/NpuDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringMap.h"

#include <map>
#include <set>

namespace npucc::emission {

// The runtime has a Value and an Attribute of its own.
using namespace mlir;
using mlir::Attribute;
using mlir::Value;

/// A signless constant of the IR as the number that `type` stores for these bits.
double asStored(double value, ElementType type);

class ProgramEmitter {
public:
  ProgramEmitter(func::FuncOp function, const Machine &machine)
      : function(function), machine(machine) {}
  LogicalResult run();
  Program program;

private:
  // Memory.
  LogicalResult declare(Operation &op);
  int32_t addTensor(ProgramTensor tensor, MemRefType type);
  int32_t recipe(Value value, LogicalResult &status);
  Address address(Value memref, ArrayRef<AffineExpr> coordinates, ValueRange ivs);

  // Expressions. Symbols of a map are the loops of `ivs`.
  Affine affine(AffineExpr expr, ValueRange ivs);
  Condition condition(std::optional<AffineMap> map, ValueRange ivs);
  Operand operand(Value memref, npu::AccessAttr access, ValueRange ivs, ElementType type);
  void dims(npu::NestAttr nest, ValueRange ivs, SmallVectorImpl<LoopDim> &result);

  // Commands and streams.
  LogicalResult command(Operation &op);
  LogicalResult matrix(npu::MatrixOp op);
  LogicalResult vector(npu::VectorOp op);
  LogicalResult host(npu::HostOp op);
  void copy(Value whole, Value tile, AffineMap origin, ValueRange ivs, bool store);
  int32_t layer(Operation &op);
  void run(Operation &op, CommandKind kind, uint32_t index, npu::StreamKind engine,
           int64_t channel);
  std::vector<Instruction> &stream(npu::StreamKind kind, int64_t channel);
  LogicalResult block(Block &body);

  func::FuncOp function;
  const Machine &machine;
  DenseMap<Value, int32_t> tensors; ///< DRAM memrefs
  DenseMap<Value, int32_t> rings;   ///< buffers with slots
  DenseMap<Value, int32_t> loops;   ///< induction variables
  DenseMap<Value, int32_t> recipes;
  llvm::StringMap<int32_t> layers;
  std::map<int32_t, std::set<int32_t>> readers; ///< constant tensors -> layers that load them
  ConstantCache cache;
};

} // namespace npucc::emission
