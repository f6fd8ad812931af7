//===- EmitBuffers.cpp - Buffers, views and copies of a plan ----------------===//

#include "compiler/schedule/NestEmitter.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::LoopRole;
using npucc::Machine;
using namespace npucc::schedule;
using npucc::schedule::emission::Emitter;

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
  MemRefType type = memrefType(storage->shape, storage->elementType, storage->strides, 0, space);
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

Value Emitter::operandMemref(Placement placement, Value value) {
  if (placement.how == Placement::How::Tiled)
    return buffers[placement.tile];
  return viewMemref(storages.view(value));
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
  for (size_t r = shape.size(); r-- > 1;)
    strides[r - 1] = strides[r] * shape[r];
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
    for (size_t r = shape.size(); r-- > 1;)
      strides[r - 1] = strides[r] * shape[r];
    Value target;
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(declarations);
      target = npu::ViewOp::create(
          builder, loc, memrefType(shape, tile.elementType, strides, 0, npu::MemSpace::Spm),
          buffer);
    }
    npu::LoadOp::create(builder, loc, source, target, ivs, symbolMap(origin),
                        engine(npu::StreamKind::Load, channel));
    return;
  }
  for (size_t r = 0; r < view.shape.size(); ++r) {
    AffineExpr expr =
        getAffineConstantExpr((input.table ? 0 : input.map.constants[r]) - view.low[r], context);
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
