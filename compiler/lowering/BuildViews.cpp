//===- BuildViews.cpp - Views and data movement for lowerings -----------------===//

#include "compiler/lowering/Build.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace npucc::lowering {

/// More pieces than this make more commands than the copy is worth.
constexpr size_t kMaxPieces = 64;

static RankedTensorType withShape(Value storage, ArrayRef<int64_t> shape) {
  return RankedTensorType::get(shape, elementOf(storage));
}

/// Splits both shapes into the shortest runs of equal products: dimension lists of `from` and
/// of `to`, and the product of each run. Both shapes have the same number of elements, not 0.
static void commonRuns(ArrayRef<int64_t> from, ArrayRef<int64_t> to,
                       SmallVectorImpl<ReassociationIndices> &fromRuns,
                       SmallVectorImpl<ReassociationIndices> &toRuns, Ints &products) {
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    ReassociationIndices left{static_cast<int64_t>(i)}, right{static_cast<int64_t>(j)};
    int64_t p = from[i++], q = to[j++];
    while (p != q) {
      if (p < q) {
        left.push_back(i);
        p *= from[i++];
      } else {
        right.push_back(j);
        q *= to[j++];
      }
    }
    fromRuns.push_back(left);
    toRuns.push_back(right);
    products.push_back(p);
  }
  // What is left over has size 1: it joins the last run.
  for (; i < from.size() && !fromRuns.empty(); ++i)
    fromRuns.back().push_back(i);
  for (; j < to.size() && !toRuns.empty(); ++j)
    toRuns.back().push_back(j);
}

Value reshape(LoweringContext &c, Value storage, ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> from = shapeOf(storage);
  if (from == shape)
    return storage;
  if (product(shape) == 0)
    return emptyTensor(c, shape, elementOf(storage));
  if (auto data = storage.getDefiningOp<onnx::DataOp>())
    return onnx::DataOp::create(c.b, c.loc, withShape(storage, shape),
                                c.constantReshape(data.getSource(), shape));
  // A view of a view: back to the source where that has the shape.
  Operation *view = storage.getDefiningOp();
  if (isa_and_present<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(view) &&
      shapeOf(view->getOperand(0)) == shape)
    return view->getOperand(0);
  SmallVector<ReassociationIndices> fromRuns, toRuns;
  Ints products;
  commonRuns(from, shape, fromRuns, toRuns, products);
  Value result = storage;
  if (products.size() != from.size())
    result =
        tensor::CollapseShapeOp::create(c.b, c.loc, withShape(storage, products), result, fromRuns);
  if (products.size() != shape.size())
    result = tensor::ExpandShapeOp::create(c.b, c.loc, withShape(storage, shape), result, toRuns);
  return result;
}

Value transpose(LoweringContext &c, Value storage, ArrayRef<int64_t> permutation) {
  ArrayRef<int64_t> from = shapeOf(storage);
  Ints shape, moving;
  for (int64_t d : permutation) {
    shape.push_back(from[d]);
    if (from[d] != 1)
      moving.push_back(d);
  }
  if (llvm::is_sorted(moving))
    return reshape(c, storage, shape);
  // In: dimension permutation[i] runs along loop i.
  Ints loops(permutation.size());
  for (auto [i, d] : llvm::enumerate(permutation))
    loops[d] = i;
  int64_t rank = permutation.size();
  return generic(c, storage, dimsMap(c, rank, loops), emptyTensor(c, shape, elementOf(storage)),
                 dimsMap(c, rank, iota(rank)),
                 [](OpBuilder &, Location, ValueRange x) { return x[0]; });
}

static SmallVector<OpFoldResult> folded(LoweringContext &c, ArrayRef<int64_t> values) {
  return llvm::map_to_vector(values,
                             [&](int64_t v) -> OpFoldResult { return c.b.getIndexAttr(v); });
}

