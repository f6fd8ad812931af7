//===- Search.cpp - The best tiling of a group --------------------------------===//
//
// Enumerates balanced tile sizes and a few loop orders, and costs each with the same
// functions that the simulator uses. What is enumerated: powers-of-two splits, because
// balancing (T = ceil(N / ceil(N / T))) already removes ragged waste in between.
//
//===----------------------------------------------------------------------===//

#include "compiler/schedule/Tiling.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
namespace npu = npucc::npu;
namespace onnx = npucc::onnx;
using npucc::LoopRole;
using npucc::Machine;
namespace schedule = npucc::schedule;
using namespace npucc::schedule;

namespace {

int64_t balance(int64_t extent, int64_t tile) {
  return llvm::divideCeil(extent, llvm::divideCeil(extent, std::max<int64_t>(tile, 1)));
}

class Search {
public:
  Search(const Group &group, const StorageMap &storages, const Machine &machine, int64_t budget)
      : group(group), storages(storages), machine(machine), budget(budget) {}

  FailureOr<TiledGroup> run(int64_t &smallestBytes);

private:
  void contraction();
  void elementwise();
  bool consider(TileSizes sizes);
  TileSizes full() const;
  SmallVector<int> tilable() const;

  const Group &group;
  const StorageMap &storages;
  const Machine &machine;
  int64_t budget;
  std::optional<TiledGroup> best;
  int64_t smallest = INT64_MAX;
};

TileSizes Search::full() const {
  TileSizes sizes;
  sizes.root.assign(group.root().extents.begin(), group.root().extents.end());
  if (group.splittable() >= 0) {
    const GroupOp &c = group.ops[group.splittable()];
    sizes.reduction.assign(c.extents.begin(), c.extents.end());
  }
  return sizes;
}

/// Parallel root dims that may be split, in the memory order of the result (outermost first).
SmallVector<int> Search::tilable() const {
  const GroupOp &root = group.root();
  const View &view = storages.view(root.op->getResult(0));
  SmallVector<std::pair<int64_t, int>> dims;
  for (size_t d = 0; d < root.extents.size(); ++d) {
    if (root.reduction[d] || group.whole[d] || root.extents[d] == 1)
      continue;
    for (size_t r = 0; r < view.shape.size(); ++r)
      if (root.output.coefficients[r][d])
        dims.push_back({-view.strides[r], int(d)});
  }
  llvm::stable_sort(dims);
  SmallVector<int> result;
  for (auto &[stride, d] : dims)
    result.push_back(d);
  return result;
}

/// Costs one choice; true when it fits.
bool Search::consider(TileSizes sizes) {
  TiledGroup t = tile(group, std::move(sizes), storages);
  if (t.accBytes > machine.matrix.accumulatorBytes)
    return false;
  smallest = std::min(smallest, t.spmBytes);
  if (t.spmBytes > budget)
    return false;
  estimate(t, storages, machine);
  // Among near equals prefer less work on any engine (energy, contention), less DRAM traffic,
  // then less scratchpad.
  // A split reduction makes many short loads and must earn that.
  auto score = [](const TiledGroup &x) {
    double work = 0;
    for (double b : x.busy)
      work += b;
    double splitting = x.reductionOrder.empty() ? 1 : 1.1;
    return x.cycles * splitting + 0.02 * work + 0.03 * x.busy[5] + 1e-6 * double(x.spmBytes);
  };
  if (!best || score(t) < score(*best))
    best = std::move(t);
  return true;
}

/// Progressive splits of `dims`, outermost first, as lists of tile sizes.
void splits(ArrayRef<int> dims, const GroupOp &root, TileSizes base,
            SmallVectorImpl<SmallVector<int64_t, 8>> &result) {
  SmallVector<int64_t, 8> sizes = base.root;
  result.push_back(sizes);
  for (int d : dims) {
    int64_t extent = root.extents[d];
    for (int64_t parts = 2; parts < extent; parts *= 2) {
      sizes[d] = balance(extent, llvm::divideCeil(extent, parts));
      if (sizes != result.back())
        result.push_back(sizes);
      if (parts == 2 && extent > 3) {
        sizes[d] = balance(extent, llvm::divideCeil(extent, 3));
        result.push_back(sizes);
      }
    }
    sizes[d] = 1;
    result.push_back(sizes);
  }
}

void Search::contraction() {
  const GroupOp &root = group.root();
  const GroupOp &op = group.ops[group.contraction];
  SmallVector<int> channel, stream, batch;
  SmallVector<int> reduction; // contraction dims
  SmallVector<int> allowed = tilable();
  for (int r : allowed) {
    LoopRole role = LoopRole::Stream;
    for (size_t d = 0; d < op.extents.size(); ++d)
      if (op.rootDim[d] == r)
        role = op.contraction.roles[d];
    (role == LoopRole::OutChannel ? channel
     : role == LoopRole::Batch    ? batch
                                  : stream)
        .push_back(r);
  }
  for (size_t d = 0; d < op.extents.size(); ++d)
    if (op.reduction[d] && op.rootDim[d] < 0 && op.extents[d] > 1)
      reduction.push_back(d);
  // The largest channel-like reduction is split first, then the others.
  llvm::stable_sort(reduction, [&](int x, int y) { return op.extents[x] > op.extents[y]; });

  // Out-channel tiles: multiples of the columns.
  SmallVector<SmallVector<int64_t, 8>> channelSizes{full().root};
  if (!channel.empty()) {
    int widest = *llvm::max_element(
        channel, [&](int x, int y) { return root.extents[x] < root.extents[y]; });
    int64_t cols = std::max<int64_t>(machine.matrix.cols, 1);
    for (int64_t size = cols; size < root.extents[widest]; size *= 2) {
      SmallVector<int64_t, 8> sizes = full().root;
      sizes[widest] = size;
      channelSizes.push_back(sizes);
    }
    if (channel.size() > 1 || root.extents[widest] > 1) {
      SmallVector<int64_t, 8> sizes = full().root;
      for (int d : channel)
        sizes[d] = std::min<int64_t>(root.extents[d], d == widest ? cols : 1);
      channelSizes.push_back(sizes);
    }
  }
  SmallVector<SmallVector<int64_t, 8>> streamSizes, batchSizes;
  splits(stream, root, full(), streamSizes);
  splits(batch, root, full(), batchSizes);

  // Reductions whole if anything fits, else split further and further.
  TileSizes base = full();
  size_t split = 0;
  int rounds = 0;
  auto memoryBound = [&] {
    double others = std::max(best->busy[0], best->busy[1]);
    return best->busy[5] > 0.8 * others;
  };
  while (true) {
    bool any = false;
    for (auto &b : batchSizes)
      for (auto &c : channelSizes)
        for (auto &s : streamSizes) {
          TileSizes sizes = base;
          for (int d : batch)
            sizes.root[d] = b[d];
          for (int d : channel)
            sizes.root[d] = c[d];
          for (int d : stream)
            sizes.root[d] = s[d];
          auto order = [&](ArrayRef<ArrayRef<int>> lists) {
            sizes.order.clear();
            for (ArrayRef<int> list : lists)
              for (int d : list)
                if (sizes.root[d] < root.extents[d])
                  sizes.order.push_back(d);
          };
          order({batch, channel, stream});
          SmallVector<int, 8> first = sizes.order;
          any |= consider(sizes);
          order({batch, stream, channel});
          if (sizes.order != first)
            any |= consider(sizes);
        }
    // Whole reductions need no accumulator traffic. Split them where nothing fits, or where
    // memory limits the best so far: smaller panels make room for more reuse of the others.
    if (any && (!memoryBound() || ++rounds > 10))
      return;
    while (split < reduction.size() && base.reduction[reduction[split]] <= 1)
      ++split;
    if (split == reduction.size())
      return;
    int d = reduction[split];
    base.reduction[d] = balance(op.extents[d], llvm::divideCeil(base.reduction[d], 2));
  }
}

void Search::elementwise() {
  const GroupOp &root = group.root();
  SmallVector<int> dims = tilable();
  SmallVector<SmallVector<int64_t, 8>> sizes;
  splits(dims, root, full(), sizes);
  // Channels split, rows whole: for reductions over pixels.
  SmallVector<int> reversed(llvm::reverse(dims));
  splits(reversed, root, full(), sizes);
  TileSizes base = full();
  while (true) {
    for (auto &s : sizes) {
      TileSizes choice = base;
      choice.root = s;
      for (int d : dims)
        if (s[d] < root.extents[d])
          choice.order.push_back(d);
      consider(choice);
    }
    if (best || group.splittable() < 0)
      return;
    // Nothing fits: halve the largest reduction.
    int widest = -1;
    for (size_t d = 0; d < root.extents.size(); ++d)
      if (root.reduction[d] && (widest < 0 || base.reduction[d] > base.reduction[widest]))
        widest = d;
    if (widest < 0 || base.reduction[widest] == 1)
      return;
    base.reduction[widest] =
        balance(root.extents[widest], llvm::divideCeil(base.reduction[widest], 2));
  }
}

FailureOr<TiledGroup> Search::run(int64_t &smallestBytes) {
  if (group.contraction >= 0)
    contraction();
  else
    elementwise();
  smallestBytes = smallest;
  if (!best)
    return failure();
  return std::move(*best);
}

} // namespace

FailureOr<TiledGroup> schedule::search(const Group &group, const StorageMap &storages,
                                       const Machine &machine, int64_t spmBytes,
                                       int64_t &smallestBytes) {
  return Search(group, storages, machine, spmBytes).run(smallestBytes);
}
