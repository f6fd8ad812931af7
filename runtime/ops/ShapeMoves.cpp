//===- ShapeMoves.cpp - Operators that copy elements elsewhere ------------===//
//
// Transpose, Concat, Split, Slice, Pad, Expand, Tile, DepthToSpace and alike.
// Most are one strided copy.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

/// target (row-major, `shape`) = source[base + strides * index]
Error stridedCopy(const Tensor &source, Tensor &target, ArrayRef<int64_t> shape,
                  const Shape &strides, int64_t base = 0) {
  Walk walk(shape, strides);
  int64_t step = walk.innerStride(0), n = walk.rowLength();
  if (!dispatchWidth(target.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = source.values<T>().data() + base;
        T *to = target.mutableValues<T>().data();
        walk.rows([&](const int64_t *offset, int64_t first) {
          const T *row = from + offset[0];
          if (step == 1)
            std::memcpy(to + first, row, n * sizeof(T));
          else
            for (int64_t i = 0; i < n; ++i)
              to[first + i] = row[i * step];
        });
      }))
    return unsupportedType(target.type());
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

Expected<Shape> permutation(const Node &node, int64_t rank) {
  Shape perm;
  if (!node.has("perm")) {
    for (int64_t i = rank; i-- > 0;)
      perm.push_back(i);
    return perm;
  }
  std::vector<int64_t> given = node.getInts("perm");
  if (static_cast<int64_t>(given.size()) != rank)
    return fail("perm " + text(given) + " does not fit rank " + Twine(rank));
  NPUCC_TAKE(sorted, normalizeAxes(given, rank));
  (void)sorted;
  for (int64_t axis : given)
    perm.push_back(axis < 0 ? axis + rank : axis);
  return perm;
}

Expected<Tensors> transpose(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(perm, permutation(node, x.rank()));
  Shape natural = rowMajorStrides(x.shape()), shape, strides;
  for (int64_t axis : perm) {
    shape.push_back(x.shape()[axis]);
    strides.push_back(natural[axis]);
  }
  NPUCC_TAKE(out, allocate(x.type(), shape));
  NPUCC_TRY(stridedCopy(x, out, shape, strides));
  return one(out);
}
Error inferTranspose(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  if (!dims) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  NPUCC_TAKE(perm, permutation(c.node, static_cast<int64_t>(dims->size())));
  Shape shape;
  for (int64_t axis : perm)
    shape.push_back((*dims)[axis]);
  setOutput(c, 0, typeOf(c, 0), shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Concat, Split
//===----------------------------------------------------------------------===//

Expected<Shape> concatenated(const Node &node, ArrayRef<Shape> shapes, int64_t &axis) {
  if (shapes.empty())
    return fail("needs an input");
  if (!node.has("axis"))
    return fail("attribute 'axis' is missing");
  int64_t rank = static_cast<int64_t>(shapes[0].size());
  NPUCC_TAKE(normal, normalizeAxis(node.getInt("axis", 0), rank));
  axis = normal;
  Shape result = shapes[0];
  for (const Shape &shape : shapes.drop_front()) {
    if (static_cast<int64_t>(shape.size()) != rank)
      return fail("inputs " + text(result) + " and " + text(shape) + " have different ranks");
    for (int64_t d = 0, sum = 0; d < rank; ++d) {
      if (d == axis && __builtin_add_overflow(std::max<int64_t>(result[d], 0), shape[d], &sum))
        return fail("the result is too large");
      if (d == axis)
        result[d] = result[d] < 0 || shape[d] < 0 ? -1 : sum;
      else if (result[d] < 0)
        result[d] = shape[d];
      else if (shape[d] >= 0 && shape[d] != result[d])
        return fail("inputs " + text(shapes[0]) + " and " + text(shape) + " differ in dimension " +
                    Twine(d));
    }
  }
  return result;
}

Expected<Tensors> concat(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, inputs.size()));
  std::vector<Shape> shapes;
  for (const Tensor &input : inputs) {
    shapes.emplace_back(input.shape().begin(), input.shape().end());
    if (input.type() != inputs[0].type())
      return fail("inputs have different types");
  }
  int64_t axis = 0;
  NPUCC_TAKE(shape, concatenated(node, shapes, axis));
  NPUCC_TAKE(out, allocate(inputs[0].type(), shape));
  int64_t outer = product(ArrayRef(shape).take_front(axis));
  int64_t width = bitWidth(out.type()) / 8;
  int64_t row = product(ArrayRef(shape).drop_front(axis)) * width, start = 0;
  for (const Tensor &input : inputs) {
    int64_t bytes = product(input.shape().drop_front(axis)) * width;
    for (int64_t i = 0; i < outer && bytes; ++i)
      std::memcpy(out.mutableData() + i * row + start, input.data() + i * bytes, bytes);
    start += bytes;
  }
  return one(out);
}
Error inferConcat(InferContext &c) {
  NPUCC_TRY(require(c, std::max<size_t>(1, c.inputs.size())));
  NPUCC_TRY(oneType(c));
  std::vector<Shape> shapes;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    auto dims = dimsOf(c, i);
    if (!dims) {
      setOutput(c, 0, typeOf(c, 0));
      return Error::success();
    }
    shapes.push_back(*dims);
  }
  int64_t axis = 0;
  return setShape(c, typeOf(c, 0), concatenated(c.node, shapes, axis));
}

