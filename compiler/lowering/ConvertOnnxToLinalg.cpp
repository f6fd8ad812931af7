//===- ConvertOnnxToLinalg.cpp - ONNX operators to linalg on tensors ----------===//
//
// Walks each function once, in order. Values of ONNX types get twins of signless
// storage types; what no lowering takes is built anew on those twins and keeps the
// reason. The old nodes go away at the end, so that a lowering can always look at
// the graph as it was.
//
//===----------------------------------------------------------------------===//

#include "compiler/Passes.h"
#include "compiler/lowering/Lowering.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace npucc {
#define GEN_PASS_DEF_CONVERTONNXTOLINALG
#include "compiler/Passes.h.inc"
} // namespace npucc

using namespace mlir;
using namespace npucc::lowering;
namespace onnx = npucc::onnx;

namespace {

/// A tensor type's element as users write it: "uint8", "fp32".
StringAttr typeName(Type onnxType) {
  std::string_view text =
      npucc::name(npucc::fromMlirType(cast<TensorType>(onnxType).getElementType()));
  return StringAttr::get(onnxType.getContext(), StringRef(text.data(), text.size()));
}

struct Converter {
  func::FuncOp function;
  FunctionState state;

  Type storageOf(Type onnxType) {
    auto tensor = dyn_cast<RankedTensorType>(onnxType);
    if (!tensor)
      return onnxType;
    Type element = tensor.getElementType();
    return tensor.clone(element.isF32() && state.storage ? state.storage : signless(element));
  }

  /// What the boundary must remember of `onnxType` when it is stored as `storage`.
  void noteBoundary(Type onnxType, Type storage, function_ref<void(StringRef, Attribute)> set) {
    if (onnxType == storage)
      return;
    bool integers = isa<IntegerType>(cast<TensorType>(onnxType).getElementType());
    set(integers ? "npu.type" : "npu.external_type", typeName(onnxType));
  }

  /// New arguments beside the old ones, which the old nodes keep until the end.
  void convertArguments() {
    Block &entry = function.getBody().front();
    unsigned count = entry.getNumArguments();
    for (unsigned i = 0; i < count; ++i) {
      BlockArgument old = entry.getArgument(i);
      Type storage = storageOf(old.getType());
      state.storageOf[old] = entry.addArgument(storage, old.getLoc());
      noteBoundary(old.getType(), storage,
                   [&](StringRef key, Attribute value) { function.setArgAttr(i, key, value); });
    }
  }

  LogicalResult lowerNode(onnx::NodeOp node, std::string &reason) {
    for (Type type : llvm::concat<Type>(llvm::to_vector(node.getOperandTypes()),
                                        llvm::to_vector(node.getResultTypes()))) {
      auto tensor = dyn_cast<TensorType>(type);
      auto ranked = dyn_cast<RankedTensorType>(type);
      if (tensor && (!ranked || !ranked.hasStaticShape() || ranked.getEncoding())) {
        reason = "shapes depend on data";
        return failure();
      }
      if (tensor && tensor.getElementType().isF64()) {
        reason = "the vector unit computes in fp32";
        return failure();
      }
      if (tensor && isa<ComplexType>(tensor.getElementType())) {
        reason = "complex numbers";
        return failure();
      }
    }
    const Lowering *entry = findLowering(node.getDomain(), node.getOpType());
    if (!entry) {
      reason = "the operator has no lowering";
      return failure();
    }
    LoweringContext context(node, state);
    if (succeeded(entry->lower(node, context)))
      return success();
    for (Value result : node.getOutputs())
      state.storageOf.erase(result);
    reason =
        context.reason().empty() ? "the lowering does not take this form" : context.reason().str();
    return failure();
  }

