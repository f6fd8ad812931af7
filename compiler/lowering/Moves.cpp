//===- Moves.cpp - Slice, Concat, Split, Pad, Gather --------------------------===//

#include "compiler/lowering/Build.h"

using namespace mlir;

namespace npucc::lowering {

static LogicalResult lowerSlice(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0), sizes = c.resultType().getShape();
  int64_t rank = shape.size();
  auto starts = c.ints(1), axes = c.has(3) ? c.ints(3) : iota(starts ? starts->size() : 0);
  auto steps = c.has(4) ? c.ints(4) : std::make_optional(Ints(starts ? starts->size() : 0, 1));
  if (!starts || !axes || !steps || axes->size() != starts->size() ||
      steps->size() != starts->size())
    return c.refuse("starts, axes or steps are not constant");
  if (product(sizes) == 0)
    return c.result(emptyTensor(c, sizes, elementOf(c.tensor(0))));
  Ints offsets(rank, 0), strides(rank, 1);
  Value source = c.tensor(0);
  for (auto [start, axis, step] : llvm::zip_equal(*starts, *axes, *steps)) {
    int64_t d = wrap(axis, rank), first = wrap(start, shape[d]);
    if (step > 0) {
      offsets[d] = std::clamp<int64_t>(first, 0, shape[d]);
      strides[d] = step;
      continue;
    }
    first = std::clamp<int64_t>(first, 0, shape[d] - 1);
    Ints indices;
    for (int64_t i = 0; i < sizes[d]; ++i)
      indices.push_back(first + i * step);
    source = take(c, source, d, indices);
    if (!source)
      return c.refuse("a negative step over many elements");
  }
  return c.result(slice(c, source, offsets, sizes, strides));
}

static LogicalResult lowerConcat(onnx::NodeOp, LoweringContext &c) {
  int64_t axis = wrap(c.getInt("axis", 0), c.shape(0).size());
  SmallVector<Value> parts;
  for (unsigned i = 0; i < c.numInputs(); ++i)
    parts.push_back(c.tensor(i));
  return c.result(concat(c, parts, axis));
}

static LogicalResult lowerSplit(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  int64_t axis = wrap(c.getInt("axis", 0), shape.size());
  Ints offsets(shape.size(), 0);
  Value source = c.tensor(0);
  for (unsigned i = 0, e = c.node.getOutputs().size(); i < e; ++i) {
    if (isa<NoneType>(c.node.getOutputs()[i].getType()))
      return c.refuse("an output is absent");
    ArrayRef<int64_t> sizes = c.resultType(i).getShape();
    if (failed(c.result(slice(c, source, offsets, sizes), i)))
      return failure();
    offsets[axis] += sizes[axis];
  }
  return success();
}

/// Source index along one dimension for each padded position; nullopt: outside (edge cases of
/// files whose pads exceed the dimension).
static std::optional<Ints> paddedIndices(StringRef mode, int64_t size, int64_t low, int64_t high) {
  Ints result;
  for (int64_t i = -low; i < size + high; ++i) {
    int64_t at = i;
    if (mode == "edge") {
      at = std::clamp<int64_t>(i, 0, size - 1);
    } else if (mode == "wrap") {
      at = ((i % size) + size) % size;
    } else { // reflect
      int64_t period = 2 * (size - 1);
      at = period ? ((i % period) + period) % period : 0;
      at = std::min(at, period - at);
    }
    if (at < 0 || at >= size)
      return std::nullopt;
    result.push_back(at);
  }
  return result;
}

/// Rows `indices` of a float tensor by a small matrix of zeros and ones, where they make too
/// many pieces; null for other types and for large matrices.
static Value takeByMatrix(LoweringContext &c, Value storage, int64_t dim,
                          ArrayRef<int64_t> indices) {
  Type element = c.element(0);
  int64_t first = *llvm::min_element(indices), span = *llvm::max_element(indices) - first + 1;
  int64_t rows = indices.size();
  if (!isFloat(element) || !computeType(element).isF32() || rows * span > (1 << 18))
    return {};
  std::vector<float> matrix(rows * span, 0.0f);
  for (auto [i, index] : llvm::enumerate(indices))
    matrix[i * span + (index - first)] = 1;
  Ints offsets(shapeOf(storage).size(), 0), sizes(shapeOf(storage));
  offsets[dim] = first;
  sizes[dim] = span;
  Value part = slice(c, storage, offsets, sizes);
  Value taken = applyMatrix(c, part, element, dim, rows, matrix);
  return toStorage(c, taken, RankedTensorType::get(shapeOf(taken), element));
}

/// The rows that `low` and `high` add, before and after the source. Null where that is too much.
static Value padByRows(LoweringContext &c, Value source, int64_t dim, ArrayRef<int64_t> indices,
                       int64_t low, int64_t high) {
  if (Value taken = take(c, source, dim, indices))
    return taken;
  if (low < 0 || high < 0)
    return {};
  SmallVector<Value> parts;
  auto border = [&](ArrayRef<int64_t> rows) {
    if (!rows.empty())
      parts.push_back(takeByMatrix(c, source, dim, rows));
  };
  border(indices.take_front(low));
  parts.push_back(source);
  border(indices.take_back(high));
  return llvm::is_contained(parts, Value()) ? Value() : concat(c, parts, dim);
}

