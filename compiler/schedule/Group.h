//===- Group.h - Sets of ops that share one loop nest --------------*- C++ -*-===//
//
// A group is what becomes one loop nest on scratchpad tiles: a root op and the producers
// whose results nobody else needs. See docs/scheduling.md.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/emit/Body.h"
#include "compiler/schedule/Storage.h"
#include "models/machine/Machine.h"

namespace npucc::schedule {

/// An indexing map as integers: coordinate r = constants[r] + sum coefficients[r][d] * i_d.
struct LinearMap {
  llvm::SmallVector<llvm::SmallVector<int64_t, 8>, 4> coefficients;
  llvm::SmallVector<int64_t, 4> constants;

  static mlir::FailureOr<LinearMap> from(mlir::AffineMap map);
};

struct OpInput {
  mlir::Value value;
  LinearMap map;
  int producer = -1;      ///< op of the same group; -1: a storage
  bool shapeOnly = false; ///< a window's shape: no data
  bool table = false;     ///< a look-up table: needed whole
};

/// A contraction's operands and roles.
struct Contraction {
  bool valid = false;
  unsigned a = 0, b = 1; ///< input numbers; b is stationary
  int64_t aZero = 0, bZero = 0;
  ElementType aType = ElementType::Undefined, bType = ElementType::Undefined;
  llvm::SmallVector<LoopRole, 8> roles;
};

struct GroupOp {
  mutable mlir::linalg::GenericOp op; ///< a handle: MLIR has no const ops
  llvm::SmallVector<int64_t, 8> extents;
  llvm::SmallVector<bool, 8> reduction;
  llvm::SmallVector<int, 8> rootDim; ///< loop dim -> root's loop dim; -1: its own
  llvm::SmallVector<OpInput, 4> inputs;
  LinearMap output;
  double initial = 0; ///< start value of reductions
  ConvertedBody body;
  Contraction contraction;
  bool reduces() const { return llvm::is_contained(reduction, true); }
};

struct Group {
  llvm::SmallVector<GroupOp, 4> ops; ///< topological order; the last one is the root
  int contraction = -1;              ///< op on the matrix engine
  bool epilogue = false;             ///< the op behind the contraction is its output stage
  llvm::SmallVector<bool, 8> whole;  ///< root dims that must not be tiled
  mlir::Operation *host = nullptr;   ///< instead: an operator on the control core

  /// The op whose own reduction dims may be split into loops: the contraction, or a reduction
  /// that is alone in its group. -1: none.
  int splittable() const {
    return contraction >= 0 ? contraction : ops.size() == 1 && ops[0].reduces() ? 0 : -1;
  }
  GroupOp &root() { return ops.back(); }
  const GroupOp &root() const { return ops.back(); }
};

/// Reads an op: maps, body, roles. An error names what the engines cannot do.
mlir::FailureOr<GroupOp> analyze(mlir::linalg::GenericOp op);

/// Forms groups in program order. `maxOps` 1 keeps every op by itself.
mlir::FailureOr<std::vector<Group>> formGroups(mlir::func::FuncOp function, StorageMap &storages,
                                               const Machine &machine,
                                               const llvm::DenseSet<mlir::Operation *> &alone);

} // namespace npucc::schedule
