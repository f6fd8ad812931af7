//===- EmitCompute.cpp - Matrix and vector commands of a plan ---------------===//

#include "compiler/schedule/NestEmitter.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::LoopRole;
using npucc::Machine;
using namespace npucc::schedule;
using npucc::schedule::emission::Emitter;

AffineExpr Emitter::tileStart(int op, unsigned d) {
  int level = t->level(op, d);
  if (level == 0 || level > int(ivs.size()))
    return getAffineConstantExpr(0, context);
  return getAffineSymbolExpr(level - 1, context) * t->extent(op, d);
}

npu::AccessAttr Emitter::access(int op, const LinearMap &map, Placement placement, Value value,
                                bool table) {
  size_t dims = group->ops[op].extents.size();
  SmallVector<AffineExpr> coordinates, origin;
  SmallVector<int64_t> bounds;
  double fill = 0;
  bool direct = placement.how == Placement::How::Direct;
  const View *view = placement.how == Placement::How::Direct || t->tiles[placement.tile].value
                         ? &storages.view(value)
                         : nullptr;
  for (size_t r = 0; r < map.coefficients.size(); ++r) {
    int64_t low = view ? view->low[r] : 0;
    AffineExpr start = getAffineConstantExpr(map.constants[r] - low, context);
    AffineExpr tileOrigin = start;
    AffineExpr expr = getAffineConstantExpr(0, context);
    for (size_t d = 0; d < dims; ++d) {
      int64_t c = map.coefficients[r][d];
      if (!c || table)
        continue;
      start = start + tileStart(op, d) * c;
      // A tile moves with the loops around its writer: what a producer in the group leaves before
      // the reduction loops is whole inside of them.
      if (!direct && t->level(op, d) <= t->tiles[placement.tile].level)
        tileOrigin = tileOrigin + tileStart(op, d) * c;
      expr = expr + getAffineDimExpr(d, context) * c;
    }
    coordinates.push_back(expr + start);
    origin.push_back(direct ? getAffineConstantExpr(0, context) : tileOrigin);
    bounds.push_back(view ? view->bound[r] : -1);
  }
  if (view)
    fill = view->fill;
  return npu::AccessAttr::get(context, AffineMap::get(dims, ivs.size(), coordinates, context),
                              symbolMap(origin), bounds, builder.getF64FloatAttr(fill));
}

npu::NestAttr Emitter::nest(int op) {
  const GroupOp &info = group->ops[op];
  SmallVector<int64_t> extents, bounds, reduction, roles;
  SmallVector<AffineExpr> starts;
  for (size_t d = 0; d < info.extents.size(); ++d) {
    int64_t extent = t->extent(op, d);
    extents.push_back(extent);
    starts.push_back(tileStart(op, d));
    bounds.push_back(info.extents[d] % extent ? info.extents[d] : -1);
    reduction.push_back(info.reduction[d]);
    roles.push_back(int64_t(info.contraction.valid ? info.contraction.roles[d] : LoopRole::Other));
  }
  return npu::NestAttr::get(context, extents, bounds, symbolMap(starts), reduction, roles);
}

/// Copies a body; block argument i of the source becomes argument argumentOf[i] (-1: unused).
void Emitter::cloneBody(Block &source, Block &target, ArrayRef<int> argumentOf,
                        IRMapping &mapping) {
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(&target);
  for (auto [i, to] : llvm::enumerate(argumentOf))
    if (to >= 0)
      mapping.map(source.getArgument(i), target.getArgument(to));
  auto bring = [&](Value v) { // constants from outside
    if (mapping.contains(v) || v.getParentBlock() == &source)
      return;
    if (Operation *def = v.getDefiningOp())
      builder.clone(*def, mapping);
  };
  for (Operation &op : source.without_terminator()) {
    for (Value v : op.getOperands())
      bring(v);
    if (auto index = dyn_cast<linalg::IndexOp>(op)) {
      auto own = npu::IndexOp::create(builder, op.getLoc(), builder.getIndexType(),
                                      uint64_t(index.getDim()));
      mapping.map(index.getResult(), own.getResult());
      continue;
    }
    builder.clone(op, mapping);
  }
  SmallVector<Value> yields;
  for (Value v : source.getTerminator()->getOperands()) {
    bring(v);
    yields.push_back(mapping.lookup(v));
  }
  npu::YieldOp::create(builder, loc, yields);
}

