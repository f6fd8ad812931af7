//===- Plan.h - The whole schedule before it is IR ------------------*- C++ -*-===//
//
// Residency (which tensors stay in scratchpad between groups), tilings, and addresses from
// lifetimes. Groups run in program order; a tile lives during its group, a constant's tile
// also during the group before, so that weights are fetched ahead.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/schedule/Tiling.h"

namespace npucc::schedule {

struct Plan {
  std::vector<Group> groups;
  std::vector<TiledGroup> tiled; ///< by group; empty for host operators
  int64_t spmBytes = 0, accBytes = 0;
  double cycles = 0; ///< estimate: sum over groups
};

mlir::FailureOr<Plan> makePlan(mlir::func::FuncOp function, StorageMap &storages,
                               const Machine &machine);

} // namespace npucc::schedule