  /// The same node on storage tensors. Types that storage hides stand beside it.
  void keepForHost(onnx::NodeOp node, StringRef reason) {
    OpBuilder b(node);
    SmallVector<Value> inputs;
    SmallVector<Type> types;
    SmallVector<Attribute> inputTypes, outputTypes;
    bool hidden = false;
    for (Value input : node.getInputs()) {
      Value stored = state.storageOf.lookup(input);
      inputs.push_back(stored ? stored : input);
      inputTypes.push_back(TypeAttr::get(input.getType()));
      hidden |= inputs.back().getType() != input.getType();
    }
    for (Type type : node.getResultTypes()) {
      types.push_back(storageOf(type));
      outputTypes.push_back(TypeAttr::get(type));
      hidden |= types.back() != type;
    }
    auto host = onnx::NodeOp::create(b, node.getLoc(), types, node.getOpTypeAttr(),
                                     node.getDomainAttr(), inputs, node.getParameters());
    host->setAttr("npu.host_reason", b.getStringAttr(reason));
    if (hidden) {
      host->setAttr("npu.input_types", b.getArrayAttr(inputTypes));
      host->setAttr("npu.output_types", b.getArrayAttr(outputTypes));
    }
    for (auto [old, stored] : llvm::zip_equal(node.getOutputs(), host.getOutputs()))
      state.storageOf[old] = stored;
  }

  void convertReturn(func::ReturnOp op) {
    OpBuilder b(op);
    for (OpOperand &operand : op->getOpOperands()) {
      unsigned i = operand.getOperandNumber();
      Value value = operand.get(), stored = state.storageOf.lookup(value);
      Type storage = storageOf(value.getType());
      if (!stored)
        stored = onnx::DataOp::create(b, value.getLoc(), cast<RankedTensorType>(storage), value);
      operand.set(stored);
      noteBoundary(value.getType(), storage,
                   [&](StringRef key, Attribute attr) { function.setResultAttr(i, key, attr); });
    }
  }

  /// Removes the old nodes and arguments, and constants that nothing uses any more.
  void cleanUp(ArrayRef<onnx::NodeOp> converted) {
    for (onnx::NodeOp node : llvm::reverse(converted))
      node.erase();
    Block &entry = function.getBody().front();
    unsigned old = entry.getNumArguments() / 2;
    entry.eraseArguments(0, old);
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(entry)))
      if (isOpTriviallyDead(&op))
        op.erase();
    function.setType(FunctionType::get(function.getContext(), entry.getArgumentTypes(),
                                       entry.getTerminator()->getOperandTypes()));
  }
};

struct ConvertOnnxToLinalg : npucc::impl::ConvertOnnxToLinalgBase<ConvertOnnxToLinalg> {
  using ConvertOnnxToLinalgBase::ConvertOnnxToLinalgBase;

  FailureOr<Type> storageType() {
    MLIRContext *context = &getContext();
    if (storage == "bf16")
      return Type(BFloat16Type::get(context));
    if (storage == "f16")
      return Type(Float16Type::get(context));
    if (storage == "f8E4M3FN")
      return Type(Float8E4M3FNType::get(context));
    if (storage.empty() || storage == "f32")
      return Type();
    return failure();
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    FailureOr<Type> type = storageType();
    if (failed(type)) {
      function.emitError() << "storage type '" << storage
                           << "' is not known; use bf16, f16 or f8E4M3FN";
      return signalPassFailure();
    }
    if (!llvm::hasSingleElement(function.getBody())) {
      function.emitError("a graph is one block");
      return signalPassFailure();
    }
    Converter converter;
    converter.function = function;
    converter.state.storage = *type;
    converter.convertArguments();
    SmallVector<onnx::NodeOp> converted;
    for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      if (auto returned = dyn_cast<func::ReturnOp>(op)) {
        converter.convertReturn(returned);
        continue;
      }
      auto node = dyn_cast<onnx::NodeOp>(op);
      if (!node || isConstant(converter, node))
        continue;
      std::string reason;
      if (succeeded(converter.lowerNode(node, reason))) {
        ++numLowered;
      } else {
        converter.keepForHost(node, reason);
        ++numHost;
      }
      converted.push_back(node);
    }
    converter.cleanUp(converted);
  }

  static bool isConstant(Converter &converter, onnx::NodeOp node) {
    for (Value input : node.getInputs())
      if (converter.state.storageOf.contains(input))
        return false;
    return node->getNumResults() == 0 || npucc::isConstantExpression(node->getResult(0));
  }
};

} // namespace
