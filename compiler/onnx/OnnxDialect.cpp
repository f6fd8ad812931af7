//===- OnnxDialect.cpp - The onnx dialect: verifiers --------------------------===//

#include "compiler/onnx/OnnxDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace npucc::onnx;

#include "compiler/onnx/OnnxDialect.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "compiler/onnx/OnnxAttrs.cpp.inc"

#define GET_OP_CLASSES
#include "compiler/onnx/OnnxOps.cpp.inc"

void OnnxDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "compiler/onnx/OnnxAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "compiler/onnx/OnnxOps.cpp.inc"
      >();
}

StringRef npucc::onnx::nodeName(Location loc) {
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().strref();
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (StringRef name = nodeName(part); !name.empty())
        return name;
  }
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return nodeName(call.getCallee());
  return {};
}

//===----------------------------------------------------------------------===//
// Dialect attributes
//===----------------------------------------------------------------------===//

static LogicalResult verifyLayers(Operation *op, Attribute value) {
  auto layers = dyn_cast<ArrayAttr>(value);
  if (!layers)
    return op->emitOpError() << kLayersAttr << " must be an array";
  for (Attribute layer : layers) {
    auto fields = dyn_cast<DictionaryAttr>(layer);
    if (!fields || !fields.getAs<StringAttr>("node") || !fields.getAs<StringAttr>("op") ||
        !fields.getAs<IntegerAttr>("macs"))
      return op->emitOpError() << "an entry of " << kLayersAttr
                               << " needs a string 'node', a string 'op' and an integer 'macs'";
  }
  return success();
}

LogicalResult OnnxDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() == kModelAttr) {
    if (!isa<ModuleOp>(op) || !isa<StringAttr>(attr.getValue()))
      return op->emitOpError() << kModelAttr << " must be a string on a module";
    return success();
  }
  if (attr.getName() == kLayersAttr) {
    if (!isa<ModuleOp>(op))
      return op->emitOpError() << kLayersAttr << " belongs on a module";
    return verifyLayers(op, attr.getValue());
  }
  return op->emitOpError() << "unknown attribute " << attr.getName();
}

static LogicalResult verifyNameAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() != kNameAttr)
    return op->emitOpError() << "unknown attribute " << attr.getName();
  if (!isa<StringAttr>(attr.getValue()))
    return op->emitOpError() << kNameAttr << " must be a string";
  return success();
}

LogicalResult OnnxDialect::verifyRegionArgAttribute(Operation *op, unsigned, unsigned,
                                                    NamedAttribute attr) {
  return verifyNameAttribute(op, attr);
}

LogicalResult OnnxDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned,
                                                       NamedAttribute attr) {
  return verifyNameAttribute(op, attr);
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verify() {
  if (!getType().hasStaticShape())
    return emitOpError("needs a static shape");
  return success();
}

/// The kinds that ONNX attributes have, as the importer writes them.
static bool isOnnxAttribute(Attribute value) {
  if (auto integer = dyn_cast<IntegerAttr>(value))
    return integer.getType().isSignlessInteger(64);
  if (auto real = dyn_cast<FloatAttr>(value))
    return real.getType().isF32();
  if (auto strings = dyn_cast<ArrayAttr>(value))
    return llvm::all_of(strings, llvm::IsaPred<StringAttr>);
  return isa<StringAttr, DenseI64ArrayAttr, DenseF32ArrayAttr, ElementsAttr, GraphAttr>(value);
}

LogicalResult NodeOp::verify() {
  if (getOpType().empty())
    return emitOpError("needs an operator name");
  for (NamedAttribute attr : getParameters())
    if (!isOnnxAttribute(attr.getValue()))
      return emitOpError() << "attribute " << attr.getName()
                           << " is none of ONNX's kinds: " << attr.getValue();
  for (Type type :
       llvm::concat<Type>(llvm::to_vector(getOperandTypes()), llvm::to_vector(getResultTypes())))
    if (!isa<TensorType, NoneType>(type))
      return emitOpError() << "needs operands and results that are tensors or 'none', not " << type;
  return success();
}

void NodeOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  // Two draws of random numbers are two different tensors: never merged, never dropped. With a
  // seed RandomNormal is a constant (isSeededRandom).
  StringRef type = getOpType();
  if (type == "RandomNormal" && getParameters().contains("seed"))
    return;
  if (type.starts_with("Random") || type == "Bernoulli" || type == "Multinomial")
    effects.emplace_back(MemoryEffects::Write::get());
}

LogicalResult DataOp::verify() {
  auto source = dyn_cast<RankedTensorType>(getSource().getType());
  auto result = dyn_cast<RankedTensorType>(getType());
  if (!source || !result || !source.hasStaticShape() || source.getShape() != result.getShape())
    return emitOpError() << "needs equal static shapes, not " << getSource().getType() << " and "
                         << getType();
  Operation *producer = getSource().getDefiningOp();
  if (!isa_and_present<ConstantOp, NodeOp>(producer))
    return emitOpError("needs a constant expression as source");
  if (result.getElementType().isSignedInteger() || result.getElementType().isUnsignedInteger())
    return emitOpError() << "stores signless types, not " << result.getElementType();
  return success();
}
