//===- Constants.cpp - Constant expressions -----------------------------------===//

#include "compiler/import/Attributes.h"
#include "runtime/reference/Reference.h"

#include "llvm/ADT/SmallPtrSet.h"

using namespace mlir;
using llvm::Expected;

namespace npucc {

bool isConstantExpression(mlir::Value value) {
  SmallPtrSet<Operation *, 16> seen;
  SmallVector<mlir::Value> work{value};
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!isa_and_present<onnx::ConstantOp, onnx::NoneOp, onnx::NodeOp, onnx::DataOp>(op) ||
        !isMemoryEffectFree(op))
      return false;
    if (seen.insert(op).second)
      llvm::append_range(work, op->getOperands());
  }
  return true;
}

/// `onnx.data`: ONNX Cast where the format changes. A signless twin holds the same bytes, and
/// keeps the type that says how to read them.
static Tensor storedForm(const Tensor &source, ElementType type) {
  bool twins =
      isInteger(source.type()) && isInteger(type) && bitWidth(source.type()) == bitWidth(type);
  return twins || source.type() == type ? source : castTensor(source, type);
}

/// Results of one op whose operands are all in `cache`.
static llvm::Error evaluateOp(Operation *op, ConstantCache &cache) {
  if (auto constant = dyn_cast<onnx::ConstantOp>(op)) {
    Expected<Tensor> tensor = tensorFromAttr(constant.getValue());
    if (!tensor)
      return tensor.takeError();
    cache[constant] = std::move(*tensor);
    return llvm::Error::success();
  }
  if (auto data = dyn_cast<onnx::DataOp>(op)) {
    Tensor source = cache[data.getSource()];
    cache[data] = storedForm(source, fromMlirType(data.getType().getElementType()));
    return llvm::Error::success();
  }
  if (auto none = dyn_cast<onnx::NoneOp>(op)) {
    cache[none] = Tensor();
    return llvm::Error::success();
  }
  auto nodeOp = cast<onnx::NodeOp>(op);
  Expected<Node> node = nodeFromOp(nodeOp);
  if (!node)
    return node.takeError();
  Tensors inputs;
  for (mlir::Value input : nodeOp.getInputs())
    inputs.push_back(cache[input]);
  Expected<Tensors> outputs = evaluateNode(*node, inputs);
  if (!outputs)
    return outputs.takeError();
  for (auto [result, tensor] : llvm::zip(nodeOp.getOutputs(), *outputs))
    cache[result] = std::move(tensor);
  for (mlir::Value result : nodeOp.getOutputs().drop_front(
           std::min<size_t>(outputs->size(), nodeOp.getOutputs().size())))
    cache[result] = Tensor();
  return llvm::Error::success();
}

Expected<Tensor> evaluateConstant(mlir::Value value, ConstantCache &cache) {
  if (auto it = cache.find(value); it != cache.end())
    return it->second;
  if (!isConstantExpression(value))
    return llvm::createStringError("not a constant expression");
  // Operands first; an explicit stack, since expressions can be long chains.
  SmallVector<Operation *> stack{value.getDefiningOp()};
  while (!stack.empty()) {
    Operation *op = stack.back();
    size_t before = stack.size();
    for (mlir::Value operand : op->getOperands())
      if (!cache.contains(operand))
        stack.push_back(operand.getDefiningOp());
    if (stack.size() != before)
      continue;
    stack.pop_back();
    if (op->getNumResults() && cache.contains(op->getResult(0)))
      continue; // two users asked for it
    if (llvm::Error error = evaluateOp(op, cache))
      return error;
  }
  return cache[value];
}

} // namespace npucc