Value slice(LoweringContext &c, Value storage, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes,
            ArrayRef<int64_t> strides) {
  if (shapeOf(storage) == sizes)
    return storage;
  Ints ones(sizes.size(), 1);
  if (strides.empty())
    strides = ones;
  return tensor::ExtractSliceOp::create(c.b, c.loc, withShape(storage, sizes), storage,
                                        folded(c, offsets), folded(c, sizes), folded(c, strides));
}

Value insert(LoweringContext &c, Value part, Value into, ArrayRef<int64_t> offsets,
             ArrayRef<int64_t> strides) {
  Ints ones(offsets.size(), 1);
  if (strides.empty())
    strides = ones;
  return tensor::InsertSliceOp::create(c.b, c.loc, part, into, folded(c, offsets),
                                       folded(c, shapeOf(part)), folded(c, strides));
}

Value concat(LoweringContext &c, ArrayRef<Value> parts, int64_t axis) {
  SmallVector<Value> filledParts;
  int64_t total = 0;
  for (Value part : parts) {
    total += shapeOf(part)[axis];
    if (product(shapeOf(part)) != 0)
      filledParts.push_back(part);
  }
  Ints shape(shapeOf(parts.front()));
  shape[axis] = total;
  if (filledParts.size() == 1 && shapeOf(filledParts.front()) == ArrayRef<int64_t>(shape))
    return filledParts.front();
  Value result = emptyTensor(c, shape, elementOf(parts.front()));
  Ints offsets(shape.size(), 0);
  for (Value part : filledParts) {
    result = insert(c, part, result, offsets);
    offsets[axis] += shapeOf(part)[axis];
  }
  return result;
}

TypedAttr storageNumber(Type storage, double value) {
  Builder b(storage.getContext());
  if (isa<FloatType>(storage))
    return b.getFloatAttr(storage, value);
  APInt bits(64, static_cast<uint64_t>(static_cast<int64_t>(value)));
  return b.getIntegerAttr(storage, bits.zextOrTrunc(storage.getIntOrFloatBitWidth()));
}

Value pad(LoweringContext &c, Value storage, ArrayRef<int64_t> low, ArrayRef<int64_t> high,
          TypedAttr value) {
  auto isZero = [](int64_t v) { return v == 0; };
  if (llvm::all_of(low, isZero) && llvm::all_of(high, isZero))
    return storage;
  Ints shape(shapeOf(storage));
  for (auto [size, l, h] : llvm::zip_equal(shape, low, high))
    size += l + h;
  Value scalar = arith::ConstantOp::create(c.b, c.loc, value);
  auto op = tensor::PadOp::create(c.b, c.loc, withShape(storage, shape), storage, low, high,
                                  ValueRange{}, ValueRange{});
  OpBuilder::InsertionGuard guard(c.b);
  SmallVector<Type> types(shape.size(), c.b.getIndexType());
  SmallVector<Location> locs(shape.size(), c.loc);
  c.b.createBlock(&op.getRegion(), {}, types, locs);
  tensor::YieldOp::create(c.b, c.loc, scalar);
  return op;
}

Value take(LoweringContext &c, Value storage, int64_t axis, ArrayRef<int64_t> indices) {
  struct Run {
    int64_t first, step, count;
  };
  SmallVector<Run> runs;
  for (int64_t index : indices) {
    if (!runs.empty()) {
      Run &run = runs.back();
      int64_t step = index - (run.first + (run.count - 1) * run.step);
      if (step > 0 && (run.count == 1 || step == run.step)) {
        run.step = step;
        ++run.count;
        continue;
      }
    }
    runs.push_back({index, 1, 1});
  }
  if (runs.size() > kMaxPieces)
    return {};
  SmallVector<Value> parts;
  for (const Run &run : runs) {
    Ints offsets(shapeOf(storage).size(), 0), sizes(shapeOf(storage));
    Ints strides(sizes.size(), 1);
    offsets[axis] = run.first;
    sizes[axis] = run.count;
    strides[axis] = run.step;
    parts.push_back(slice(c, storage, offsets, sizes, strides));
  }
  return concat(c, parts, axis);
}

} // namespace npucc::lowering
