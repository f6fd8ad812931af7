//===- ShapeViews.cpp - Operators that only rename dimensions -------------===//
//
// Reshape, Flatten, Squeeze, Unsqueeze, Shape, Size. Rules and kernels share one
// function per operator; -1 stands for an unknown dimension in rules.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

Expected<Shape> reshaped(ArrayRef<int64_t> dims, ArrayRef<int64_t> target, bool allowZero) {
  if (target.size() > kMaxRank)
    return fail("more than " + Twine(kMaxRank) + " dimensions are not supported");
  Shape result(target.begin(), target.end());
  int64_t known = 1;
  std::optional<size_t> inferred;
  bool open = false; // a copied dimension is unknown
  for (size_t i = 0; i < result.size(); ++i) {
    if (result[i] == 0 && !allowZero) {
      if (i >= dims.size())
        return fail("shape " + text(target) + " copies dimension " + Twine(i) + " of " +
                    text(dims));
      result[i] = dims[i];
      open |= dims[i] < 0;
    } else if (result[i] == -1) {
      if (inferred)
        return fail("shape has more than one -1");
      inferred = i;
      continue;
    } else if (result[i] < 0) {
      return fail("shape has the negative dimension " + Twine(result[i]));
    }
    if (result[i] > 1 && known > (int64_t(1) << 48) / result[i])
      return fail("shape " + text(target) + " is too large");
    known *= result[i] < 0 ? 1 : result[i];
  }
  if (!isStatic(dims) || open)
    return result;
  int64_t total = product(dims);
  if (inferred) {
    if (known == 0 ? total != 0 : total % known != 0)
      return fail("cannot reshape " + text(dims) + " to " + text(target));
    result[*inferred] = known == 0 ? 0 : total / known;
  } else if (known != total) {
    return fail("cannot reshape " + text(dims) + " to " + text(target));
  }
  return result;
}

Expected<Tensors> reshape(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  NPUCC_TAKE(shape, reshaped(inputs[0].shape(), ints(inputs[1]), node.getInt("allowzero", 0) != 0));
  NPUCC_TAKE(view, viewed(inputs[0], shape));
  return one(view);
}
Error inferReshape(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  auto target = constantInts(c, 1);
  if (!target) {
    auto list = dimsOf(c, 1);
    bool ranked = list && list->size() == 1 && (*list)[0] >= 0 && (*list)[0] <= 64;
    setOutput(c, 0, typeOf(c, 0),
              ranked ? std::optional<Shape>(unknown((*list)[0])) : std::nullopt);
    return Error::success();
  }
  bool allowZero = c.node.getInt("allowzero", 0) != 0;
  if (!dims) // copied dimensions stay unknown
    dims = unknown(static_cast<int64_t>(target->size()));
  return setShape(c, typeOf(c, 0), reshaped(*dims, *target, allowZero));
}

Expected<Shape> flattened(ArrayRef<int64_t> dims, int64_t axis) {
  int64_t rank = static_cast<int64_t>(dims.size());
  if (axis < -rank || axis > rank)
    return fail("axis " + Twine(axis) + " is out of range for rank " + Twine(rank));
  axis += axis < 0 ? rank : 0;
  auto fold = [](ArrayRef<int64_t> part) { return isStatic(part) ? product(part) : -1; };
  return Shape{fold(dims.take_front(axis)), fold(dims.drop_front(axis))};
}
Expected<Tensors> flatten(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(shape, flattened(inputs[0].shape(), node.getInt("axis", 1)));
  NPUCC_TAKE(view, viewed(inputs[0], shape));
  return one(view);
}
Error inferFlatten(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  if (auto dims = dimsOf(c, 0))
    return setShape(c, typeOf(c, 0), flattened(*dims, c.node.getInt("axis", 1)));
  setOutput(c, 0, typeOf(c, 0), unknown(2));
  return Error::success();
}

