//===- Views.cpp - Operators that only rename or move elements ----------------===//

#include "compiler/lowering/Build.h"

using namespace mlir;

namespace npucc::lowering {

static LogicalResult lowerReshape(onnx::NodeOp, LoweringContext &c) {
  return c.result(reshape(c, c.tensor(0), c.resultType().getShape()));
}

static LogicalResult lowerTranspose(onnx::NodeOp, LoweringContext &c) {
  Ints reversed = iota(c.shape(0).size());
  std::reverse(reversed.begin(), reversed.end());
  return c.result(transpose(c, c.tensor(0), c.getInts("perm", reversed)));
}

static LogicalResult lowerDepthToSpace(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> s = c.shape(0);
  int64_t f = c.getInt("blocksize", 1);
  if (s.size() != 4 || f < 1)
    return c.refuse("needs four dimensions");
  int64_t depth = s[1] / (f * f);
  bool rowsFirst = c.getString("mode", "DCR") == "DCR";
  Ints split =
      rowsFirst ? Ints{s[0], f, f, depth, s[2], s[3]} : Ints{s[0], depth, f, f, s[2], s[3]};
  Ints order = rowsFirst ? Ints{0, 3, 4, 1, 5, 2} : Ints{0, 1, 4, 2, 5, 3};
  Value moved = transpose(c, reshape(c, c.tensor(0), split), order);
  return c.result(reshape(c, moved, c.resultType().getShape()));
}

static LogicalResult lowerSpaceToDepth(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> s = c.shape(0);
  int64_t f = c.getInt("blocksize", 1);
  if (s.size() != 4 || f < 1)
    return c.refuse("needs four dimensions");
  Value split = reshape(c, c.tensor(0), {s[0], s[1], s[2] / f, f, s[3] / f, f});
  return c.result(reshape(c, transpose(c, split, {0, 3, 5, 1, 2, 4}), c.resultType().getShape()));
}

/// A copy of `storage` that broadcasts to `shape`.
static Value broadcastCopy(LoweringContext &c, Value storage, ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> own = shapeOf(storage);
  if (product(own) == product(shape))
    return reshape(c, storage, shape);
  Ints dims, kept;
  int64_t rank = shape.size(), shift = rank - static_cast<int64_t>(own.size());
  for (auto [d, size] : llvm::enumerate(own))
    if (size == shape[d + shift]) {
      dims.push_back(d + shift);
      kept.push_back(size);
    }
  Value source = reshape(c, storage, kept);
  return generic(c, source, dimsMap(c, rank, dims), emptyTensor(c, shape, elementOf(storage)),
                 dimsMap(c, rank, iota(rank)),
                 [](OpBuilder &, Location, ValueRange x) { return x[0]; });
}

static LogicalResult lowerExpand(onnx::NodeOp, LoweringContext &c) {
  return c.result(broadcastCopy(c, c.tensor(0), c.resultType().getShape()));
}

static LogicalResult lowerTile(onnx::NodeOp, LoweringContext &c) {
  auto repeats = c.ints(1);
  ArrayRef<int64_t> shape = c.shape(0);
  if (!repeats || repeats->size() != shape.size())
    return c.refuse("repeats are not constant");
  // [r * n] as [r, n]: the copies are a broadcast along r.
  Ints source, target;
  for (auto [size, count] : llvm::zip_equal(shape, *repeats)) {
    if (count != 1) {
      source.push_back(1);
      target.push_back(count);
    }
    source.push_back(size);
    target.push_back(size);
  }
  Value copied = broadcastCopy(c, reshape(c, c.tensor(0), source), target);
  return c.result(reshape(c, copied, c.resultType().getShape()));
}

ArrayRef<Lowering> viewLowerings() {
  static const Lowering entries[] = {{"", "Reshape", lowerReshape},
                                     {"", "Flatten", lowerReshape},
                                     {"", "Squeeze", lowerReshape},
                                     {"", "Unsqueeze", lowerReshape},
                                     {"", "Transpose", lowerTranspose},
                                     {"", "DepthToSpace", lowerDepthToSpace},
                                     {"", "SpaceToDepth", lowerSpaceToDepth},
                                     {"", "Expand", lowerExpand},
                                     {"", "Tile", lowerTile}};
  return entries;
}

} // namespace npucc::lowering
