//===- EmitNest.cpp - A plan becomes npu ops ----------------------------------===//

#include "compiler/schedule/EmitNest.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::LoopRole;
using npucc::Machine;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

namespace {

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
  void emitContraction(int op, int level);
  void emitLoads(int level);
  void emitLoad(Tile const &tile, Value buffer);
  void emitMatrix(int op);
  void emitVector(int op);
  void emitStore();
  Value packedConstant(const Tile &tile);
  scf::ForOp loop(int64_t trips);

  /// Affine pieces over the current loops: start of op dim `d`'s tile.
  AffineExpr tileStart(int op, unsigned d);
  npu::AccessAttr access(int op, const LinearMap &map, Placement placement, Value value, bool table);
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

MemRefType Emitter::memrefType(ArrayRef<int64_t> shape, Type element, ArrayRef<int64_t> strides,
                               int64_t offset, npu::MemSpace space) {
  return MemRefType::get(shape, element, StridedLayoutAttr::get(context, offset, strides),
                         npu::MemSpaceAttr::get(context, space));
}

Value Emitter::storageMemref(Storage *storage) {
  Value &memref = memrefs[storage];
  if (memref)
    return memref;
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(declarations);
  npu::MemSpace space = storage->resident ? npu::MemSpace::Spm : npu::MemSpace::Dram;
  MemRefType type =
      memrefType(storage->shape, storage->elementType, storage->strides, 0, space);
  if (storage->kind == Storage::Kind::Constant) {
    memref = npu::ConstantOp::create(builder, storage->constant.getLoc(), type, storage->constant);
  } else {
    auto buffer = npu::BufferOp::create(builder, loc, type, builder.getI64IntegerAttr(1),
                                        IntegerAttr(), StringAttr());
    if (storage->resident)
      buffer.setAddress(storage->address);
    memref = buffer;
  }
  return memref;
}

Value Emitter::viewMemref(const View &view) {
  Value source = storageMemref(view.storage);
  SmallVector<int64_t> shape(view.shape);
  for (size_t r = 0; r < shape.size(); ++r)
    if (view.bound[r] >= 0)
      shape[r] = view.bound[r];
  if (view.offset == 0 && ArrayRef(shape) == ArrayRef(view.storage->shape) &&
      view.strides == view.storage->strides)
    return source;
  std::vector<int64_t> key{view.offset, int64_t(shape.size())};
  llvm::append_range(key, shape);
  llvm::append_range(key, view.strides);
  Value &memref = viewCache[{source.getAsOpaquePointer(), key}];
  if (!memref) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(declarations);
    auto space = npu::spaceOf(cast<MemRefType>(source.getType()));
    memref = npu::ViewOp::create(
        builder, loc,
        memrefType(shape, view.storage->elementType, view.strides, view.offset, space), source);
  }
  return memref;
}

void Emitter::declarePorts() {
  for (Storage &storage : storages.all()) {
    builder.setInsertionPoint(declarations);
    auto attribute = [&](StringRef key, bool argument) -> StringAttr {
      return argument ? function.getArgAttrOfType<StringAttr>(storage.port, key)
                      : function.getResultAttrOfType<StringAttr>(storage.port, key);
    };
    if (storage.kind == Storage::Kind::Input) {
      auto name = attribute("onnx.name", true);
      if (!name)
        name = builder.getStringAttr("input" + std::to_string(storage.port));
      memrefs[&storage] = npu::InputOp::create(
          builder, loc,
          memrefType(storage.shape, storage.elementType, storage.strides, 0, npu::MemSpace::Dram),
          name, attribute("npu.type", true), attribute("npu.external_type", true));
    } else if (storage.kind == Storage::Kind::Output) {
      auto name = attribute("onnx.name", false);
      if (!name)
        name = builder.getStringAttr("output" + std::to_string(storage.port));
      Value buffer = storageMemref(&storage);
      npu::OutputOp::create(builder, loc, buffer, name, attribute("npu.type", false),
                            attribute("npu.external_type", false));
    }
  }
}

