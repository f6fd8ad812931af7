//===- Context.cpp - What a lowering sees of its node -------------------------===//

#include "compiler/lowering/Lowering.h"

#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace npucc::lowering {

/// Parameters are small; whatever is larger is data, which lowerings must not look at.
constexpr int64_t kMaxEvaluated = 1 << 20;

LoweringContext::LoweringContext(onnx::NodeOp node, FunctionState &state)
    : node(node), b(node), loc(node.getLoc()), state(state) {}

bool LoweringContext::has(unsigned i) {
  return i < numInputs() && !isa<NoneType>(input(i).getType());
}

bool LoweringContext::isConstant(Value value) {
  return !state.storageOf.contains(value) && isConstantExpression(value);
}

std::optional<Tensor> LoweringContext::constant(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() > kMaxEvaluated ||
      !isConstant(value))
    return std::nullopt;
  llvm::Expected<Tensor> tensor = evaluateConstant(value, state.evaluated);
  if (!tensor) {
    llvm::consumeError(tensor.takeError());
    return std::nullopt;
  }
  return *tensor;
}

std::optional<Tensor> LoweringContext::constant(unsigned i) {
  return has(i) ? constant(input(i)) : std::nullopt;
}

std::optional<Ints> LoweringContext::ints(unsigned i) {
  std::optional<Tensor> tensor = constant(i);
  if (!tensor)
    return std::nullopt;
  Ints result(tensor->size());
  for (auto [index, value] : llvm::enumerate(result))
    value = tensor->asInt(index);
  return result;
}

Value LoweringContext::tensor(Value onnxValue) {
  if (auto it = state.storageOf.find(onnxValue); it != state.storageOf.end())
    return it->second;
  return data(onnxValue);
}

Arg LoweringContext::arg(Value onnxValue) {
  RankedTensorType type = typeOf(onnxValue);
  if (type.getNumElements() == 1)
    if (std::optional<Tensor> value = constant(onnxValue)) {
      Arg result;
      result.element = type.getElementType();
      result.number = value->asDouble(0);
      result.integer = isFloat(result.element) ? 0 : value->asInt(0);
      return result;
    }
  return tensorArg(tensor(onnxValue), type.getElementType());
}

Arg LoweringContext::channelArg(Value onnxValue, int64_t dim) {
  Arg result = arg(onnxValue);
  result.dims = Ints{dim};
  if (typeOf(onnxValue).getRank() == 0)
    result.dims->clear();
  return result;
}

Arg LoweringContext::numberArg(double number, Type element) {
  Arg result;
  result.element = element;
  result.number = number;
  result.integer = static_cast<int64_t>(number);
  return result;
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

int64_t LoweringContext::getInt(StringRef name, int64_t fallback) {
  auto attr = node.getParameters().getAs<IntegerAttr>(name);
  return attr ? attr.getInt() : fallback;
}

double LoweringContext::getFloat(StringRef name, double fallback) {
  auto attr = node.getParameters().getAs<FloatAttr>(name);
  return attr ? attr.getValueAsDouble() : fallback;
}

StringRef LoweringContext::getString(StringRef name, StringRef fallback) {
  auto attr = node.getParameters().getAs<StringAttr>(name);
  return attr ? attr.getValue() : fallback;
}

Ints LoweringContext::getInts(StringRef name, ArrayRef<int64_t> fallback) {
  auto attr = node.getParameters().getAs<DenseI64ArrayAttr>(name);
  return attr ? Ints(attr.asArrayRef()) : Ints(fallback);
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

bool LoweringContext::wants(unsigned i) {
  return i < node.getOutputs().size() && !isa<NoneType>(node.getOutputs()[i].getType()) &&
         !node.getOutputs()[i].use_empty();
}

LogicalResult LoweringContext::result(Value storage, unsigned i) {
  if (!storage)
    return failure();
  state.storageOf[node.getOutputs()[i]] = storage;
  return success();
}

LogicalResult LoweringContext::refuse(const Twine &reason) {
  reasonText = reason.str();
  return failure();
}

//===----------------------------------------------------------------------===//
// Types and new constants
//===----------------------------------------------------------------------===//

Type LoweringContext::storageElement(Type onnxElement) {
  return onnxElement.isF32() && state.storage ? state.storage : signless(onnxElement);
}

RankedTensorType LoweringContext::storageType(RankedTensorType onnxType) {
  return onnxType.clone(storageElement(onnxType.getElementType()));
}

Value LoweringContext::constantNode(StringRef op, ValueRange inputs, RankedTensorType type,
                                    ArrayRef<NamedAttribute> attributes) {
  return onnx::NodeOp::create(b, loc, TypeRange{type}, b.getStringAttr(op), b.getStringAttr(""),
                              inputs, b.getDictionaryAttr(attributes))
      .getOutputs()[0];
}

Value LoweringContext::constantInts(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())}, b.getI64Type());
  return onnx::ConstantOp::create(b, loc, type,
                                  cast<ElementsAttr>(DenseElementsAttr::get(type, values)));
}

Value LoweringContext::constantFloats(ArrayRef<float> values, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, b.getF32Type());
  return onnx::ConstantOp::create(b, loc, type,
                                  cast<ElementsAttr>(DenseElementsAttr::get(type, values)));
}

Value LoweringContext::data(Value constant) {
  return onnx::DataOp::create(b, loc, storageType(typeOf(constant)), constant);
}

Value LoweringContext::constantReshape(Value constant, ArrayRef<int64_t> shape) {
  RankedTensorType type = typeOf(constant);
  if (type.getShape() == shape)
    return constant;
  return constantNode("Reshape", {constant, constantInts(shape)}, type.clone(shape));
}

} // namespace npucc::lowering
