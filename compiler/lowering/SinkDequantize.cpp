//===- SinkDequantize.cpp - Keep moving data in 8 bits ------------------------===//
//
// Files in Q/DQ form dequantise before every operator and quantise after it. Where
// the operator only moves elements, or picks some by their order, it does the same
// on the integers: DequantizeLinear sinks below it, QuantizeLinear rises above it,
// and where the two meet with equal parameters both go.
//
//===----------------------------------------------------------------------===//

#include "compiler/Passes.h"
#include "compiler/import/Attributes.h"
#include "compiler/onnx/OnnxDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace npucc {
#define GEN_PASS_DEF_ONNXSINKDEQUANTIZE
#include "compiler/Passes.h.inc"
} // namespace npucc

using namespace mlir;
using npucc::ConstantCache;
using npucc::evaluateConstant;
using npucc::isConstantExpression;
using npucc::Tensor;
namespace onnx = npucc::onnx;

namespace {

bool is(onnx::NodeOp node, StringRef op) {
  return node && node.getDomain().empty() && node.getOpType() == op;
}

int64_t intOf(onnx::NodeOp node, StringRef name, int64_t fallback) {
  auto attr = node.getParameters().getAs<IntegerAttr>(name);
  return attr ? attr.getInt() : fallback;
}

std::optional<Tensor> scalarOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || !type.hasStaticShape() || type.getNumElements() != 1 || !isConstantExpression(value))
    return std::nullopt;
  ConstantCache cache;
  llvm::Expected<Tensor> tensor = evaluateConstant(value, cache);
  if (!tensor) {
    llvm::consumeError(tensor.takeError());
    return std::nullopt;
  }
  return *tensor;
}

/// Per-tensor parameters of a QuantizeLinear or DequantizeLinear.
struct Parameters {
  Type integer;
  double scale = 0;
  int64_t zeroPoint = 0;
  bool operator==(const Parameters &other) const {
    return integer == other.integer && scale == other.scale && zeroPoint == other.zeroPoint;
  }
};

/// nullopt for anything that is not per tensor, constant, with a positive scale (the order of
/// elements must not turn round).
std::optional<Parameters> parametersOf(onnx::NodeOp node, StringRef op) {
  if (!is(node, op) || node.getInputs().size() < 2 || intOf(node, "block_size", 0) != 0)
    return std::nullopt;
  Parameters p;
  Value integers = op == "QuantizeLinear" ? node.getOutputs()[0] : node.getInputs()[0];
  p.integer = cast<TensorType>(integers.getType()).getElementType();
  if (!isa<IntegerType>(p.integer) || p.integer.getIntOrFloatBitWidth() > 8)
    return std::nullopt;
  auto scale = scalarOf(node.getInputs()[1]);
  if (!scale || !(scale->asDouble(0) > 0))
    return std::nullopt;
  p.scale = scale->asDouble(0);
  if (node.getInputs().size() > 2 && !isa<NoneType>(node.getInputs()[2].getType())) {
    auto point = scalarOf(node.getInputs()[2]);
    if (!point)
      return std::nullopt;
    p.zeroPoint = point->asInt(0);
  }
  return p;
}

/// How many of the first operands are data; 0: not an operator that moves elements.
unsigned dataOperands(onnx::NodeOp node) {
  if (!node.getDomain().empty())
    return 0;
  StringRef op = node.getOpType();
  if (op == "Concat")
    return node.getInputs().size();
  if (op == "MaxPool")
    return node.getOutputs().size() == 1 || (isa<NoneType>(node.getOutputs()[1].getType()) ||
                                             node.getOutputs()[1].use_empty())
               ? 1
               : 0;
  if (op == "Resize") {
    auto mode = node.getParameters().getAs<StringAttr>("mode");
    auto transform = node.getParameters().getAs<StringAttr>("coordinate_transformation_mode");
    return (!mode || mode == "nearest") && !(transform && transform == "tf_crop_and_resize");
  }
  static constexpr StringRef kMoves[] = {"Reshape",       "Flatten",      "Squeeze", "Unsqueeze",
                                         "Transpose",     "Slice",        "Split",   "Identity",
                                         "DepthToSpace",  "SpaceToDepth", "Expand",  "Tile",
                                         "GlobalMaxPool", "Gather"};
  return llvm::is_contained(kMoves, op) ? 1 : 0;
}

Type withElement(Type type, Type element) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor ? Type(tensor.clone(element)) : type;
}

