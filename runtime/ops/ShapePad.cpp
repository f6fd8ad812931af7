//===- ShapePad.cpp - Pad, DepthToSpace, SpaceToDepth, CenterCropPad ------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

struct Padding {
  Shape begin, shape; ///< elements added in front (negative: cropped); result
};

Expected<Padding> planPad(ArrayRef<int64_t> dims, ArrayRef<int64_t> pads,
                          std::optional<ArrayRef<int64_t>> axes) {
  int64_t rank = static_cast<int64_t>(dims.size());
  Shape list;
  for (int64_t d = 0; d < rank; ++d)
    list.push_back(d);
  if (axes) {
    NPUCC_TAKE(unique, normalizeAxes(*axes, rank));
    (void)unique;
    list.assign(axes->begin(), axes->end());
  }
  if (pads.size() != 2 * list.size())
    return fail("pads has " + Twine(pads.size()) + " elements, expected " + Twine(2 * list.size()));
  Padding plan{Shape(dims.size(), 0), Shape(dims.begin(), dims.end())};
  for (size_t i = 0; i < list.size(); ++i) {
    int64_t axis = list[i] < 0 ? list[i] + rank : list[i];
    int64_t before = pads[i], after = pads[i + list.size()];
    constexpr int64_t limit = int64_t(1) << 40;
    if (std::min(before, after) < -limit || std::max(before, after) > limit)
      return fail("padding of dimension " + Twine(axis) + " is out of range");
    plan.begin[axis] = before;
    if (dims[axis] < 0)
      continue;
    plan.shape[axis] += before + after;
    if (plan.shape[axis] < 0)
      return fail("pads crop more than dimension " + Twine(axis) + " of " + text(dims));
  }
  return plan;
}

/// Source index for each result index of a dimension of n; -1: the fill value.
Expected<std::vector<int64_t>> padMap(llvm::StringRef mode, int64_t n, int64_t begin,
                                      int64_t length) {
  std::vector<int64_t> map(length);
  for (int64_t o = 0; o < length; ++o) {
    int64_t i = o - begin;
    if (i < 0 || i >= n) {
      if (mode == "constant") {
        i = -1;
      } else if (n == 0) {
        return fail("mode '" + Twine(mode) + "' cannot pad an empty dimension");
      } else if (mode == "edge") {
        i = std::clamp<int64_t>(i, 0, n - 1);
      } else if (mode == "wrap") {
        i = (i % n + n) % n;
      } else { // reflect: period 2 (n - 1)
        int64_t period = n > 1 ? 2 * (n - 1) : 1;
        i = (i % period + period) % period;
        i = i < n ? i : period - i;
      }
    }
    map[o] = i;
  }
  return map;
}

Expected<Tensors> pad(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  std::string mode = node.getString("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap")
    return fail("mode '" + mode + "' is not known");
  std::optional<llvm::SmallVector<int64_t, 8>> axes;
  if (present(inputs, 3))
    axes = ints(inputs[3]);
  NPUCC_TAKE(plan, planPad(x.shape(), ints(inputs[1]),
                           axes ? std::optional<ArrayRef<int64_t>>(*axes) : std::nullopt));
  if (present(inputs, 2) && (inputs[2].size() != 1 || inputs[2].type() != x.type()))
    return fail("constant_value must be a scalar of the input's type");
  NPUCC_TAKE(out, allocate(x.type(), plan.shape));
  if (out.size() == 0)
    return one(out);
  if (x.rank() == 0)
    return one(x);

  // Offsets into the source per dimension, the innermost apart.
  Shape strides = rowMajorStrides(x.shape());
  std::vector<std::vector<int64_t>> maps;
  for (int64_t d = 0; d < x.rank(); ++d) {
    NPUCC_TAKE(map, padMap(mode, x.shape()[d], plan.begin[d], plan.shape[d]));
    maps.push_back(std::move(map));
  }
  int64_t inner = plan.shape.back(), rows = out.size() / inner;
  if (!dispatchWidth(x.type(), [&](auto tag) {
        using T = decltype(tag);
        T value = present(inputs, 2) ? inputs[2].values<T>()[0] : T{};
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        const std::vector<int64_t> &last = maps.back();
        for (int64_t r = 0; r < rows; ++r, to += inner) {
          int64_t base = 0, rest = r;
          for (int64_t d = x.rank() - 1; d-- > 0 && base >= 0;) {
            int64_t i = maps[d][rest % plan.shape[d]];
            rest /= plan.shape[d];
            base = i < 0 ? -1 : base + i * strides[d];
          }
          for (int64_t i = 0; i < inner; ++i)
            to[i] = base < 0 || last[i] < 0 ? value : from[base + last[i]];
        }
      }))
    return unsupportedType(x.type());
  return one(out);
}

