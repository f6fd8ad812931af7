//===- Attributes.cpp - Tensors and nodes as MLIR attributes ------------------===//

#include "compiler/import/Attributes.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using llvm::Expected;

namespace npucc {

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

Type toMlirType(ElementType type, MLIRContext *context) {
  Builder b(context);
  auto unsignedType = [&](unsigned width) {
    return IntegerType::get(context, width, IntegerType::Unsigned);
  };
  switch (type) {
  case ElementType::Float32:
    return b.getF32Type();
  case ElementType::Float64:
    return b.getF64Type();
  case ElementType::Float16:
    return b.getF16Type();
  case ElementType::BFloat16:
    return b.getBF16Type();
  case ElementType::Float8E4M3FN:
    return b.getType<Float8E4M3FNType>();
  case ElementType::Float8E4M3FNUZ:
    return b.getType<Float8E4M3FNUZType>();
  case ElementType::Float8E5M2:
    return b.getType<Float8E5M2Type>();
  case ElementType::Float8E5M2FNUZ:
    return b.getType<Float8E5M2FNUZType>();
  case ElementType::Bool:
    return b.getI1Type();
  case ElementType::Int4:
  case ElementType::Int8:
  case ElementType::Int16:
  case ElementType::Int32:
  case ElementType::Int64:
    return b.getIntegerType(bitWidth(type));
  case ElementType::Uint4:
  case ElementType::Uint8:
  case ElementType::Uint16:
  case ElementType::Uint32:
  case ElementType::Uint64:
    return unsignedType(bitWidth(type));
  case ElementType::Complex64:
    return ComplexType::get(b.getF32Type());
  case ElementType::Complex128:
    return ComplexType::get(b.getF64Type());
  case ElementType::String:
  case ElementType::Undefined:
    return {};
  }
  return {};
}

ElementType fromMlirType(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return ElementType::Bool;
    case 4:
      return isUnsigned ? ElementType::Uint4 : ElementType::Int4;
    case 8:
      return isUnsigned ? ElementType::Uint8 : ElementType::Int8;
    case 16:
      return isUnsigned ? ElementType::Uint16 : ElementType::Int16;
    case 32:
      return isUnsigned ? ElementType::Uint32 : ElementType::Int32;
    case 64:
      return isUnsigned ? ElementType::Uint64 : ElementType::Int64;
    default:
      return ElementType::Undefined;
    }
  }
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF32()   ? ElementType::Complex64
           : complex.getElementType().isF64() ? ElementType::Complex128
                                              : ElementType::Undefined;
  return llvm::TypeSwitch<Type, ElementType>(type)
      .Case<Float32Type>([](auto) { return ElementType::Float32; })
      .Case<Float64Type>([](auto) { return ElementType::Float64; })
      .Case<Float16Type>([](auto) { return ElementType::Float16; })
      .Case<BFloat16Type>([](auto) { return ElementType::BFloat16; })
      .Case<Float8E4M3FNType>([](auto) { return ElementType::Float8E4M3FN; })
      .Case<Float8E4M3FNUZType>([](auto) { return ElementType::Float8E4M3FNUZ; })
      .Case<Float8E5M2Type>([](auto) { return ElementType::Float8E5M2; })
      .Case<Float8E5M2FNUZType>([](auto) { return ElementType::Float8E5M2FNUZ; })
      .Default([](Type) { return ElementType::Undefined; });
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// Up to here a constant is printed with the op that holds it.
static bool isSmall(const Tensor &tensor) {
  return tensor.size() <= 16 || tensor.byteSize() <= 256;
}

