//===- FuseElementwise.cpp - Fusion of elementwise linalg ops -----------------===//
//
// Bodies grow along chains of elementwise ops; contractions, reductions and windows
// keep their form, since the scheduler and the matrix engine recognise it. Copies
// that only permute or broadcast vanish into the maps of their users.
//
//===----------------------------------------------------------------------===//

#include "compiler/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/Passes.h"

namespace npucc {
#define GEN_PASS_DEF_NPUCCFUSEELEMENTWISE
#include "compiler/Passes.h.inc"
} // namespace npucc

using namespace mlir;
using linalg::GenericOp;

namespace {

/// A body with more ops than this is not computed twice.
constexpr size_t kCheapBody = 4;

bool isCopy(GenericOp op) {
  return op.getNumDpsInits() == 1 && op.getNumParallelLoops() == op.getNumLoops() &&
         llvm::hasSingleElement(op.getBody()->getOperations()) && op.getNumDpsInputs() == 1 &&
         op.getBody()->getTerminator()->getOperand(0) == op.getBody()->getArgument(0);
}

bool isCheapDequantization(GenericOp op) {
  if (op.getNumDpsInits() != 1 || op.getNumDpsInputs() < 1)
    return false;
  Type in = getElementTypeOrSelf(op.getDpsInputs()[0].getType());
  Type out = getElementTypeOrSelf(op->getResult(0).getType());
  size_t ops = llvm::count_if(op.getBody()->without_terminator(), [](Operation &inner) {
    return !inner.hasTrait<OpTrait::ConstantLike>();
  });
  return in.isInteger() && in.getIntOrFloatBitWidth() <= 8 && isa<FloatType>(out) &&
         ops <= kCheapBody;
}

/// Quantisation makes a tensor smaller: the 8-bit tensor is what should cross to the next loop
/// nest, not the accumulators that it is made of.
bool narrows(GenericOp op) {
  Type out = getElementTypeOrSelf(op->getResult(0).getType());
  if (!out.isInteger() || out.getIntOrFloatBitWidth() > 8)
    return false;
  return llvm::any_of(op.getDpsInputOperands(), [&](OpOperand *input) {
    Type in = getElementTypeOrSelf(input->get().getType());
    return op.getMatchingIndexingMap(input).getNumResults() == op.getNumLoops() &&
           in.isIntOrFloat() && in.getIntOrFloatBitWidth() > 8;
  });
}

bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<GenericOp>();
  auto consumer = dyn_cast<GenericOp>(operand->getOwner());
  if (!producer || !consumer || producer.getNumParallelLoops() != producer.getNumLoops() ||
      producer->getNumResults() != 1)
    return false;
  bool copy = isCopy(producer);
  bool parallel = consumer.getNumParallelLoops() == consumer.getNumLoops();
  // In a contraction or reduction a copy changes the map only; under a window it would not
  // stay a projected permutation.
  if (!parallel && !(copy && consumer.isDpsInput(operand) &&
                     consumer.getMatchingIndexingMap(operand).isProjectedPermutation()))
    return false;
  bool oneUser =
      llvm::all_of(producer->getUsers(), [&](Operation *user) { return user == consumer; });
  return copy || isCheapDequantization(producer) || (oneUser && !narrows(producer));
}

struct Fuse : OpRewritePattern<GenericOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GenericOp consumer, PatternRewriter &rewriter) const override {
    for (OpOperand &operand : consumer->getOpOperands()) {
      if (!linalg::areElementwiseOpsFusable(&operand) || !shouldFuse(&operand))
        continue;
      Operation *producer = operand.get().getDefiningOp();
      Location locs[] = {producer->getLoc(), consumer.getLoc()};
      FailureOr<linalg::ElementwiseOpFusionResult> fused =
          linalg::fuseElementwiseOps(rewriter, &operand);
      if (failed(fused))
        continue;
      fused->fusedOp->setLoc(rewriter.getFusedLoc(locs));
      for (auto [value, replacement] : fused->replacements)
        rewriter.replaceUsesWithIf(value, replacement, [&](OpOperand &use) {
          // The producer stays for its other users.
          return use.get().getDefiningOp() != producer;
        });
      rewriter.eraseOp(consumer);
      return success();
    }
    return failure();
  }
};

struct NpuccFuseElementwise : npucc::impl::NpuccFuseElementwiseBase<NpuccFuseElementwise> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<Fuse>(&getContext());
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
    GenericOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    OpPassManager cleanUp(func::FuncOp::getOperationName());
    cleanUp.addPass(createCanonicalizerPass());
    cleanUp.addPass(createCSEPass());
    if (failed(runPipeline(cleanUp, getOperation())))
      signalPassFailure();
  }
};

} // namespace