/// Sizes of the parts: given, or num_outputs equal ones with a smaller last.
Expected<Shape> splitSizes(const Node &node, int64_t length,
                           std::optional<ArrayRef<int64_t>> given) {
  int64_t count = static_cast<int64_t>(node.outputs.size());
  Shape sizes;
  if (given) {
    int64_t sum = 0;
    for (int64_t size : *given) {
      if (size < 0 || size > length)
        return fail("split " + text(*given) + " does not fit dimension " + Twine(length));
      sum += size;
      sizes.push_back(size);
    }
    if (sum != length || static_cast<int64_t>(sizes.size()) != count)
      return fail("split " + text(*given) + " does not fit dimension " + Twine(length) + " and " +
                  Twine(count) + " outputs");
    return sizes;
  }
  int64_t parts = node.getInt("num_outputs", count);
  if (parts != count || parts < 1)
    return fail("num_outputs is " + Twine(parts) + ", but the node has " + Twine(count) +
                " outputs");
  int64_t chunk = (length + parts - 1) / parts;
  for (int64_t i = 0; i < parts; ++i)
    sizes.push_back(std::clamp<int64_t>(length - i * chunk, 0, chunk));
  return sizes;
}

Expected<Tensors> split(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", 0), x.rank()));
  llvm::SmallVector<int64_t, 8> given;
  if (present(inputs, 1))
    given = ints(inputs[1]);
  NPUCC_TAKE(sizes, splitSizes(node, x.shape()[axis],
                               present(inputs, 1) ? std::optional<ArrayRef<int64_t>>(given)
                                                  : std::nullopt));
  Tensors results;
  int64_t outer = product(x.shape().take_front(axis));
  int64_t inner = product(x.shape().drop_front(axis + 1)) * bitWidth(x.type()) / 8;
  int64_t row = x.shape()[axis] * inner, start = 0;
  for (int64_t size : sizes) {
    Shape shape(x.shape().begin(), x.shape().end());
    shape[axis] = size;
    NPUCC_TAKE(part, allocate(x.type(), shape));
    int64_t bytes = size * inner;
    for (int64_t i = 0; i < outer && bytes; ++i)
      std::memcpy(part.mutableData() + i * bytes, x.data() + i * row + start, bytes);
    start += bytes;
    results.push_back(part);
  }
  return results;
}
Error inferSplit(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  auto given = constantInts(c, 1);
  if (dims) {
    NPUCC_TAKE(axis, normalizeAxis(c.node.getInt("axis", 0), static_cast<int64_t>(dims->size())));
    int64_t length = (*dims)[axis];
    bool known = length >= 0 && (given || !c.has(1));
    Shape sizes = unknown(static_cast<int64_t>(c.outputs.size()));
    if (known) {
      NPUCC_TAKE(list, splitSizes(c.node, length,
                                  given ? std::optional<ArrayRef<int64_t>>(*given) : std::nullopt));
      sizes = list;
    } else if (given && given->size() == sizes.size()) {
      sizes.assign(given->begin(), given->end());
    }
    for (size_t i = 0; i < c.outputs.size(); ++i) {
      (*dims)[axis] = sizes[i];
      setOutput(c, i, typeOf(c, 0), *dims);
    }
    return Error::success();
  }
  for (size_t i = 0; i < c.outputs.size(); ++i)
    setOutput(c, i, typeOf(c, 0));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

struct SlicePlan {
  Shape shape, start, step;
};

Expected<SlicePlan> planSlice(ArrayRef<int64_t> dims, ArrayRef<int64_t> starts,
                              ArrayRef<int64_t> ends, std::optional<ArrayRef<int64_t>> axes,
                              std::optional<ArrayRef<int64_t>> steps) {
  int64_t rank = static_cast<int64_t>(dims.size());
  if (starts.size() != ends.size() || (axes && axes->size() != starts.size()) ||
      (steps && steps->size() != starts.size()) || starts.size() > dims.size())
    return fail("starts, ends, axes and steps do not have one length of at most " + Twine(rank));
  SlicePlan plan{Shape(dims.begin(), dims.end()), Shape(dims.size(), 0), Shape(dims.size(), 1)};
  if (axes) {
    NPUCC_TAKE(unique, normalizeAxes(*axes, rank));
    (void)unique;
  }
  for (size_t i = 0; i < starts.size(); ++i) {
    int64_t axis = axes ? (*axes)[i] : static_cast<int64_t>(i);
    axis += axis < 0 ? rank : 0;
    int64_t step = steps ? (*steps)[i] : 1, n = dims[axis];
    if (step == 0)
      return fail("step 0");
    if (n < 0) { // the length is not known
      plan.shape[axis] = -1;
      continue;
    }
    // Python's rules: clamp to [0, n] forwards, [-1, n - 1] backwards.
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
    auto bound = [&](int64_t value) {
      return std::clamp<int64_t>(value < 0 ? std::max(value, -n - 1) + n : value, low, high);
    };
    int64_t first = bound(starts[i]), last = bound(ends[i]);
    int64_t span = step > 0 ? last - first : first - last;
    uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
    plan.shape[axis] =
        span > 0 ? static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / stride) + 1 : 0;
    plan.start[axis] = first;
    plan.step[axis] = plan.shape[axis] > 1 ? step : 1; // a huge step must not overflow
  }
  return plan;
}