/// MLIR packs booleans to bits and unpacks 4-bit integers to bytes; all else has one layout.
static DenseElementsAttr denseFromTensor(const Tensor &tensor, RankedTensorType type) {
  unsigned bits = bitWidth(tensor.type());
  if (bits < 8 || tensor.type() == ElementType::Bool) {
    SmallVector<APInt> values;
    unsigned width = type.getElementType().getIntOrFloatBitWidth();
    for (int64_t i = 0, e = tensor.size(); i < e; ++i)
      values.push_back(APInt(width, static_cast<uint64_t>(tensor.asInt(i)), /*isSigned=*/false,
                             /*implicitTrunc=*/true));
    return DenseElementsAttr::get(type, values);
  }
  return DenseElementsAttr::getFromRawBuffer(
      type, ArrayRef(reinterpret_cast<const char *>(tensor.data()), tensor.byteSize()));
}

ElementsAttr attrFromTensor(const Tensor &tensor, MLIRContext *context, StringRef name) {
  Type element = toMlirType(tensor.type(), context);
  if (!element)
    return {};
  auto type = RankedTensorType::get(tensor.shape(), element);
  if (isSmall(tensor))
    return denseFromTensor(tensor, type);
  AsmResourceBlob blob = UnmanagedAsmResourceBlob::allocateWithAlign(
      ArrayRef(reinterpret_cast<const char *>(tensor.data()), tensor.byteSize()), /*align=*/1);
  auto attr = DenseResourceElementsAttr::get(type, name, std::move(blob));
  // The dialect keeps the bytes alive as long as the context, and gives the tensor back.
  context->getOrLoadDialect<onnx::OnnxDialect>()->tensors[attr.getRawHandle().getKey()] = tensor;
  return attr;
}

static Tensor tensorFromDense(DenseElementsAttr attr, ElementType type) {
  ArrayRef<int64_t> shape = attr.getType().getShape();
  Tensor result = Tensor::zeros(type, shape);
  if (result.size() == 0)
    return result;
  uint8_t *bytes = result.mutableData();
  if (bitWidth(type) < 8 || type == ElementType::Bool) {
    int64_t index = 0;
    for (const APInt &value : attr.getValues<APInt>()) {
      if (type == ElementType::Bool)
        bytes[index] = value.isZero() ? 0 : 1;
      else
        bytes[index / 2] |= static_cast<uint8_t>((value.getZExtValue() & 15) << (index % 2 * 4));
      ++index;
    }
    return result;
  }
  ArrayRef<char> raw = attr.getRawData();
  if (!attr.isSplat()) {
    std::memcpy(bytes, raw.data(), result.byteSize());
    return result;
  }
  for (size_t offset = 0; offset < result.byteSize(); offset += raw.size())
    std::memcpy(bytes + offset, raw.data(), raw.size());
  return result;
}