static LogicalResult lowerPad(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  int64_t rank = shape.size();
  auto pads = c.ints(1);
  auto axes = c.has(3) ? c.ints(3) : iota(rank);
  if (!pads || !axes || pads->size() != 2 * axes->size())
    return c.refuse("pads are not constant");
  Ints low(rank, 0), high(rank, 0);
  for (auto [i, axis] : llvm::enumerate(*axes)) {
    low[wrap(axis, rank)] = (*pads)[i];
    high[wrap(axis, rank)] = (*pads)[i + axes->size()];
  }
  Value source = c.tensor(0);
  StringRef mode = c.getString("mode", "constant");
  if (mode != "constant") {
    for (int64_t d = 0; d < rank; ++d) {
      if (low[d] == 0 && high[d] == 0)
        continue;
      auto indices = paddedIndices(mode, shape[d], low[d], high[d]);
      source = indices ? padByRows(c, source, d, *indices, low[d], high[d]) : Value();
      if (!source)
        return c.refuse("pads of mode " + mode + " that repeat many elements");
    }
    return c.result(source);
  }
  double value = 0;
  if (c.has(2)) {
    auto constant = c.constant(2);
    if (!constant || constant->size() != 1)
      return c.refuse("the padding value is not constant");
    value = constant->asDouble(0);
  }
  // Negative pads cut.
  Ints offsets(rank, 0), sizes(shape);
  for (int64_t d = 0; d < rank; ++d) {
    int64_t cutLow = std::max<int64_t>(0, -low[d]), cutHigh = std::max<int64_t>(0, -high[d]);
    offsets[d] = cutLow;
    sizes[d] -= cutLow + cutHigh;
    low[d] += cutLow;
    high[d] += cutHigh;
    if (sizes[d] < 0)
      return c.refuse("pads cut more than there is");
  }
  source = slice(c, source, offsets, sizes);
  return c.result(pad(c, source, low, high, storageNumber(elementOf(source), value)));
}

static LogicalResult lowerGather(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  int64_t axis = wrap(c.getInt("axis", 0), shape.size());
  auto indices = c.ints(1);
  if (!indices)
    return c.refuse("indices depend on data");
  for (int64_t &index : *indices) {
    index = wrap(index, shape[axis]);
    if (index < 0 || index >= shape[axis])
      return c.refuse("an index is out of range");
  }
  if (indices->empty())
    return c.result(emptyTensor(c, c.resultType().getShape(), elementOf(c.tensor(0))));
  Value rows = take(c, c.tensor(0), axis, *indices);
  if (!rows)
    return c.refuse("indices make too many pieces");
  return c.result(reshape(c, rows, c.resultType().getShape()));
}

/// Constant indices that fill one box in order: the updates replace a slice.
static LogicalResult lowerScatterND(onnx::NodeOp, LoweringContext &c) {
  auto indices = c.ints(1);
  if (!indices || c.getString("reduction", "none") != "none")
    return c.refuse(indices ? "has a reduction" : "indices depend on data");
  ArrayRef<int64_t> shape = c.shape(0), indexShape = c.shape(1);
  int64_t rank = shape.size(), depth = indexShape.empty() ? 0 : indexShape.back();
  int64_t count = depth ? static_cast<int64_t>(indices->size()) / depth : 0;
  if (depth == 0 || count == 0 || depth > rank)
    return c.refuse("has no indices");
  Ints first(rank, 0), sizes(shape), last(depth);
  for (int64_t d = 0; d < depth; ++d) {
    first[d] = wrap((*indices)[d], shape[d]);
    last[d] = wrap((*indices)[(count - 1) * depth + d], shape[d]);
    sizes[d] = last[d] - first[d] + 1;
    if (sizes[d] < 1)
      return c.refuse("indices are no box");
  }
  if (product(ArrayRef<int64_t>(sizes).take_front(depth)) != count)
    return c.refuse("indices are no box");
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    for (int64_t d = depth; d-- > 0; rest /= sizes[d])
      if (wrap((*indices)[i * depth + d], shape[d]) != first[d] + rest % sizes[d])
        return c.refuse("indices are no box in order");
  }
  if (ArrayRef<int64_t>(sizes) == shape)
    return c.result(reshape(c, c.tensor(2), shape));
  return c.result(insert(c, reshape(c, c.tensor(2), sizes), c.tensor(0), first));
}

/// The triangle is a constant mask.
static LogicalResult lowerTrilu(onnx::NodeOp, LoweringContext &c) {
  ArrayRef<int64_t> shape = c.shape(0);
  auto k = c.has(1) ? c.ints(1) : std::make_optional(Ints{0});
  if (!k || k->size() != 1 || shape.size() < 2)
    return c.refuse("k depends on data");
  bool upper = c.getInt("upper", 1) != 0;
  int64_t rows = shape[shape.size() - 2], columns = shape.back();
  SmallVector<bool> inside;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      inside.push_back(upper ? j - i >= k->front() : j - i <= k->front());
  auto type = RankedTensorType::get({rows, columns}, c.b.getI1Type());
  Value mask = onnx::ConstantOp::create(c.b, c.loc, type,
                                        cast<ElementsAttr>(DenseElementsAttr::get(type, inside)));
  Type element = c.element(0);
  return c.result(elementwise(
      c, {c.tensorArg(c.data(mask), c.b.getI1Type()), c.arg(0), c.numberArg(0, element)},
      c.resultType(), [](Scalar &s, ArrayRef<Value> x) { return s.select(x[0], x[1], x[2]); }));
}

ArrayRef<Lowering> moveLowerings() {
  static const Lowering entries[] = {{"", "Slice", lowerSlice},   {"", "Concat", lowerConcat},
                                     {"", "Split", lowerSplit},   {"", "Pad", lowerPad},
                                     {"", "Gather", lowerGather}, {"", "ScatterND", lowerScatterND},
                                     {"", "Trilu", lowerTrilu}};
  return entries;
}

} // namespace npucc::lowering
