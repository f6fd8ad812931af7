//===- EmitNest.cpp - A plan becomes npu ops --------------------------------===//

#include "compiler/schedule/NestEmitter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::LoopRole;
using npucc::Machine;
using namespace npucc::schedule;
using npucc::schedule::emission::Emitter;

scf::ForOp Emitter::loop(int64_t trips) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value end = arith::ConstantIndexOp::create(builder, loc, trips);
  return scf::ForOp::create(builder, loc, zero, end, one);
}

void Emitter::emitReduction(int o, int level) {
  int total = t->levels();
  if (level == total)
    return o == group->contraction ? emitMatrix(o) : emitVector(o);
  scf::ForOp f = loop(t->tripsAt(level + 1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(f.getBody()->getTerminator());
  ivs.push_back(f.getInductionVar());
  emitLoads(level + 1);
  emitReduction(o, level + 1);
  ivs.pop_back();
}

void Emitter::emitLevel(int level) {
  emitLoads(level);
  for (size_t o = 0; o < group->ops.size(); ++o) {
    if (t->depth[o] != level || (group->epilogue && int(o) == group->contraction + 1))
      continue;
    if (int(o) == group->splittable())
      emitReduction(o, t->sizes.order.size());
    else
      emitVector(o);
  }
  if (level == int(t->sizes.order.size())) {
    emitStore();
    return;
  }
  scf::ForOp f = loop(t->tripsAt(level + 1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(f.getBody()->getTerminator());
  ivs.push_back(f.getInductionVar());
  emitLevel(level + 1);
  ivs.pop_back();
}

void Emitter::emitHost(Operation *op) {
  auto node = cast<onnx::NodeOp>(op);
  loc = node.getLoc();
  SmallVector<Value> inputs, outputs;
  for (Value v : node.getInputs()) {
    if (storages.has(v)) {
      inputs.push_back(viewMemref(storages.view(v)));
    } else if (isa<NoneType>(v.getType())) {
      inputs.push_back(npu::AbsentOp::create(builder, loc, builder.getNoneType()));
    } else {
      // A constant expression, stored as it is.
      auto type = cast<RankedTensorType>(v.getType());
      Type element = type.getElementType();
      if (auto integer = dyn_cast<IntegerType>(element))
        element = builder.getIntegerType(integer.getWidth());
      SmallVector<int64_t> strides(type.getRank(), 1);
      for (int64_t r = type.getRank() - 1; r-- > 0;)
        strides[r] = strides[r + 1] * type.getDimSize(r + 1);
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(declarations);
      Value stored =
          onnx::DataOp::create(builder, loc, RankedTensorType::get(type.getShape(), element), v);
      inputs.push_back(npu::ConstantOp::create(
          builder, loc, memrefType(type.getShape(), element, strides, 0, npu::MemSpace::Dram),
          stored));
    }
  }
  for (Value v : node.getResults())
    outputs.push_back(storages.has(v)
                          ? viewMemref(storages.view(v))
                          : npu::AbsentOp::create(builder, loc, builder.getNoneType()).getResult());
  // ONNX's types, of the sizes that are stored.
  auto types = [&](ValueRange values, StringRef onnxTypes) {
    auto given = node->getAttrOfType<ArrayAttr>(onnxTypes);
    SmallVector<Attribute> result;
    for (auto [i, v] : llvm::enumerate(values)) {
      Type type = v.getType();
      if (auto tensor = dyn_cast<RankedTensorType>(type); given && tensor)
        type = tensor.clone(getElementTypeOrSelf(cast<TypeAttr>(given[i]).getValue()));
      result.push_back(TypeAttr::get(type));
    }
    return builder.getArrayAttr(result);
  };
  auto reason = node->getAttrOfType<StringAttr>("npu.host_reason");
  npu::HostOp::create(
      builder, loc, node.getOpTypeAttr(), node.getDomainAttr(), node.getParametersAttr(), inputs,
      outputs, reason ? reason : builder.getStringAttr("no lowering"),
      types(node.getInputs(), "npu.input_types"), types(node.getResults(), "npu.output_types"));
}

void Emitter::emitGroup(int g) {
  group = &plan.groups[g];
  if (group->host)
    return emitHost(group->host);
  t = &plan.tiled[g];
  loc = group->root().op.getLoc();
  buffers.clear();
  for (const Tile &tile : t->tiles) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(declarations);
    auto buffer = npu::BufferOp::create(
        builder, loc, memrefType(tile.sizes, tile.elementType, tile.strides, 0, tile.space),
        builder.getI64IntegerAttr(tile.slots), builder.getI64IntegerAttr(tile.address),
        StringAttr());
    buffer->setAttr("slot_bytes", builder.getI64IntegerAttr(tile.bytes));
    buffers.push_back(buffer);
  }
  ivs.clear();
  emitLevel(0);
}

LogicalResult Emitter::run() {
  Block &body = function.getBody().front();
  Operation *terminator = body.getTerminator();
  SmallVector<Operation *> old;
  for (Operation &op : body.without_terminator())
    if (!isa<onnx::ConstantOp, onnx::DataOp, onnx::NoneOp>(op)) {
      auto node = dyn_cast<onnx::NodeOp>(op);
      bool constant = node && llvm::none_of(node->getResults(),
                                            [&](Value result) { return storages.has(result); });
      if (!constant)
        old.push_back(&op);
    }
  builder.setInsertionPoint(terminator);
  // Two anchors: declarations, then commands.
  auto anchor = npu::AbsentOp::create(builder, loc, builder.getNoneType());
  declarations = anchor;
  declarePorts();
  builder.setInsertionPoint(terminator);
  for (int g = 0; g < int(plan.groups.size()); ++g)
    emitGroup(g);
  terminator->eraseOperands(0, terminator->getNumOperands());
  anchor.erase();
  for (Operation *op : llvm::reverse(old)) {
    op->dropAllUses();
    op->erase();
  }
  llvm::BitVector all(body.getNumArguments(), true);
  llvm::BitVector results(function.getNumResults(), true);
  if (failed(function.eraseArguments(all)) || failed(function.eraseResults(results)))
    return failure();
  function->setAttr("npu.estimated_cycles", builder.getF64FloatAttr(plan.cycles));
  function->setAttr("npu.spm_bytes", builder.getI64IntegerAttr(plan.spmBytes));
  function->setAttr("npu.acc_bytes", builder.getI64IntegerAttr(plan.accBytes));
  return success();
}

namespace schedule = npucc::schedule;

LogicalResult schedule::emitPlan(func::FuncOp function, StorageMap &storages, const Plan &plan,
                                 const Machine &machine) {
  return Emitter(function, storages, plan, machine).run();
}
