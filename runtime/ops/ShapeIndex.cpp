//===- ShapeIndex.cpp - Gather and scatter --------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"

namespace npucc::ops {
namespace {

/// Indices as int64 in [0, limit), from ONNX's [-limit, limit).
Expected<std::vector<int64_t>> checkedIndices(const Tensor &indices, int64_t limit) {
  if (indices.type() != ElementType::Int64 && indices.type() != ElementType::Int32)
    return fail("indices must be int32 or int64, not " + text(indices.type()));
  std::vector<int64_t> result(indices.size());
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t index = indices.asInt(static_cast<int64_t>(i));
    if (index < -limit || index >= limit)
      return fail("index " + Twine(index) + " is out of range for dimension " + Twine(limit));
    result[i] = index < 0 ? index + limit : index;
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Gather, GatherElements, GatherND
//===----------------------------------------------------------------------===//

Shape gathered(ArrayRef<int64_t> data, ArrayRef<int64_t> indices, int64_t axis) {
  Shape shape(data.begin(), data.begin() + axis);
  shape.append(indices.begin(), indices.end());
  shape.append(data.begin() + axis + 1, data.end());
  return shape;
}
Expected<Tensors> gather(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &data = inputs[0];
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", 0), data.rank()));
  NPUCC_TAKE(rows, checkedIndices(inputs[1], data.shape()[axis]));
  NPUCC_TAKE(out, allocate(data.type(), gathered(data.shape(), inputs[1].shape(), axis)));
  int64_t outer = product(data.shape().take_front(axis));
  int64_t bytes = product(data.shape().drop_front(axis + 1)) * bitWidth(data.type()) / 8;
  uint8_t *to = out.size() ? out.mutableData() : nullptr;
  for (int64_t o = 0; o < outer && out.size(); ++o)
    for (int64_t row : rows) {
      std::memcpy(to, data.data() + (o * data.shape()[axis] + row) * bytes, bytes);
      to += bytes;
    }
  return one(out);
}
Error inferGather(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto data = dimsOf(c, 0), indices = dimsOf(c, 1);
  if (!data || !indices) {
    setOutput(c, 0, typeOf(c, 0));
    return Error::success();
  }
  NPUCC_TAKE(axis, normalizeAxis(c.node.getInt("axis", 0), static_cast<int64_t>(data->size())));
  if (c.constant(1) && (*data)[axis] >= 0) {
    NPUCC_TAKE(rows, checkedIndices(*c.constant(1), (*data)[axis]));
    (void)rows;
  }
  setOutput(c, 0, typeOf(c, 0), gathered(*data, *indices, axis));
  return Error::success();
}

/// Checks that `indices` selects from `data` along `axis`, as GatherElements and
/// ScatterElements need it.
Error checkElements(const Tensor &data, const Tensor &indices, int64_t axis) {
  if (data.rank() != indices.rank())
    return fail("data " + text(data.shape()) + " and indices " + text(indices.shape()) +
                " have different ranks");
  for (int64_t d = 0; d < data.rank(); ++d)
    if (d != axis && indices.shape()[d] > data.shape()[d])
      return fail("indices " + text(indices.shape()) + " exceed data " + text(data.shape()));
  return Error::success();
}

/// Calls f(flat index into indices, flat index into data without the axis term).
template <typename F>
void forElements(const Tensor &data, const Tensor &indices, int64_t axis, F &&f) {
  Shape strides = rowMajorStrides(data.shape());
  strides[axis] = 0;
  Walk walk(indices.shape(), strides);
  int64_t step = walk.innerStride(0);
  walk.rows([&](const int64_t *offset, int64_t first) {
    for (int64_t i = 0; i < walk.rowLength(); ++i)
      f(first + i, offset[0] + i * step);
  });
}

Expected<Tensors> gatherElements(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &data = inputs[0];
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", 0), data.rank()));
  NPUCC_TRY(checkElements(data, inputs[1], axis));
  NPUCC_TAKE(index, checkedIndices(inputs[1], data.shape()[axis]));
  NPUCC_TAKE(out, allocate(data.type(), inputs[1].shape()));
  int64_t stride = rowMajorStrides(data.shape())[axis];
  if (!dispatchWidth(data.type(), [&](auto tag) {
        using T = decltype(tag);
        const T *from = data.values<T>().data();
        T *to = out.mutableValues<T>().data();
        forElements(data, inputs[1], axis,
                    [&](int64_t i, int64_t base) { to[i] = from[base + index[i] * stride]; });
      }))
    return unsupportedType(data.type());
  return one(out);
}
Error inferGatherElements(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  setOutput(c, 0, typeOf(c, 0), dimsOf(c, 1));
  return Error::success();
}

/// Flat offsets (in slices of `inner` elements) that the rows of an ND index name.
Expected<std::vector<int64_t>> indexRows(const Tensor &indices, ArrayRef<int64_t> dims) {
  int64_t depth = static_cast<int64_t>(dims.size());
  int64_t rows = depth ? indices.size() / depth : product(indices.shape().drop_back());
  std::vector<int64_t> result(rows, 0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t d = 0; d < depth; ++d) {
      int64_t index = indices.asInt(r * depth + d);
      if (index < -dims[d] || index >= dims[d])
        return fail("index " + Twine(index) + " is out of range for dimension " + Twine(dims[d]));
      result[r] = result[r] * dims[d] + (index < 0 ? index + dims[d] : index);
    }
  return result;
}

Expected<Shape> gatheredNd(const Node &node, ArrayRef<int64_t> data, ArrayRef<int64_t> indices) {
  int64_t batch = node.getInt("batch_dims", 0);
  if (indices.empty() || batch < 0 || batch >= static_cast<int64_t>(indices.size()) ||
      batch > static_cast<int64_t>(data.size()))
    return fail("batch_dims " + Twine(batch) + " does not fit data " + text(data) +
                " and indices " + text(indices));
  int64_t depth = indices.back();
  if (depth < 0 || batch + depth > static_cast<int64_t>(data.size()))
    return fail("indices " + text(indices) + " are too deep for data " + text(data));
  for (int64_t d = 0; d < batch; ++d)
    if (data[d] >= 0 && indices[d] >= 0 && data[d] != indices[d])
      return fail("batch dimensions of data " + text(data) + " and indices " + text(indices) +
                  " differ");
  Shape shape(indices.begin(), indices.end() - 1);
  shape.append(data.begin() + batch + depth, data.end());
  return shape;
}
Expected<Tensors> gatherNd(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &data = inputs[0], &indices = inputs[1];
  NPUCC_TAKE(shape, gatheredNd(node, data.shape(), indices.shape()));
  int64_t batch = node.getInt("batch_dims", 0), depth = indices.shape().back();
  NPUCC_TAKE(rows, indexRows(indices, data.shape().slice(batch, depth)));
  NPUCC_TAKE(out, allocate(data.type(), shape));
  int64_t batches = product(data.shape().take_front(batch));
  int64_t slices = product(data.shape().slice(batch, depth));
  int64_t bytes = product(data.shape().drop_front(batch + depth)) * bitWidth(data.type()) / 8;
  int64_t perBatch = batches ? static_cast<int64_t>(rows.size()) / batches : 0;
  for (int64_t r = 0; r < static_cast<int64_t>(rows.size()) && bytes; ++r)
    std::memcpy(out.mutableData() + r * bytes,
                data.data() + (r / perBatch * slices + rows[r]) * bytes, bytes);
  return one(out);
}
Error inferGatherNd(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto data = dimsOf(c, 0), indices = dimsOf(c, 1);
  if (data && indices && !indices->empty() && indices->back() >= 0)
    return setShape(c, typeOf(c, 0), gatheredNd(c.node, *data, *indices));
  setOutput(c, 0, typeOf(c, 0));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// ScatterElements, ScatterND
//===----------------------------------------------------------------------===//

enum class Combine { None, Add, Mul, Max, Min };

Expected<Combine> combineMode(const Node &node) {
  std::string mode = node.getString("reduction", "none");
  if (mode == "none")
    return Combine::None;
  if (mode == "add")
    return Combine::Add;
  if (mode == "mul")
    return Combine::Mul;
  if (mode == "max")
    return Combine::Max;
  if (mode == "min")
    return Combine::Min;
  return fail("reduction '" + mode + "' is not known");
}

template <typename T> void combineInto(T &target, T value, Combine mode) {
  switch (mode) {
  case Combine::None:
    target = value;
    break;
  case Combine::Add:
    if constexpr (std::is_integral_v<T>) // wraps
      target = static_cast<T>(static_cast<uint64_t>(target) + static_cast<uint64_t>(value));
    else
      target += value;
    break;
  case Combine::Mul:
    if constexpr (std::is_integral_v<T>)
      target = static_cast<T>(static_cast<uint64_t>(target) * static_cast<uint64_t>(value));
    else
      target *= value;
    break;
  case Combine::Max:
    target = std::max(target, value);
    break;
  case Combine::Min:
    target = std::min(target, value);
    break;
  }
}

/// Scatter `updates` to data[position(i)]. Without a reduction any type will do.
template <typename ForEach>
Expected<Tensors> scatterInto(const Tensor &data, const Tensor &updates, Combine mode,
                              ForEach forEach) {
  if (updates.type() != data.type())
    return fail("updates are " + text(updates.type()) + ", data is " + text(data.type()));
  NPUCC_TAKE(out, allocate(data.type(), data.shape()));
  if (data.byteSize())
    std::memcpy(out.mutableData(), data.data(), data.byteSize());
  auto run = [&](auto tag) {
    using T = decltype(tag);
    const T *from = updates.values<T>().data();
    T *to = out.mutableValues<T>().data();
    forEach([&](int64_t position, int64_t i) {
      if constexpr (std::is_arithmetic_v<T>)
        combineInto(to[position], from[i], mode);
      else
        to[position] = from[i];
    });
  };
  bool known =
      mode == Combine::None ? dispatchWidth(data.type(), run) : dispatchNumeric(data.type(), run);
  if (!known)
    return unsupportedType(data.type());
  return one(out);
}

Expected<Tensors> scatterElements(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &data = inputs[0], &indices = inputs[1], &updates = inputs[2];
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", 0), data.rank()));
  NPUCC_TRY(checkElements(data, indices, axis));
  if (indices.shape() != updates.shape())
    return fail("indices " + text(indices.shape()) + " and updates " + text(updates.shape()) +
                " differ");
  NPUCC_TAKE(index, checkedIndices(indices, data.shape()[axis]));
  NPUCC_TAKE(mode, combineMode(node));
  int64_t stride = rowMajorStrides(data.shape())[axis];
  return scatterInto(data, updates, mode, [&](auto put) {
    forElements(data, indices, axis,
                [&](int64_t i, int64_t base) { put(base + index[i] * stride, i); });
  });
}

Expected<Tensors> scatterNd(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &data = inputs[0], &indices = inputs[1], &updates = inputs[2];
  if (indices.rank() < 1 || indices.shape().back() > data.rank())
    return fail("indices " + text(indices.shape()) + " do not fit data " + text(data.shape()));
  int64_t depth = indices.shape().back();
  Shape expected(indices.shape().begin(), indices.shape().end() - 1);
  expected.append(data.shape().begin() + depth, data.shape().end());
  if (ArrayRef<int64_t>(expected) != updates.shape())
    return fail("updates " + text(updates.shape()) + " should be " + text(expected));
  NPUCC_TAKE(rows, indexRows(indices, data.shape().take_front(depth)));
  NPUCC_TAKE(mode, combineMode(node));
  int64_t inner = product(data.shape().drop_front(depth));
  return scatterInto(data, updates, mode, [&](auto put) {
    for (int64_t r = 0; r < static_cast<int64_t>(rows.size()); ++r)
      for (int64_t i = 0; i < inner; ++i)
        put(rows[r] * inner + i, r * inner + i);
  });
}
Error inferScatter(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  if (typeOf(c, 2) != typeOf(c, 0))
    return fail("updates are " + text(typeOf(c, 2)) + ", data is " + text(typeOf(c, 0)));
  return sameAsFirst(c);
}

//===----------------------------------------------------------------------===//
// Compress, NonZero, OneHot, ReverseSequence
//===----------------------------------------------------------------------===//

Expected<Tensors> compress(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  Tensor data = inputs[0];
  int64_t axis = 0;
  if (node.has("axis")) {
    NPUCC_TAKE(normal, normalizeAxis(node.getInt("axis", 0), data.rank()));
    axis = normal;
  } else {
    data = data.reshaped({data.size()});
  }
  llvm::SmallVector<int64_t, 8> keep;
  for (int64_t i = 0; i < inputs[1].size(); ++i)
    if (inputs[1].asInt(i))
      keep.push_back(i);
  if (!keep.empty() && keep.back() >= data.shape()[axis])
    return fail("condition selects " + Twine(keep.back()) + " of dimension " +
                Twine(data.shape()[axis]));
  Node pick;
  pick.attributes["axis"].value = axis;
  Tensor both[] = {
      data, Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(keep.size())}, keep)};
  return gather(pick, both);
}
Error inferCompress(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  auto dims = dimsOf(c, 0);
  if (!c.node.has("axis")) {
    dims = unknown(1);
  } else if (dims) {
    NPUCC_TAKE(axis, normalizeAxis(c.node.getInt("axis", 0), static_cast<int64_t>(dims->size())));
    (*dims)[axis] = -1;
  }
  setOutput(c, 0, typeOf(c, 0), dims);
  return Error::success();
}

Expected<Tensors> nonZero(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  std::vector<int64_t> found;
  for (int64_t i = 0; i < x.size(); ++i)
    if (x.asDouble(i) != 0)
      found.push_back(i);
  int64_t rank = x.rank(), count = static_cast<int64_t>(found.size());
  NPUCC_TAKE(out, allocate(ElementType::Int64, {rank, count}));
  Shape strides = rowMajorStrides(x.shape());
  llvm::MutableArrayRef<int64_t> to = out.mutableValues<int64_t>();
  for (int64_t i = 0; i < count; ++i)
    for (int64_t d = 0; d < rank; ++d)
      to[d * count + i] = found[i] / strides[d] % x.shape()[d];
  return one(out);
}
Error inferNonZero(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  Shape shape = unknown(2);
  if (auto dims = dimsOf(c, 0))
    shape[0] = static_cast<int64_t>(dims->size());
  setOutput(c, 0, ElementType::Int64, shape);
  return Error::success();
}

Expected<Shape> oneHotShape(const Node &node, ArrayRef<int64_t> indices, int64_t depth,
                            int64_t &axis) {
  int64_t rank = static_cast<int64_t>(indices.size()) + 1;
  NPUCC_TAKE(normal, normalizeAxis(node.getInt("axis", -1), rank));
  axis = normal;
  Shape shape(indices.begin(), indices.end());
  shape.insert(shape.begin() + axis, depth);
  return shape;
}
Expected<Tensors> oneHot(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &indices = inputs[0], &values = inputs[2];
  if (inputs[1].size() != 1 || values.size() != 2)
    return fail("needs a scalar depth and two values");
  int64_t depth = inputs[1].asInt(0), axis = 0;
  if (depth < 0)
    return fail("depth is negative");
  NPUCC_TAKE(shape, oneHotShape(node, indices.shape(), depth, axis));
  NPUCC_TAKE(out, allocate(values.type(), shape));
  int64_t inner = product(indices.shape().drop_front(axis));
  if (!dispatchWidth(values.type(), [&](auto tag) {
        using T = decltype(tag);
        T *to = out.mutableValues<T>().data();
        std::fill_n(to, out.size(), values.values<T>()[0]);
        for (int64_t i = 0; i < indices.size(); ++i) {
          int64_t index = indices.asInt(i);
          index += index < 0 ? depth : 0;
          if (index >= 0 && index < depth) // others stay "off"
            to[(i / inner * depth + index) * inner + i % inner] = values.values<T>()[1];
        }
      }))
    return unsupportedType(values.type());
  return one(out);
}
Error inferOneHot(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  auto dims = dimsOf(c, 0);
  if (!dims) {
    setOutput(c, 0, typeOf(c, 2));
    return Error::success();
  }
  const Tensor *given = c.constant(1);
  int64_t depth = given && given->size() == 1 ? given->asInt(0) : -1, axis = 0;
  if (given && depth < 0)
    return fail("depth must be one number that is not negative");
  return setShape(c, typeOf(c, 2), oneHotShape(c.node, *dims, depth, axis));
}

Expected<Tensors> reverseSequence(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &x = inputs[0];
  int64_t batchAxis = node.getInt("batch_axis", 1), timeAxis = node.getInt("time_axis", 0);
  bool axes = (batchAxis == 0 && timeAxis == 1) || (batchAxis == 1 && timeAxis == 0);
  if (x.rank() < 2 || !axes)
    return fail("needs rank 2 or more, and batch_axis and time_axis 0 and 1");
  int64_t batch = x.shape()[batchAxis], time = x.shape()[timeAxis];
  llvm::SmallVector<int64_t, 8> lengths = ints(inputs[1]);
  if (static_cast<int64_t>(lengths.size()) != batch)
    return fail("sequence_lens has " + Twine(lengths.size()) + " elements, batch is " +
                Twine(batch));
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  int64_t bytes = product(x.shape().drop_front(2)) * bitWidth(x.type()) / 8;
  int64_t stepB = batchAxis == 0 ? time : 1, stepT = timeAxis == 0 ? batch : 1;
  for (int64_t b = 0; b < batch; ++b) {
    if (lengths[b] < 0 || lengths[b] > time)
      return fail("sequence length " + Twine(lengths[b]) + " is out of range");
    for (int64_t t = 0; t < time && bytes; ++t) {
      int64_t from = t < lengths[b] ? lengths[b] - 1 - t : t;
      std::memcpy(out.mutableData() + (b * stepB + t * stepT) * bytes,
                  x.data() + (b * stepB + from * stepT) * bytes, bytes);
    }
  }
  return one(out);
}

} // namespace

llvm::ArrayRef<OpInfo> indexOps() {
  static const OpInfo table[] = {
      {"", "Gather", 13, inferGather, unpacked<gather>},
      {"", "GatherElements", 13, inferGatherElements, unpacked<gatherElements>},
      {"", "GatherND", 13, inferGatherNd, unpacked<gatherNd>},
      {"", "ScatterElements", 18, inferScatter, widened<unpacked<scatterElements>>},
      {"", "ScatterND", 18, inferScatter, widened<unpacked<scatterNd>>},
      {"", "Compress", 11, inferCompress, unpacked<compress>},
      {"", "NonZero", 13, inferNonZero, unpacked<nonZero>},
      {"", "OneHot", 11, inferOneHot, unpacked<oneHot>},
      {"", "ReverseSequence", 10, sameAsFirst, unpacked<reverseSequence>},
  };
  return table;
}

} // namespace npucc::ops