Expected<Tensor> tensorFromAttr(ElementsAttr attr) {
  ShapedType shaped = attr.getShapedType();
  ElementType type = fromMlirType(shaped.getElementType());
  if (type == ElementType::Undefined)
    return llvm::createStringError("constant of an element type that ONNX does not have");
  if (auto dense = dyn_cast<DenseElementsAttr>(attr))
    return tensorFromDense(dense, type);
  auto resource = dyn_cast<DenseResourceElementsAttr>(attr);
  if (!resource)
    return llvm::createStringError("constant of an unknown kind of attribute");

  StringRef key = resource.getRawHandle().getKey();
  auto *dialect = attr.getContext()->getOrLoadDialect<onnx::OnnxDialect>();
  if (auto it = dialect->tensors.find(key); it != dialect->tensors.end()) {
    const Tensor &known = it->second;
    if (known.type() == type && known.shape() == shaped.getShape())
      return known;
  }
  // The resource of a parsed file: copied once, since the program may outlive the context.
  AsmResourceBlob *blob = resource.getRawHandle().getBlob();
  if (!blob)
    return llvm::createStringError("the data of constant '%s' was left out of the text",
                                   key.str().c_str());
  Tensor result = Tensor::zeros(type, shaped.getShape());
  if (blob->getData().size() != result.byteSize())
    return llvm::createStringError("constant '%s' has %zu bytes, its type needs %zu",
                                   key.str().c_str(), blob->getData().size(), result.byteSize());
  if (result.byteSize())
    std::memcpy(result.mutableData(), blob->getData().data(), result.byteSize());
  dialect->tensors[key] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

mlir::Attribute toMlirAttribute(const Attribute &attribute, MLIRContext *context,
                                StringRef nodeName) {
  Builder b(context);
  struct Visitor {
    Builder &b;
    StringRef name;
    mlir::Attribute operator()(int64_t v) { return b.getI64IntegerAttr(v); }
    mlir::Attribute operator()(float v) { return b.getF32FloatAttr(v); }
    mlir::Attribute operator()(const std::string &v) { return b.getStringAttr(v); }
    mlir::Attribute operator()(const Tensor &v) { return attrFromTensor(v, b.getContext(), name); }
    mlir::Attribute operator()(const std::shared_ptr<Graph> &v) {
      auto *dialect = b.getContext()->getOrLoadDialect<onnx::OnnxDialect>();
      dialect->graphs.push_back(v);
      return onnx::GraphAttr::get(b.getContext(), dialect->graphs.size() - 1);
    }
    mlir::Attribute operator()(const std::vector<int64_t> &v) { return b.getDenseI64ArrayAttr(v); }
    mlir::Attribute operator()(const std::vector<float> &v) { return b.getDenseF32ArrayAttr(v); }
    mlir::Attribute operator()(const std::vector<std::string> &v) {
      return b.getStrArrayAttr(llvm::to_vector_of<StringRef>(v));
    }
  };
  return std::visit(Visitor{b, nodeName}, attribute.value);
}

static Expected<Attribute> fromMlirAttribute(mlir::Attribute attr) {
  if (auto value = dyn_cast<IntegerAttr>(attr))
    return Attribute{value.getInt()};
  if (auto value = dyn_cast<FloatAttr>(attr))
    return Attribute{static_cast<float>(value.getValueAsDouble())};
  if (auto value = dyn_cast<StringAttr>(attr))
    return Attribute{value.str()};
  if (auto value = dyn_cast<DenseI64ArrayAttr>(attr))
    return Attribute{value.asArrayRef().vec()};
  if (auto value = dyn_cast<DenseF32ArrayAttr>(attr))
    return Attribute{value.asArrayRef().vec()};
  if (auto value = dyn_cast<ElementsAttr>(attr)) {
    Expected<Tensor> tensor = tensorFromAttr(value);
    if (!tensor)
      return tensor.takeError();
    return Attribute{std::move(*tensor)};
  }
  if (auto value = dyn_cast<ArrayAttr>(attr)) {
    std::vector<std::string> strings;
    for (auto entry : value.getAsRange<StringAttr>())
      strings.push_back(entry.str());
    return Attribute{std::move(strings)};
  }
  if (auto value = dyn_cast<onnx::GraphAttr>(attr)) {
    auto *dialect = attr.getContext()->getOrLoadDialect<onnx::OnnxDialect>();
    if (value.getIndex() >= 0 && value.getIndex() < static_cast<int64_t>(dialect->graphs.size()))
      return Attribute{dialect->graphs[value.getIndex()]};
    return llvm::createStringError("the subgraph was left out of the text");
  }
  return llvm::createStringError("attribute of a kind that ONNX does not have");
}

Expected<Node> nodeFromOp(onnx::NodeOp op) {
  Node node;
  node.name = onnx::nodeName(op.getLoc()).str();
  node.opType = op.getOpType().str();
  node.domain = op.getDomain().str();
  auto number = [](auto values, std::vector<ValueId> &ids) {
    for (auto [index, value] : llvm::enumerate(values))
      ids.push_back(isa<NoneType>(value.getType()) ? kNoValue : static_cast<ValueId>(index));
  };
  number(op.getInputs(), node.inputs);
  number(op.getOutputs(), node.outputs);
  for (NamedAttribute attr : op.getParameters()) {
    Expected<Attribute> value = fromMlirAttribute(attr.getValue());
    if (!value)
      return value.takeError();
    node.attributes.emplace(attr.getName().str(), std::move(*value));
  }
  return node;
}

} // namespace npucc