Expected<Shape> squeezed(ArrayRef<int64_t> dims, std::optional<ArrayRef<int64_t>> axes) {
  Shape result, normal;
  if (axes) {
    NPUCC_TAKE(list, normalizeAxes(*axes, static_cast<int64_t>(dims.size())));
    normal = list;
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    bool drop = axes ? llvm::is_contained(normal, static_cast<int64_t>(i)) : dims[i] == 1;
    if (drop && dims[i] > 1)
      return fail("cannot squeeze dimension " + Twine(i) + " of " + text(dims));
    if (drop && dims[i] == 0)
      return fail("cannot squeeze the empty dimension " + Twine(i) + " of " + text(dims));
    if (!drop)
      result.push_back(dims[i]);
  }
  return result;
}
Expected<Tensors> squeeze(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  llvm::SmallVector<int64_t, 8> axes;
  if (present(inputs, 1))
    axes = ints(inputs[1]);
  NPUCC_TAKE(shape,
             squeezed(inputs[0].shape(),
                      present(inputs, 1) ? std::optional<ArrayRef<int64_t>>(axes) : std::nullopt));
  NPUCC_TAKE(view, viewed(inputs[0], shape));
  return one(view);
}
Error inferSqueeze(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  auto dims = dimsOf(c, 0);
  auto axes = constantInts(c, 1);
  bool all = !c.has(1);
  if (!dims || (!all && !axes) || (all && !isStatic(*dims))) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  return setShape(c, typeOf(c, 0),
                  squeezed(*dims, all ? std::nullopt : std::optional<ArrayRef<int64_t>>(*axes)));
}

Expected<Shape> unsqueezed(ArrayRef<int64_t> dims, ArrayRef<int64_t> axes) {
  if (dims.size() + axes.size() > kMaxRank)
    return fail("more than " + Twine(kMaxRank) + " dimensions are not supported");
  NPUCC_TAKE(normal, normalizeAxes(axes, static_cast<int64_t>(dims.size() + axes.size())));
  Shape result(dims.begin(), dims.end());
  for (int64_t axis : normal) // ascending, so that positions are final
    result.insert(result.begin() + axis, 1);
  return result;
}
Expected<Tensors> unsqueeze(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  NPUCC_TAKE(shape, unsqueezed(inputs[0].shape(), ints(inputs[1])));
  NPUCC_TAKE(view, viewed(inputs[0], shape));
  return one(view);
}
Error inferUnsqueeze(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  auto axes = constantInts(c, 1);
  if (dims && axes)
    return setShape(c, typeOf(c, 0), unsqueezed(*dims, *axes));
  setOutput(c, 0, typeOf(c, 0));
  return Error::success();
}

/// Dimensions [start, end) as Shape asks for them; bounds are clamped.
Shape shapeSlice(const Node &node, ArrayRef<int64_t> dims) {
  int64_t rank = static_cast<int64_t>(dims.size());
  auto bound = [&](int64_t value) {
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = bound(node.getInt("start", 0));
  int64_t end = bound(node.has("end") ? node.getInt("end", rank) : rank);
  ArrayRef<int64_t> part = end > start ? dims.slice(start, end - start) : ArrayRef<int64_t>();
  return Shape(part.begin(), part.end());
}
Expected<Tensors> shape(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  Shape dims = shapeSlice(node, inputs[0].shape());
  return one(Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(dims.size())}, dims));
}
Error inferShape(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  Shape result = unknown(1);
  if (auto dims = dimsOf(c, 0))
    result[0] = static_cast<int64_t>(shapeSlice(c.node, *dims).size());
  setOutput(c, 0, ElementType::Int64, result);
  return Error::success();
}

Expected<Tensors> size(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  return one(Tensor::of<int64_t>(ElementType::Int64, {}, {inputs[0].size()}));
}
Error inferSize(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  setOutput(c, 0, ElementType::Int64, Shape());
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> viewOps() {
  static const OpInfo table[] = {
      {"", "Reshape", 21, inferReshape, reshape}, {"", "Flatten", 21, inferFlatten, flatten},
      {"", "Squeeze", 21, inferSqueeze, squeeze}, {"", "Unsqueeze", 21, inferUnsqueeze, unsqueeze},
      {"", "Shape", 21, inferShape, shape},       {"", "Size", 21, inferSize, size},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::shapeOps() {
  static const std::vector<OpInfo> all = ops::join(
      {ops::viewOps(), ops::moveOps(), ops::padOps(), ops::indexOps(), ops::generatorOps()});
  return all;
}
