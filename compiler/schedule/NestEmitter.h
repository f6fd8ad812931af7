//===- NestEmitter.h - A plan becomes npu ops -----------------------*- C++ -*-===//
//
// Internal to compiler/schedule: the state of one emission. EmitBuffers.cpp makes buffers,
// views and copies, EmitCompute.cpp commands, EmitNest.cpp the loops around them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/schedule/EmitNest.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace npucc::schedule::emission {

using namespace mlir;

class Emitter {
public:
  Emitter(func::FuncOp function, StorageMap &storages, const Plan &plan, const Machine &machine)
      : function(function), storages(storages), plan(plan), machine(machine),
        builder(function.getContext()), context(function.getContext()) {}
  LogicalResult run();

private:
  MemRefType memrefType(ArrayRef<int64_t> shape, Type element, ArrayRef<int64_t> strides,
                        int64_t offset, npu::MemSpace space);
  Value storageMemref(Storage *storage);
  Value viewMemref(const View &view);
  void declarePorts();
  void emitGroup(int g);
  void emitHost(Operation *op);
  void emitLevel(int level);
  void emitReduction(int op, int level);
  void emitLoads(int level);
  void emitLoad(Tile const &tile, Value buffer);
  void emitMatrix(int op);
  void emitVector(int op);
  void emitStore();
  Value packedConstant(const Tile &tile);
  scf::ForOp loop(int64_t trips);

  /// Affine pieces over the current loops: start of op dim `d`'s tile.
  AffineExpr tileStart(int op, unsigned d);
  npu::AccessAttr access(int op, const LinearMap &map, Placement placement, Value value,
                         bool table);
  npu::NestAttr nest(int op);
  void cloneBody(Block &source, Block &target, ArrayRef<int> argumentOf, IRMapping &mapping);
  AffineMap symbolMap(ArrayRef<AffineExpr> exprs) {
    return AffineMap::get(0, ivs.size(), exprs, context);
  }
  npu::EngineAttr engine(npu::StreamKind kind, int64_t channel = 0) {
    return npu::EngineAttr::get(context, kind, channel);
  }
  Value operandMemref(Placement placement, Value value);

  func::FuncOp function;
  StorageMap &storages;
  const Plan &plan;
  const Machine &machine;
  OpBuilder builder;
  MLIRContext *context;
  Operation *declarations = nullptr; ///< buffers are created before this op
  DenseMap<Storage *, Value> memrefs;
  std::map<std::pair<void *, std::vector<int64_t>>, Value> viewCache;

  // Current group.
  const TiledGroup *t = nullptr;
  const Group *group = nullptr;
  SmallVector<Value> buffers; ///< per tile
  SmallVector<Value> ivs;     ///< enclosing loops, outermost first
  Location loc = UnknownLoc::get(context);
};

} // namespace npucc::schedule::emission
