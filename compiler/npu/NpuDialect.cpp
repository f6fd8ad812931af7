//===- NpuDialect.cpp - The npu dialect: helpers and verifiers ----------------===//

#include "compiler/npu/NpuDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace npucc::npu;

#include "compiler/npu/NpuDialect.cpp.inc"
#include "compiler/npu/NpuEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "compiler/npu/NpuAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "compiler/npu/NpuOps.cpp.inc"

void NpuDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "compiler/npu/NpuAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "compiler/npu/NpuOps.cpp.inc"
      >();
}

MemSpace npucc::npu::spaceOf(MemRefType type) {
  auto attr = dyn_cast_if_present<MemSpaceAttr>(type.getMemorySpace());
  return attr ? attr.getValue() : MemSpace::Dram;
}

int64_t npucc::npu::elementBytes(Type type) { return (type.getIntOrFloatBitWidth() + 7) / 8; }

void npucc::npu::staticStrides(MemRefType type, SmallVectorImpl<int64_t> &strides,
                               int64_t &offset) {
  strides.clear();
  if (failed(type.getStridesAndOffset(strides, offset)))
    offset = 0;
}

int64_t npucc::npu::spanBytes(MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  staticStrides(type, strides, offset);
  int64_t last = 0;
  for (auto [size, stride] : llvm::zip(type.getShape(), strides)) {
    if (size == 0)
      return 0;
    last += (size - 1) * stride;
  }
  return (last + 1) * elementBytes(type.getElementType());
}

Value npucc::npu::rootOf(Value memref) {
  while (auto view = memref.getDefiningOp<ViewOp>())
    memref = view.getSource();
  return memref;
}

static LogicalResult verifyStatic(Operation *op, Type type) {
  auto memref = cast<MemRefType>(type);
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!memref.hasStaticShape() || failed(memref.getStridesAndOffset(strides, offset)) ||
      llvm::is_contained(strides, ShapedType::kDynamic))
    return op->emitOpError("needs memrefs of static shape and strides, found ") << type;
  return success();
}

static LogicalResult verifyAccess(Operation *op, NestAttr nest, Attribute attr, Type type,
                                  size_t symbols, size_t position) {
  if (failed(verifyStatic(op, type)))
    return failure();
  auto access = dyn_cast<AccessAttr>(attr);
  if (!access)
    return op->emitOpError("access ") << position << " is not an #npu.access: " << attr;
  auto memref = cast<MemRefType>(type);
  AffineMap map = access.getMap(), origin = access.getOrigin();
  if (map.getNumDims() != nest.getExtents().size() || map.getNumSymbols() != symbols)
    return op->emitOpError("access ")
           << position << " has a map of " << map.getNumDims() << " dims and "
           << map.getNumSymbols() << " symbols, the nest " << nest.getExtents().size() << " and "
           << symbols;
  if (int64_t(map.getNumResults()) != memref.getRank() ||
      int64_t(origin.getNumResults()) != memref.getRank() ||
      int64_t(access.getBounds().size()) != memref.getRank())
    return op->emitOpError("access ")
           << position << " needs map, origin and bounds of rank " << memref.getRank();
  if (origin.getNumDims() != 0 || origin.getNumSymbols() != symbols)
    return op->emitOpError("access ") << position << ": the origin depends on outer loops only";
  return success();
}

static LogicalResult verifyNest(Operation *op, NestAttr nest, size_t symbols) {
  size_t rank = nest.getExtents().size();
  if (nest.getBounds().size() != rank || nest.getReduction().size() != rank ||
      nest.getRoles().size() != rank || nest.getStarts().getNumResults() != rank)
    return op->emitOpError("nest lists differ in length");
  if (nest.getStarts().getNumDims() != 0 || nest.getStarts().getNumSymbols() != symbols)
    return op->emitOpError("nest starts depend on the ") << symbols << " outer loops only";
  for (int64_t extent : nest.getExtents())
    if (extent <= 0)
      return op->emitOpError("nest extent ") << extent << " is not positive";
  return success();
}

static LogicalResult verifyCondition(Operation *op, std::optional<AffineMap> map, size_t symbols) {
  if (map &&
      (map->getNumResults() != 1 || map->getNumDims() != 0 || map->getNumSymbols() != symbols))
    return op->emitOpError("a condition is one expression of the ") << symbols << " outer loops";
  return success();
}