void Emitter::emitMatrix(int o) {
  const GroupOp &op = group->ops[o];
  const Contraction &c = op.contraction;
  loc = op.op.getLoc();
  SmallVector<Attribute> accesses;
  accesses.push_back(access(o, op.inputs[c.a].map, t->inputs[o][c.a], op.inputs[c.a].value, false));
  accesses.push_back(access(o, op.inputs[c.b].map, t->inputs[o][c.b], op.inputs[c.b].value, false));
  Value result = op.op->getResult(0);
  Placement acc{Placement::How::Tiled, t->accumulator};
  accesses.push_back(access(o, op.output, acc, result, false));
  SmallVector<Value> params;
  Value out;
  const GroupOp *next = group->epilogue ? &group->ops[o + 1] : nullptr;
  SmallVector<int> argumentOf;
  SmallVector<Type> argumentTypes;
  argumentTypes.push_back(cast<ShapedType>(result.getType()).getElementType());
  bool identity = o + 1 == int(group->ops.size());
  if (next) {
    // The epilogue's loops are the contraction's: bring its maps to the contraction's dims.
    auto translate = [&](const LinearMap &map) {
      LinearMap moved;
      moved.constants = map.constants;
      for (auto &row : map.coefficients) {
        moved.coefficients.emplace_back(op.extents.size(), 0);
        for (size_t d = 0; d < row.size(); ++d)
          for (size_t k = 0; row[d] && k < op.extents.size(); ++k)
            if (op.rootDim[k] >= 0 && op.rootDim[k] == next->rootDim[d])
              moved.coefficients.back()[k] = row[d];
      }
      return moved;
    };
    for (auto [i, input] : llvm::enumerate(next->inputs)) {
      if (input.producer == o) {
        argumentOf.push_back(0);
        continue;
      }
      argumentOf.push_back(1 + params.size());
      params.push_back(operandMemref(t->inputs[o + 1][i], input.value));
      argumentTypes.push_back(cast<ShapedType>(input.value.getType()).getElementType());
      accesses.push_back(access(o, translate(input.map), t->inputs[o + 1][i], input.value, false));
    }
    Value value = next->op->getResult(0);
    argumentOf.push_back(1 + params.size());
    argumentTypes.push_back(cast<ShapedType>(value.getType()).getElementType());
    out = operandMemref(t->outputs[o + 1], value);
    accesses.push_back(access(o, translate(next->output), t->outputs[o + 1], value, false));
  } else if (identity) {
    argumentTypes.push_back(argumentTypes.front());
    out = operandMemref(t->outputs[o], result);
    accesses.push_back(access(o, op.output, t->outputs[o], result, false));
  }
  AffineMapAttr clearIf, epilogueIf;
  AffineExpr first = getAffineConstantExpr(0, context), last = first;
  bool split = false;
  for (size_t i = 0; i < t->reductionOrder.size(); ++i) {
    AffineExpr iv = getAffineSymbolExpr(t->sizes.order.size() + i, context);
    first = first + iv;
    last = last + iv - (t->reductionTrips[t->reductionOrder[i]] - 1);
    split = true;
  }
  if (split) {
    clearIf = AffineMapAttr::get(symbolMap({first}));
    if (out)
      epilogueIf = AffineMapAttr::get(symbolMap({last}));
  }
  auto matrix = npu::MatrixOp::create(
      builder, loc, operandMemref(t->inputs[o][c.a], op.inputs[c.a].value),
      operandMemref(t->inputs[o][c.b], op.inputs[c.b].value), buffers[t->accumulator], params, out,
      ivs, nest(o), builder.getArrayAttr(accesses), builder.getI64IntegerAttr(c.aZero),
      builder.getI64IntegerAttr(c.bZero), clearIf, epilogueIf);
  matrix->setAttr("a_type", builder.getI64IntegerAttr(int64_t(c.aType)));
  matrix->setAttr("b_type", builder.getI64IntegerAttr(int64_t(c.bType)));
  if (!out)
    return;
  Block *block = new Block();
  matrix.getEpilogue().push_back(block);
  for (Type type : argumentTypes)
    block->addArgument(type, loc);
  IRMapping mapping;
  if (next) {
    cloneBody(*next->op.getBody(), *block, argumentOf, mapping);
  } else {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(block);
    npu::YieldOp::create(builder, loc, ValueRange{block->getArgument(0)});
  }
}

void Emitter::emitVector(int o) {
  const GroupOp &op = group->ops[o];
  loc = op.op.getLoc();
  SmallVector<Value> inputs;
  SmallVector<Attribute> accesses;
  SmallVector<int> argumentOf;
  SmallVector<Type> argumentTypes;
  SmallVector<int64_t> tableOf(op.inputs.size(), -1);
  for (auto [i, input] : llvm::enumerate(op.inputs)) {
    if (input.shapeOnly) {
      argumentOf.push_back(-1);
      continue;
    }
    tableOf[i] = inputs.size();
    argumentOf.push_back(inputs.size());
    inputs.push_back(operandMemref(t->inputs[o][i], input.value));
    argumentTypes.push_back(cast<ShapedType>(input.value.getType()).getElementType());
    accesses.push_back(access(o, input.map, t->inputs[o][i], input.value, input.table));
  }
  Value result = op.op->getResult(0);
  argumentOf.push_back(inputs.size());
  argumentTypes.push_back(cast<ShapedType>(result.getType()).getElementType());
  Value output = operandMemref(t->outputs[o], result);
  accesses.push_back(access(o, op.output, t->outputs[o], result, false));
  SmallVector<double> initial;
  if (op.reduces())
    initial.push_back(op.initial);
  AffineMapAttr clearIf;
  if (o == group->splittable() && !t->reductionOrder.empty()) {
    AffineExpr first = getAffineConstantExpr(0, context);
    for (size_t i = 0; i < t->reductionOrder.size(); ++i)
      first = first + getAffineSymbolExpr(t->sizes.order.size() + i, context);
    clearIf = AffineMapAttr::get(symbolMap({first}));
  }
  auto vector = npu::VectorOp::create(builder, loc, inputs, ValueRange{output}, ivs, nest(o),
                                      builder.getArrayAttr(accesses),
                                      builder.getDenseF64ArrayAttr(initial), clearIf);
  Block *block = new Block();
  vector.getBody().push_back(block);
  for (Type type : argumentTypes)
    block->addArgument(type, loc);
  IRMapping mapping;
  cloneBody(*op.op.getBody(), *block, argumentOf, mapping);
  block->walk([&](npu::LookupOp lookup) { lookup.setTable(tableOf[lookup.getTable()]); });
}
