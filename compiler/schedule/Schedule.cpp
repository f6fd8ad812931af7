//===- Schedule.cpp - npu-group and npu-schedule ------------------------------===//

#include "compiler/Passes.h"
#include "compiler/schedule/EmitNest.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace npucc {
#define GEN_PASS_DEF_NPUGROUP
#define GEN_PASS_DEF_NPUSCHEDULE
#include "compiler/Passes.h.inc"
} // namespace npucc

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::loadMachine;
using npucc::Machine;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

static FailureOr<Machine> machineNamed(Operation *op, const std::string &name) {
  llvm::Expected<Machine> machine = loadMachine(name);
  if (machine)
    return std::move(*machine);
  op->emitError(llvm::toString(machine.takeError()));
  return failure();
}

namespace {

struct NpuGroup : public npucc::impl::NpuGroupBase<NpuGroup> {
  using NpuGroupBase::NpuGroupBase;
  void runOnOperation() override {
    FailureOr<Machine> npu = machineNamed(getOperation(), machine);
    StorageMap storages;
    if (failed(npu) || failed(storages.build(getOperation())))
      return signalPassFailure();
    FailureOr<std::vector<Group>> groups = formGroups(getOperation(), storages, *npu, {});
    if (failed(groups))
      return signalPassFailure();
    Builder builder(&getContext());
    for (auto [g, group] : llvm::enumerate(*groups))
      for (GroupOp &op : group.ops) {
        op.op->setAttr("npu.group", builder.getI64IntegerAttr(g));
        bool matrix = group.contraction >= 0 && &op == &group.ops[group.contraction];
        bool output = group.epilogue && &op == &group.ops[group.contraction + 1];
        op.op->setAttr("npu.engine", builder.getStringAttr(matrix   ? "matrix"
                                                           : output ? "output"
                                                                    : "vector"));
      }
  }
};

struct NpuSchedule : public npucc::impl::NpuScheduleBase<NpuSchedule> {
  using NpuScheduleBase::NpuScheduleBase;
  void runOnOperation() override {
    FailureOr<Machine> npu = machineNamed(getOperation(), machine);
    StorageMap storages;
    if (failed(npu) || failed(storages.build(getOperation())))
      return signalPassFailure();
    FailureOr<Plan> plan = makePlan(getOperation(), storages, *npu);
    if (failed(plan) || failed(emitPlan(getOperation(), storages, *plan, *npu)))
      signalPassFailure();
  }
};

} // namespace