scf::ForOp Emitter::loop(int64_t trips) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value end = arith::ConstantIndexOp::create(builder, loc, trips);
  return scf::ForOp::create(builder, loc, zero, end, one);
}

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
  const View *view = placement.how == Placement::How::Direct ||
                             t->tiles[placement.tile].value
                         ? &storages.view(value)
                         : nullptr;
  for (size_t r = 0; r < map.coefficients.size(); ++r) {
    int64_t low = view ? view->low[r] : 0;
    AffineExpr start = getAffineConstantExpr(map.constants[r] - low, context);
    AffineExpr expr = getAffineConstantExpr(0, context);
    for (size_t d = 0; d < dims; ++d) {
      int64_t c = map.coefficients[r][d];
      if (!c || table)
        continue;
      start = start + tileStart(op, d) * c;
      expr = expr + getAffineDimExpr(d, context) * c;
    }
    coordinates.push_back(expr + start);
    origin.push_back(direct ? getAffineConstantExpr(0, context) : start);
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

Value Emitter::operandMemref(Placement placement, Value value) {
  if (placement.how == Placement::How::Tiled)
    return buffers[placement.tile];
  return viewMemref(storages.view(value));
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
      operandMemref(t->inputs[o][c.b], op.inputs[c.b].value), buffers[t->accumulator], params,
      out, ivs, nest(o), builder.getArrayAttr(accesses), builder.getI64IntegerAttr(c.aZero),
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
  auto vector = npu::VectorOp::create(builder, loc, inputs, ValueRange{output}, ivs, nest(o),
                                      builder.getArrayAttr(accesses),
                                      builder.getDenseF64ArrayAttr(initial), AffineMapAttr());
  Block *block = new Block();
  vector.getBody().push_back(block);
  for (Type type : argumentTypes)
    block->addArgument(type, loc);
  IRMapping mapping;
  cloneBody(*op.op.getBody(), *block, argumentOf, mapping);
  block->walk([&](npu::LookupOp lookup) { lookup.setTable(tableOf[lookup.getTable()]); });
}

/// The constant as the loads want it: tile by tile, each tile one stretch of memory in the
/// tile's own order. Ragged last tiles are padded with zeros that clipping never reads.
Value Emitter::packedConstant(const Tile &tile) {
  const View &view = storages.view(tile.value);
  const GroupOp &op = group->ops[tile.op];
  const LinearMap &map = op.inputs[tile.input].map;
  auto data = view.storage->constant.getDefiningOp<onnx::DataOp>();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(declarations);
  Value value = data.getSource();
  Type element = cast<ShapedType>(value.getType()).getElementType();
  auto node = [&](StringRef type, ArrayRef<Value> inputs, ArrayRef<int64_t> shape,
                  ArrayRef<NamedAttribute> attributes) {
    auto result = RankedTensorType::get(shape, element);
    return onnx::NodeOp::create(builder, data.getLoc(), TypeRange{result},
                                builder.getStringAttr(type), builder.getStringAttr(""), inputs,
                                builder.getDictionaryAttr(attributes))
        .getResult(0);
  };
  auto list = [&](ArrayRef<int64_t> values) -> Value {
    auto type = RankedTensorType::get({int64_t(values.size())}, builder.getI64Type());
    return onnx::ConstantOp::create(builder, data.getLoc(), type,
                                    DenseElementsAttr::get(type, values));
  };
  auto reshape = [&](ArrayRef<int64_t> shape) {
    if (cast<ShapedType>(value.getType()).getShape() != shape)
      value = node("Reshape", {value, list(shape)}, shape, {});
  };
  size_t rank = view.shape.size();
  reshape(view.shape);
  SmallVector<int64_t> trips(rank, 1), padded, split, pads(2 * rank, 0);
  bool ragged = false;
  for (size_t r = 0; r < rank; ++r) {
    for (size_t d = 0; d < op.extents.size(); ++d)
      if (map.coefficients[r][d] && t->level(tile.op, d) > 0)
        trips[r] = t->tripsAt(t->level(tile.op, d));
    padded.push_back(trips[r] * tile.sizes[r]);
    pads[rank + r] = padded[r] - view.shape[r];
    ragged |= pads[rank + r] != 0;
    split.push_back(trips[r]);
    split.push_back(tile.sizes[r]);
  }
  if (ragged)
    value = node("Pad", {value, list(pads)}, padded, {});
  reshape(split);
  SmallVector<int64_t> permutation, shape;
  for (size_t r = 0; r < rank; ++r) {
    permutation.push_back(2 * r);
    shape.push_back(trips[r]);
  }
  for (int r : tile.order) {
    permutation.push_back(2 * r + 1);
    shape.push_back(tile.sizes[r]);
  }
  bool moves = false;
  int64_t previous = -1;
  for (int64_t p : permutation) {
    if (split[p] == 1)
      continue;
    moves |= p < previous;
    previous = p;
  }
  if (moves)
    value = node("Transpose", {value}, shape,
                 {builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(permutation))});
  else
    reshape(shape);
  Value stored = onnx::DataOp::create(
      builder, data.getLoc(), RankedTensorType::get(shape, view.storage->elementType), value);
  SmallVector<int64_t> strides(shape.size(), 1);
  for (size_t r = shape.size() - 1; r-- > 0;)
    strides[r] = strides[r + 1] * shape[r + 1];
  return npu::ConstantOp::create(
      builder, data.getLoc(),
      memrefType(shape, view.storage->elementType, strides, 0, npu::MemSpace::Dram), stored);
}

