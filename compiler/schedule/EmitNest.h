//===- EmitNest.h - A plan becomes npu ops --------------------------*- C++ -*-===//
#pragma once

#include "compiler/schedule/Plan.h"

namespace npucc::schedule {

/// Replaces the function's linalg ops by loops of npu commands; the function then has
/// neither arguments nor results (npu.input and npu.output stand for them).
mlir::LogicalResult emitPlan(mlir::func::FuncOp function, StorageMap &storages, const Plan &plan,
                             const Machine &machine);

} // namespace npucc::schedule