/// Move(DQ(x)) -> DQ(Move(x)).
struct Sink : OpRewritePattern<onnx::NodeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::NodeOp node, PatternRewriter &rewriter) const override {
    unsigned count = dataOperands(node);
    if (count == 0 || count > node.getInputs().size())
      return failure();
    std::optional<Parameters> common;
    onnx::NodeOp first;
    SmallVector<Value> inputs(node.getInputs());
    for (Value &input : MutableArrayRef<Value>(inputs).take_front(count)) {
      auto producer = input.getDefiningOp<onnx::NodeOp>();
      auto parameters = parametersOf(producer, "DequantizeLinear");
      if (!parameters || (common && !(*common == *parameters)) || isConstantExpression(input))
        return failure();
      common = parameters;
      if (!first)
        first = producer;
      input = producer.getInputs()[0];
    }
    SmallVector<Type> types;
    for (Type type : node.getResultTypes())
      types.push_back(withElement(type, common->integer));
    if (node.getOpType() == "MaxPool" && types.size() > 1)
      types[1] = node.getResultTypes()[1];
    auto moved = onnx::NodeOp::create(rewriter, node.getLoc(), types, node.getOpTypeAttr(),
                                      node.getDomainAttr(), inputs, node.getParameters());
    SmallVector<Value> results;
    for (auto [old, integers] : llvm::zip_equal(node.getOutputs(), moved.getOutputs())) {
      if (old.use_empty() || isa<NoneType>(old.getType())) {
        results.push_back(integers);
        continue;
      }
      SmallVector<Value> operands(first.getInputs());
      operands[0] = integers;
      results.push_back(onnx::NodeOp::create(rewriter, first.getLoc(), TypeRange{old.getType()},
                                             first.getOpTypeAttr(), first.getDomainAttr(), operands,
                                             first.getParameters())
                            .getOutputs()[0]);
    }
    for (auto [old, result] : llvm::zip_equal(node.getOutputs(), results))
      if (!old.use_empty())
        rewriter.replaceAllUsesWith(old, result);
    rewriter.eraseOp(node);
    return success();
  }
};

/// Q(Move(x)) -> Move(Q(x)), where the move has no other result and no other user.
struct Hoist : OpRewritePattern<onnx::NodeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::NodeOp node, PatternRewriter &rewriter) const override {
    auto parameters = parametersOf(node, "QuantizeLinear");
    if (!parameters)
      return failure();
    auto move = node.getInputs()[0].getDefiningOp<onnx::NodeOp>();
    if (!move || isConstantExpression(node.getInputs()[0]) ||
        !llvm::hasSingleElement(move->getUses()) || move->getNumResults() != 1)
      return failure();
    unsigned count = dataOperands(move);
    if (count == 0 || move.getOpType() == "Split" || move.getOpType() == "Expand" ||
        move.getOpType() == "Tile" || move.getOpType() == "Gather")
      return failure(); // those would quantise more elements than before, or the same twice
    SmallVector<Value> inputs(move.getInputs());
    for (Value &input : MutableArrayRef<Value>(inputs).take_front(count)) {
      SmallVector<Value> operands(node.getInputs());
      operands[0] = input;
      input = onnx::NodeOp::create(rewriter, node.getLoc(),
                                   TypeRange{withElement(input.getType(), parameters->integer)},
                                   node.getOpTypeAttr(), node.getDomainAttr(), operands,
                                   node.getParameters())
                  .getOutputs()[0];
    }
    rewriter.replaceOpWithNewOp<onnx::NodeOp>(node, TypeRange{node.getOutputs()[0].getType()},
                                              move.getOpTypeAttr(), move.getDomainAttr(), inputs,
                                              move.getParameters());
    return success();
  }
};

/// Q(DQ(x)) with equal parameters is x: rounding undoes what the product lost.
struct Cancel : OpRewritePattern<onnx::NodeOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(onnx::NodeOp node, PatternRewriter &rewriter) const override {
    auto quantize = parametersOf(node, "QuantizeLinear");
    if (!quantize)
      return failure();
    auto producer = node.getInputs()[0].getDefiningOp<onnx::NodeOp>();
    auto dequantize = parametersOf(producer, "DequantizeLinear");
    if (!dequantize || !(*quantize == *dequantize))
      return failure();
    rewriter.replaceOp(node, producer.getInputs()[0]);
    return success();
  }
};

struct OnnxSinkDequantize : npucc::impl::OnnxSinkDequantizeBase<OnnxSinkDequantize> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Sink, Hoist>(&getContext());
    patterns.add<Cancel>(&getContext(), /*benefit=*/2);
    GreedyRewriteConfig config;
    config.enableFolding(false).enableConstantCSE(false);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns), config)))
      signalPassFailure();
  }
};

} // namespace
