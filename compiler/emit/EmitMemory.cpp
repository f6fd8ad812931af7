//===- EmitMemory.cpp - Tensors and recipes of a program --------------------===//

#include "compiler/emit/ProgramEmitter.h"

#include "compiler/emit/Body.h"
#include "compiler/onnx/OnnxDialect.h"

#include "llvm/Support/MathExtras.h"

using namespace npucc;
using namespace npucc::emission;

constexpr int64_t kDramAlign = 4096;

int32_t ProgramEmitter::addTensor(ProgramTensor tensor, MemRefType type) {
  SmallVector<int64_t> strides;
  int64_t offset;
  npu::staticStrides(type, strides, offset);
  tensor.shape.assign(type.getShape().begin(), type.getShape().end());
  int64_t bytes = npu::elementBytes(type.getElementType());
  for (int64_t s : strides)
    tensor.strides.push_back(s * bytes);
  tensor.bytes = npu::spanBytes(type);
  tensor.address = llvm::alignTo(program.dramBytes, tensor.bytes >= kDramAlign ? kDramAlign : 64);
  program.dramBytes = tensor.address + tensor.bytes;
  program.tensors.push_back(std::move(tensor));
  return program.tensors.size() - 1;
}

int32_t ProgramEmitter::recipe(Value value, LogicalResult &status) {
  auto found = recipes.find(value);
  if (found != recipes.end())
    return found->second;
  Operation *op = value.getDefiningOp();
  Recipe made;
  auto fail = [&](llvm::Error error) {
    op->emitError(llvm::toString(std::move(error)));
    status = failure();
    return -1;
  };
  if (auto data = dyn_cast_or_null<onnx::DataOp>(op)) {
    int32_t source = recipe(data.getSource(), status);
    ElementType from = fromMlirType(cast<ShapedType>(data.getSource().getType()).getElementType());
    ElementType to = fromMlirType(cast<ShapedType>(data.getType()).getElementType());
    if (from == to || bitWidth(from) == bitWidth(to))
      if (isFloat(from) == isFloat(to) && !(isFloat(from) && from != to))
        return recipes[value] = source; // the same bytes
    made.node.opType = "Cast";
    made.node.attributes["to"] = npucc::Attribute{int64_t(to)};
    made.node.inputs.push_back(source);
    made.node.outputs.push_back(0);
  } else if (auto constant = dyn_cast_or_null<onnx::ConstantOp>(op)) {
    llvm::Expected<Tensor> tensor = tensorFromAttr(constant.getValue());
    if (!tensor)
      return fail(tensor.takeError());
    made.data = std::move(*tensor);
  } else if (auto node = dyn_cast_or_null<onnx::NodeOp>(op)) {
    llvm::Expected<Node> runtimeNode = nodeFromOp(node);
    if (!runtimeNode)
      return fail(runtimeNode.takeError());
    made.node = std::move(*runtimeNode);
    made.output = cast<OpResult>(value).getResultNumber();
    for (auto [i, input] : llvm::enumerate(node.getInputs()))
      if (i < made.node.inputs.size() && made.node.inputs[i] != kNoValue)
        made.node.inputs[i] = isa<NoneType>(input.getType()) ? -1 : recipe(input, status);
  } else {
    mlir::emitError(value.getLoc(), "is not a constant expression");
    status = failure();
    return -1;
  }
  program.recipes.push_back(std::move(made));
  return recipes[value] = program.recipes.size() - 1;
}

static ElementType portType(MemRefType type, std::optional<StringRef> name) {
  if (name)
    if (auto parsed = parseElementType(std::string_view(name->data(), name->size())))
      return *parsed;
  return storageType(type.getElementType());
}

LogicalResult ProgramEmitter::declare(Operation &op) {
  if (auto input = dyn_cast<npu::InputOp>(op)) {
    auto type = cast<MemRefType>(input.getType());
    ProgramTensor tensor;
    tensor.kind = ProgramTensor::Kind::Input;
    tensor.name = input.getName().str();
    tensor.type = portType(type, input.getTypeName());
    if (input.getExternalType())
      tensor.externalType = portType(type, input.getExternalType());
    tensors[input.getResult()] = addTensor(tensor, type);
    return success();
  }
  if (auto output = dyn_cast<npu::OutputOp>(op)) {
    auto type = cast<MemRefType>(output.getBuffer().getType());
    ProgramTensor &tensor = program.tensors[tensors[output.getBuffer()]];
    tensor.kind = ProgramTensor::Kind::Output;
    tensor.name = output.getName().str();
    tensor.type = portType(type, output.getTypeName());
    if (output.getExternalType())
      tensor.externalType = portType(type, output.getExternalType());
    return success();
  }
  if (auto constant = dyn_cast<npu::ConstantOp>(op)) {
    LogicalResult status = success();
    ProgramTensor tensor;
    tensor.kind = ProgramTensor::Kind::Constant;
    tensor.name = onnx::nodeName(op.getLoc()).str();
    tensor.type = storageType(cast<MemRefType>(constant.getType()).getElementType());
    tensor.recipe = recipe(constant.getSource(), status);
    tensors[constant.getResult()] = addTensor(tensor, cast<MemRefType>(constant.getType()));
    return status;
  }
  if (auto buffer = dyn_cast<npu::BufferOp>(op)) {
    auto type = cast<MemRefType>(buffer.getType());
    if (npu::spaceOf(type) == npu::MemSpace::Dram) {
      ProgramTensor tensor;
      tensor.name = onnx::nodeName(op.getLoc()).str();
      tensor.type = storageType(type.getElementType());
      tensors[buffer.getResult()] = addTensor(tensor, type);
      return success();
    }
    if (!buffer.getAddress())
      return op.emitError("has no address");
    if (buffer.getSlots() > 1) {
      auto bytes = buffer->getAttrOfType<IntegerAttr>("slot_bytes");
      program.rings.push_back(
          {int64_t(buffer.getSlots()), bytes ? bytes.getInt() : npu::spanBytes(type)});
      rings[buffer.getResult()] = program.rings.size() - 1;
    }
  }
  return success();
}
