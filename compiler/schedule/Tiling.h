//===- Tiling.h - One way to run a group on tiles ------------------*- C++ -*-===//
//
// Tile sizes and a loop order determine every buffer, load, command and store of a group.
// The same structure is costed by the search and turned into IR, so that the estimate is
// true by construction.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/npu/NpuDialect.h"
#include "compiler/schedule/Group.h"
#include "simulator/cost/Cost.h"

namespace npucc::schedule {

struct TileSizes {
  llvm::SmallVector<int64_t, 8> root;      ///< per root dim (reduction dims: full)
  llvm::SmallVector<int64_t, 8> reduction; ///< per dim of the splittable op; full unless split
  llvm::SmallVector<int, 8> order;         ///< root dims with more than one trip, outer first
};

/// A buffer of the group in scratchpad or accumulators.
struct Tile {
  llvm::SmallVector<int64_t, 6> sizes, strides; ///< elements, by dim of the value
  mlir::Type elementType;
  npu::MemSpace space = npu::MemSpace::Spm;
  int64_t bytes = 0, slots = 1, address = -1;
  int level = 0;                   ///< loops around its first writer
  bool constant = false;           ///< loaded from a constant: may be fetched ahead
  bool packed = false;             ///< the constant is stored tile by tile
  llvm::SmallVector<int, 6> order; ///< packed: memory order of the dims, outermost first
  mlir::Value value;               ///< loaded tiles: what is loaded
  int op = -1, input = -1;         ///< loaded tiles: for which operand
};

struct Placement {
  enum class How { Direct, Tiled, Shape } how = How::Direct;
  int tile = -1;
};

struct TiledGroup {
  const Group *group = nullptr;
  TileSizes sizes;
  llvm::SmallVector<int64_t, 8> trips;          ///< per root dim
  llvm::SmallVector<int64_t, 8> reductionTrips; ///< per dim of the splittable op
  llvm::SmallVector<int, 4> reductionOrder;     ///< its dims with several trips
  std::vector<Tile> tiles;
  std::vector<llvm::SmallVector<Placement, 4>> inputs; ///< per op, per input
  std::vector<Placement> outputs;                      ///< per op
  std::vector<int> depth;                              ///< per op: loops around it
  int accumulator = -1;                                ///< tile of the contraction

  double cycles = 0;            ///< estimate
  std::array<double, 6> busy{}; ///< matrix, vector, load 0, load 1, store, dram
  int64_t spmBytes = 0, accBytes = 0;

  /// Tile extent of an op's loop dim.
  int64_t extent(int op, unsigned dim) const;
  /// The loop level (1-based) that moves an op's loop dim; 0: none.
  int level(int op, unsigned dim) const;
  int64_t tripsAt(int level) const; ///< trips of the loop at a level
  int levels() const { return sizes.order.size() + reductionOrder.size(); }
  int64_t executions(int level) const;
};

/// Builds buffers for the given sizes. `resident` storages are accessed directly.
TiledGroup tile(const Group &group, TileSizes sizes, const StorageMap &storages);

/// Commands as the cost functions see them (no addresses).
MatrixCommand matrixTemplate(const TiledGroup &tiled, const StorageMap &storages);
VectorCommand vectorTemplate(const TiledGroup &tiled, int op, const StorageMap &storages);
DmaCommand loadTemplate(const Tile &tile, const StorageMap &storages);
DmaCommand storeTemplate(const TiledGroup &tiled, const StorageMap &storages);

/// Fills cycles and busy.
void estimate(TiledGroup &tiled, const StorageMap &storages, const Machine &machine);

/// The best tiling with at most `spmBytes` of tiles; failure when none fits (smallestBytes
/// then tells what the smallest one needs).
mlir::FailureOr<TiledGroup> search(const Group &group, const StorageMap &storages,
                                   const Machine &machine, int64_t spmBytes,
                                   int64_t &smallestBytes);

} // namespace npucc::schedule