Expected<Tensors> slice(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &x = inputs[0];
  std::optional<llvm::SmallVector<int64_t, 8>> axes, steps;
  if (present(inputs, 3))
    axes = ints(inputs[3]);
  if (present(inputs, 4))
    steps = ints(inputs[4]);
  NPUCC_TAKE(plan, planSlice(x.shape(), ints(inputs[1]), ints(inputs[2]),
                             axes ? std::optional<ArrayRef<int64_t>>(*axes) : std::nullopt,
                             steps ? std::optional<ArrayRef<int64_t>>(*steps) : std::nullopt));
  NPUCC_TAKE(out, allocate(x.type(), plan.shape));
  Shape strides = rowMajorStrides(x.shape());
  int64_t base = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    base += plan.start[d] * strides[d];
    strides[d] *= plan.step[d];
  }
  NPUCC_TRY(stridedCopy(x, out, plan.shape, strides, out.size() ? base : 0));
  return one(out);
}
Error inferSlice(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  auto dims = dimsOf(c, 0);
  auto starts = constantInts(c, 1), ends = constantInts(c, 2);
  auto axes = constantInts(c, 3), steps = constantInts(c, 4);
  if (!dims) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  if (!starts || !ends || (c.has(3) && !axes) || (c.has(4) && !steps)) {
    Shape open = unknown(static_cast<int64_t>(dims->size()));
    if (axes) // dimensions that are not sliced stay
      for (size_t d = 0; d < dims->size(); ++d)
        if (!llvm::is_contained(*axes, static_cast<int64_t>(d)) &&
            !llvm::is_contained(*axes,
                                static_cast<int64_t>(d) - static_cast<int64_t>(dims->size())))
          open[d] = (*dims)[d];
    setOutput(c, 0, typeOf(c, 0), open);
    return Error::success();
  }
  NPUCC_TAKE(plan, planSlice(*dims, *starts, *ends,
                             axes ? std::optional<ArrayRef<int64_t>>(*axes) : std::nullopt,
                             steps ? std::optional<ArrayRef<int64_t>>(*steps) : std::nullopt));
  setOutput(c, 0, typeOf(c, 0), plan.shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Expand, Tile
//===----------------------------------------------------------------------===//

Expected<Tensors> expand(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  llvm::SmallVector<int64_t, 8> target = ints(inputs[1]);
  if (!isStatic(target))
    return fail("shape has a negative dimension");
  NPUCC_TAKE(shape, broadcast(x.shape(), target));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  Shape natural = rowMajorStrides(x.shape()), strides(shape.size(), 0);
  size_t lead = shape.size() - x.shape().size();
  for (size_t d = 0; d < natural.size(); ++d)
    strides[lead + d] = x.shape()[d] == 1 ? 0 : natural[d];
  NPUCC_TRY(stridedCopy(x, out, shape, strides));
  return one(out);
}
Error inferExpand(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  auto target = constantInts(c, 1);
  if (target && !isStatic(*target))
    return fail("shape has a negative dimension");
  if (dims && target)
    return setShape(c, typeOf(c, 0), broadcast(*dims, *target));
  setOutput(c, 0, typeOf(c, 0));
  auto list = dimsOf(c, 1);
  if (dims && list && list->size() == 1 && (*list)[0] >= 0 && (*list)[0] <= 64)
    setOutput(c, 0, typeOf(c, 0),
              unknown(std::max<int64_t>((*list)[0], static_cast<int64_t>(dims->size()))));
  return Error::success();
}

Expected<Shape> tiled(ArrayRef<int64_t> dims, ArrayRef<int64_t> repeats) {
  if (repeats.size() != dims.size())
    return fail("repeats " + text(repeats) + " do not fit rank " + Twine(dims.size()));
  Shape result;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (repeats[d] < 0 || repeats[d] > (int64_t(1) << 32) || dims[d] > (int64_t(1) << 30))
      return fail("repeat " + Twine(repeats[d]) + " is out of range");
    result.push_back(dims[d] < 0 ? -1 : dims[d] * repeats[d]);
  }
  return result;
}
Expected<Tensors> tile(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  llvm::SmallVector<int64_t, 8> repeats = ints(inputs[1]);
  NPUCC_TAKE(shape, tiled(x.shape(), repeats));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  // As a copy over (repeat, dim) pairs: the repeats do not move the source.
  Shape pairs, strides, natural = rowMajorStrides(x.shape());
  for (size_t d = 0; d < repeats.size(); ++d) {
    pairs.append({repeats[d], x.shape()[d]});
    strides.append({0, natural[d]});
  }
  NPUCC_TRY(stridedCopy(x, out, pairs, strides));
  return one(out);
}
Error inferTile(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  auto repeats = constantInts(c, 1);
  if (dims && repeats)
    return setShape(c, typeOf(c, 0), tiled(*dims, *repeats));
  setOutput(c, 0, typeOf(c, 0),
            dims ? std::optional<Shape>(unknown(static_cast<int64_t>(dims->size())))
                 : std::nullopt);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> moveOps() {
  static const OpInfo table[] = {
      {"", "Transpose", 21, inferTranspose, unpacked<transpose>},
      {"", "Concat", 13, inferConcat, unpacked<concat>},
      {"", "Split", 18, inferSplit, unpacked<split>},
      {"", "Slice", 13, inferSlice, unpacked<slice>},
      {"", "Expand", 13, inferExpand, unpacked<expand>},
      {"", "Tile", 13, inferTile, unpacked<tile>},
  };
  return table;
}

} // namespace npucc::ops