LogicalResult BufferOp::verify() {
  if (failed(verifyStatic(*this, getType())))
    return failure();
  if (getSlots() < 1)
    return emitOpError("has ") << getSlots() << " slots";
  if (getSlots() > 1 && spaceOf(cast<MemRefType>(getType())) == MemSpace::Dram)
    return emitOpError("is a ring in DRAM; rings are for tiles");
  return success();
}

LogicalResult ConstantOp::verify() {
  auto tensor = dyn_cast<RankedTensorType>(getSource().getType());
  auto memref = cast<MemRefType>(getType());
  if (!tensor || tensor.getShape() != memref.getShape() ||
      tensor.getElementType() != memref.getElementType())
    return emitOpError("turns ") << getSource().getType() << " into " << memref;
  if (spaceOf(memref) != MemSpace::Dram)
    return emitOpError("constants start in DRAM");
  return verifyStatic(*this, memref);
}

template <typename Copy>
static LogicalResult verifyCopy(Copy op, MemRefType whole, MemRefType tile, StreamKind kind) {
  if (failed(verifyStatic(op, whole)) || failed(verifyStatic(op, tile)))
    return failure();
  if (whole.getRank() != tile.getRank() || whole.getElementType() != tile.getElementType())
    return op.emitOpError("copies between ") << whole << " and " << tile;
  AffineMap origin = op.getOrigin();
  if (int64_t(origin.getNumResults()) != whole.getRank() || origin.getNumDims() != 0 ||
      origin.getNumSymbols() != op.getIvs().size())
    return op.emitOpError("needs an origin of ")
           << whole.getRank() << " coordinates over " << op.getIvs().size() << " loops";
  if (op.getEngine().getKind() != kind)
    return op.emitOpError("is on the wrong engine");
  return success();
}

LogicalResult LoadOp::verify() {
  return verifyCopy(*this, cast<MemRefType>(getSource().getType()),
                    cast<MemRefType>(getTarget().getType()), StreamKind::Load);
}

LogicalResult StoreOp::verify() {
  return verifyCopy(*this, cast<MemRefType>(getTarget().getType()),
                    cast<MemRefType>(getSource().getType()), StreamKind::Store);
}

LogicalResult MatrixOp::verify() {
  NestAttr nest = getNest();
  size_t symbols = getIvs().size();
  if (failed(verifyNest(*this, nest, symbols)) ||
      failed(verifyCondition(*this, getClearIf(), symbols)) ||
      failed(verifyCondition(*this, getEpilogueIf(), symbols)))
    return failure();
  SmallVector<Value> operands{getA(), getB(), getAcc()};
  llvm::append_range(operands, getParams());
  if (getOut())
    operands.push_back(getOut());
  if (getAccesses().size() != operands.size())
    return emitOpError("has ") << operands.size() << " memrefs and " << getAccesses().size()
                               << " accesses";
  for (auto [i, value] : llvm::enumerate(operands))
    if (failed(verifyAccess(*this, nest, getAccesses()[i], value.getType(), symbols, i)))
      return failure();
  if (spaceOf(cast<MemRefType>(getAcc().getType())) != MemSpace::Acc)
    return emitOpError("accumulates outside the accumulators");
  if (bool(getOut()) == getEpilogue().empty())
    return emitOpError("needs an output exactly when it has an epilogue");
  return success();
}

LogicalResult VectorOp::verify() {
  NestAttr nest = getNest();
  size_t symbols = getIvs().size();
  if (failed(verifyNest(*this, nest, symbols)) ||
      failed(verifyCondition(*this, getClearIf(), symbols)))
    return failure();
  SmallVector<Value> operands(getInputs());
  llvm::append_range(operands, getOutputs());
  if (getAccesses().size() != operands.size())
    return emitOpError("has ") << operands.size() << " memrefs and " << getAccesses().size()
                               << " accesses";
  for (auto [i, value] : llvm::enumerate(operands))
    if (failed(verifyAccess(*this, nest, getAccesses()[i], value.getType(), symbols, i)))
      return failure();
  bool reduces = llvm::is_contained(nest.getReduction(), 1);
  if (reduces && getInitial().size() != getOutputs().size())
    return emitOpError("reduces into ")
           << getOutputs().size() << " outputs with " << getInitial().size() << " initial values";
  if (getBody().empty() || getBody().front().getNumArguments() != operands.size())
    return emitOpError("needs a body with an argument per memref");
  return success();
}