Error inferPad(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  if (c.has(2) && typeOf(c, 2) != typeOf(c, 0))
    return fail("constant_value is " + text(typeOf(c, 2)) + ", the input " + text(typeOf(c, 0)));
  auto dims = dimsOf(c, 0);
  auto pads = constantInts(c, 1), axes = constantInts(c, 3);
  if (!dims || !pads || (c.has(3) && !axes)) {
    setOutput(c, 0, typeOf(c, 0),
              dims ? std::optional<Shape>(unknown(static_cast<int64_t>(dims->size())))
                   : std::nullopt);
    return Error::success();
  }
  NPUCC_TAKE(plan,
             planPad(*dims, *pads, axes ? std::optional<ArrayRef<int64_t>>(*axes) : std::nullopt));
  setOutput(c, 0, typeOf(c, 0), plan.shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// DepthToSpace, SpaceToDepth: a transpose of six dimensions
//===----------------------------------------------------------------------===//

Expected<int64_t> blockSize(const Node &node, ArrayRef<int64_t> dims) {
  int64_t block = node.getInt("blocksize", 0);
  if (block < 1 || block > (1 << 16))
    return fail("blocksize " + Twine(block) + " is out of range");
  if (dims.size() != 4)
    return fail("needs rank 4, not " + text(dims));
  return block;
}

Expected<Shape> depthToSpaceShape(const Node &node, ArrayRef<int64_t> dims) {
  NPUCC_TAKE(block, blockSize(node, dims));
  if (dims[1] >= 0 && dims[1] % (block * block))
    return fail("channels " + Twine(dims[1]) + " are not divisible by blocksize squared");
  auto scaled = [&](int64_t d) { return d < 0 ? -1 : d * block; };
  return Shape{dims[0], dims[1] < 0 ? -1 : dims[1] / (block * block), scaled(dims[2]),
               scaled(dims[3])};
}
Expected<Shape> spaceToDepthShape(const Node &node, ArrayRef<int64_t> dims) {
  NPUCC_TAKE(block, blockSize(node, dims));
  for (int64_t d : dims.drop_front(2))
    if (d >= 0 && d % block)
      return fail("size " + Twine(d) + " is not divisible by blocksize " + Twine(block));
  auto scaled = [&](int64_t d) { return d < 0 ? -1 : d / block; };
  return Shape{dims[0], dims[1] < 0 ? -1 : product({dims[1], block, block}), scaled(dims[2]),
               scaled(dims[3])};
}

/// Copies x, seen with `view` dimensions, in the order `perm`, into `shape`.
Expected<Tensors> rearrange(const Tensor &x, ArrayRef<int64_t> view, ArrayRef<int64_t> perm,
                            ArrayRef<int64_t> shape) {
  NPUCC_TAKE(out, allocate(x.type(), shape));
  Shape natural = rowMajorStrides(view), dims, strides;
  for (int64_t axis : perm) {
    dims.push_back(view[axis]);
    strides.push_back(natural[axis]);
  }
  Walk walk(dims, strides);
  if (!dispatchWidth(x.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = x.values<T>().data();
        T *to = out.mutableValues<T>().data();
        walk.rows([&](const int64_t *offset, int64_t first) {
          for (int64_t i = 0; i < walk.rowLength(); ++i)
            to[first + i] = from[offset[0] + i * walk.innerStride(0)];
        });
      }))
    return unsupportedType(x.type());
  return one(out);
}

Expected<Tensors> depthToSpace(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(shape, depthToSpaceShape(node, x.shape()));
  int64_t block = node.getInt("blocksize", 1), n = x.shape()[0], h = x.shape()[2], w = x.shape()[3];
  std::string mode = node.getString("mode", "DCR");
  if (mode == "DCR")
    return rearrange(x, {n, block, block, shape[1], h, w}, {0, 3, 4, 1, 5, 2}, shape);
  if (mode == "CRD")
    return rearrange(x, {n, shape[1], block, block, h, w}, {0, 1, 4, 2, 5, 3}, shape);
  return fail("mode '" + mode + "' is not known");
}
Expected<Tensors> spaceToDepth(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  NPUCC_TAKE(shape, spaceToDepthShape(node, x.shape()));
  int64_t block = node.getInt("blocksize", 1);
  return rearrange(x, {x.shape()[0], x.shape()[1], shape[2], block, shape[3], block},
                   {0, 3, 5, 1, 2, 4}, shape);
}

template <Expected<Shape> (*Rule)(const Node &, ArrayRef<int64_t>)>
Error inferBlocks(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  if (auto dims = dimsOf(c, 0))
    return setShape(c, typeOf(c, 0), Rule(c.node, *dims));
  setOutput(c, 0, typeOf(c, 0), unknown(4));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// CenterCropPad: a Pad with signed pads
//===----------------------------------------------------------------------===//

Expected<Shape> cropAxes(const Node &node, int64_t rank, size_t count) {
  Shape axes;
  for (int64_t axis : node.getInts("axes"))
    axes.push_back(axis);
  if (!node.has("axes"))
    for (int64_t d = 0; d < rank; ++d)
      axes.push_back(d);
  NPUCC_TAKE(unique, normalizeAxes(axes, rank));
  (void)unique;
  if (axes.size() != count)
    return fail("shape has " + Twine(count) + " elements for " + Twine(axes.size()) + " axes");
  for (int64_t &axis : axes)
    axis += axis < 0 ? rank : 0;
  return axes;
}

Expected<Tensors> centerCropPad(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  llvm::SmallVector<int64_t, 8> target = ints(inputs[1]);
  NPUCC_TAKE(axes, cropAxes(node, x.rank(), target.size()));
  std::vector<int64_t> pads(2 * x.rank(), 0);
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t n = x.shape()[axes[i]];
    if (target[i] < 0 || target[i] > (int64_t(1) << 40))
      return fail("size " + Twine(target[i]) + " is out of range");
    // The smaller half comes first, for padding and for cropping alike.
    int64_t before = target[i] >= n ? (target[i] - n) / 2 : -((n - target[i]) / 2);
    pads[axes[i]] = before;
    pads[axes[i] + x.rank()] = target[i] - n - before;
  }
  Node plain;
  Tensor both[] = {x, Tensor::of<int64_t>(ElementType::Int64, {2 * x.rank()}, pads)};
  return pad(plain, both);
}
Error inferCenterCropPad(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  auto target = constantInts(c, 1);
  if (dims && target) {
    NPUCC_TAKE(axes, cropAxes(c.node, static_cast<int64_t>(dims->size()), target->size()));
    for (size_t i = 0; i < axes.size(); ++i)
      (*dims)[axes[i]] = (*target)[i];
  } else if (dims) {
    dims = unknown(static_cast<int64_t>(dims->size()));
  }
  setOutput(c, 0, typeOf(c, 0), dims);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> padOps() {
  static const OpInfo table[] = {
      {"", "Pad", 21, inferPad, unpacked<pad>},
      {"", "DepthToSpace", 13, inferBlocks<depthToSpaceShape>, unpacked<depthToSpace>},
      {"", "SpaceToDepth", 13, inferBlocks<spaceToDepthShape>, unpacked<spaceToDepth>},
      {"", "CenterCropPad", 18, inferCenterCropPad, unpacked<centerCropPad>},
  };
  return table;
}

} // namespace npucc::ops