void Emitter::emitLoad(const Tile &tile, Value buffer) {
  const GroupOp &op = group->ops[tile.op];
  const OpInput &input = op.inputs[tile.input];
  loc = op.op.getLoc();
  const View &view = storages.view(tile.value);
  int64_t channel = tile.constant && machine.dma.loadChannels > 1 ? 1 : 0;
  SmallVector<AffineExpr> origin;
  if (tile.packed) {
    Value source = packedConstant(tile);
    size_t rank = view.shape.size();
    SmallVector<int64_t> shape(rank, 1), strides(2 * rank, 1);
    for (size_t r = 0; r < rank; ++r) {
      AffineExpr expr = getAffineConstantExpr(0, context);
      for (size_t d = 0; d < op.extents.size(); ++d)
        if (input.map.coefficients[r][d])
          if (int level = t->level(tile.op, d); level > 0)
            expr = getAffineSymbolExpr(level - 1, context);
      origin.push_back(expr);
    }
    for (int r : tile.order) {
      shape.push_back(tile.sizes[r]);
      origin.push_back(getAffineConstantExpr(0, context));
    }
    for (size_t r = shape.size() - 1; r-- > 0;)
      strides[r] = strides[r + 1] * shape[r + 1];
    Value target;
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(declarations);
      target = npu::ViewOp::create(
          builder, loc, memrefType(shape, tile.elementType, strides, 0, npu::MemSpace::Spm), buffer);
    }
    npu::LoadOp::create(builder, loc, source, target, ivs, symbolMap(origin),
                        engine(npu::StreamKind::Load, channel));
    return;
  }
  for (size_t r = 0; r < view.shape.size(); ++r) {
    AffineExpr expr = getAffineConstantExpr(
        (input.table ? 0 : input.map.constants[r]) - view.low[r], context);
    for (size_t d = 0; d < op.extents.size() && !input.table; ++d)
      if (int64_t c = input.map.coefficients[r][d])
        expr = expr + tileStart(tile.op, d) * c;
    origin.push_back(expr);
  }
  npu::LoadOp::create(builder, loc, viewMemref(view), buffer, ivs, symbolMap(origin),
                      engine(npu::StreamKind::Load, channel));
}

void Emitter::emitLoads(int level) {
  for (size_t i = 0; i < t->tiles.size(); ++i)
    if (t->tiles[i].value && t->tiles[i].level == level)
      emitLoad(t->tiles[i], buffers[i]);
}

void Emitter::emitContraction(int o, int level) {
  int total = t->levels();
  if (level == total)
    return emitMatrix(o);
  scf::ForOp f = loop(t->tripsAt(level + 1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPoint(f.getBody()->getTerminator());
  ivs.push_back(f.getInductionVar());
  emitLoads(level + 1);
  emitContraction(o, level + 1);
  ivs.pop_back();
}

void Emitter::emitStore() {
  const GroupOp &root = group->root();
  Placement placement = t->outputs.back();
  if (placement.how != Placement::How::Tiled)
    return;
  int o = group->ops.size() - 1;
  const View &view = storages.view(root.op->getResult(0));
  SmallVector<AffineExpr> origin;
  for (size_t r = 0; r < view.shape.size(); ++r) {
    AffineExpr expr = getAffineConstantExpr(root.output.constants[r], context);
    for (size_t d = 0; d < root.extents.size(); ++d)
      if (int64_t c = root.output.coefficients[r][d])
        expr = expr + tileStart(o, d) * c;
    origin.push_back(expr);
  }
  npu::StoreOp::create(builder, loc, buffers[placement.tile], viewMemref(view), ivs,
                       symbolMap(origin), engine(npu::StreamKind::Store));
}

void Emitter::emitLevel(int level) {
  emitLoads(level);
  for (size_t o = 0; o < group->ops.size(); ++o) {
    if (t->depth[o] != level || (group->epilogue && int(o) == group->contraction + 1))
      continue;
    if (int(o) == group->contraction)
      emitContraction(o, t->sizes.order.size());
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
      Value stored = onnx::DataOp::create(builder, loc,
                                          RankedTensorType::get(type.getShape(), element), v);
      inputs.push_back(npu::ConstantOp::create(
          builder, loc, memrefType(type.getShape(), element, strides, 0, npu::MemSpace::Dram),
          stored));
    }
  }
  for (Value v : node.getResults())
    outputs.push_back(viewMemref(storages.view(v)));
  auto types = [&](ValueRange values) {
    SmallVector<Attribute> result;
    for (Value v : values)
      result.push_back(TypeAttr::get(v.getType()));
    return builder.getArrayAttr(result);
  };
  auto reason = node->getAttrOfType<StringAttr>("npu.host_reason");
  npu::HostOp::create(builder, loc, node.getOpTypeAttr(), node.getDomainAttr(),
                      node.getParametersAttr(), inputs, outputs,
                      reason ? reason : builder.getStringAttr("no lowering"),
                      types(node.getInputs()), types(node.getResults()));
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
      bool constant = node && !(node->getNumResults() && storages.has(node->getResult(0)));
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

} // namespace

LogicalResult schedule::emitPlan(func::FuncOp function, StorageMap &storages, const Plan &plan,
                                 const Machine &machine) {
  return Emitter(function, storages, plan, machine).run();
}
