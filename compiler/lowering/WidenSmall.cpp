//===- WidenSmall.cpp - Small tensors stay in fp32 between ops ----------------===//
//
// fp16 and bf16 networks round every tensor that is stored. For logits that is harmful: half
// a unit in the last place of an fp16 logit of 20 changes a probability by 0.8 %. Bodies
// compute in fp32 anyway, so a small tensor is simply stored as it was computed; its bytes
// do not matter. (ONNX Runtime's CPU provider keeps fp32 between fp16 operators, too.)
//
//===----------------------------------------------------------------------===//

#include "compiler/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace npucc {
#define GEN_PASS_DEF_NPUCCWIDENSMALL
#include "compiler/Passes.h.inc"
} // namespace npucc

using namespace mlir;
using linalg::GenericOp;

namespace {

/// Collects the reshapes and the operands of generic ops that read `value`; false when
/// anything reads it other than by widening each element to fp32.
bool collectReaders(Value value, SmallVectorImpl<Value> &reshaped,
                    SmallVectorImpl<OpOperand *> &reads) {
  for (OpOperand &use : value.getUses()) {
    Operation *user = use.getOwner();
    if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(user)) {
      reshaped.push_back(user->getResult(0));
      if (!collectReaders(user->getResult(0), reshaped, reads))
        return false;
      continue;
    }
    auto generic = dyn_cast<GenericOp>(user);
    if (!generic || !generic.isDpsInput(&use))
      return false;
    for (Operation *inner : generic.getMatchingBlockArgument(&use).getUsers())
      if (!isa<arith::ExtFOp>(inner) || !inner->getResult(0).getType().isF32())
        return false;
    reads.push_back(&use);
  }
  return true;
}

struct NpuccWidenSmall : public npucc::impl::NpuccWidenSmallBase<NpuccWidenSmall> {
  using NpuccWidenSmallBase::NpuccWidenSmallBase;
  void runOnOperation() override {
    SmallVector<GenericOp> ops;
    getOperation().walk([&](GenericOp op) { ops.push_back(op); });
    for (GenericOp op : ops)
      widen(op);
  }

  void widen(GenericOp op) {
    if (op->getNumResults() != 1 || op.getNumParallelLoops() != op.getNumLoops())
      return;
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    Operation *yield = op.getBody()->getTerminator();
    auto narrow = yield->getOperand(0).getDefiningOp<arith::TruncFOp>();
    BlockArgument init = op.getBody()->getArguments().back();
    if (!narrow || !narrow.getIn().getType().isF32() || !init.use_empty() ||
        type.getNumElements() > maxElements)
      return;
    SmallVector<Value> reshaped;
    SmallVector<OpOperand *> reads;
    if (!collectReaders(op->getResult(0), reshaped, reads) || reads.empty())
      return;
    Type f32 = Float32Type::get(&getContext());
    OpBuilder builder(op);
    auto wide = [&](Value v) { v.setType(cast<RankedTensorType>(v.getType()).clone(f32)); };
    op.getDpsInitsMutable()[0].set(
        tensor::EmptyOp::create(builder, op.getLoc(), type.getShape(), f32));
    init.setType(f32);
    yield->setOperand(0, narrow.getIn());
    if (narrow->use_empty())
      narrow->erase();
    wide(op->getResult(0));
    for (Value v : reshaped)
      wide(v);
    for (OpOperand *use : reads) {
      BlockArgument arg = cast<GenericOp>(use->getOwner()).getMatchingBlockArgument(use);
      arg.setType(f32);
      for (Operation *inner : llvm::make_early_inc_range(arg.getUsers())) {
        inner->getResult(0).replaceAllUsesWith(arg);
        inner->erase();
      }
    }
  }
};

} // namespace
