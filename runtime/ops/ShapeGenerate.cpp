//===- ShapeGenerate.cpp - Tensors from little: Constant, Range, ... ------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Support.h"
#include "runtime/reference/Reference.h"

namespace npucc::ops {
namespace {

//===----------------------------------------------------------------------===//
// Constant, ConstantOfShape
//===----------------------------------------------------------------------===//

Expected<Tensor> constantValue(const Node &node) {
  if (const Tensor *value = node.getTensor("value"))
    return *value;
  if (node.has("value_float"))
    return Tensor::of<float>(ElementType::Float32, {}, {node.getFloat("value_float", 0)});
  if (node.has("value_int"))
    return Tensor::of<int64_t>(ElementType::Int64, {}, {node.getInt("value_int", 0)});
  if (node.has("value_floats")) {
    std::vector<float> list = node.getFloats("value_floats");
    return Tensor::of<float>(ElementType::Float32, {static_cast<int64_t>(list.size())}, list);
  }
  if (node.has("value_ints")) {
    std::vector<int64_t> list = node.getInts("value_ints");
    return Tensor::of<int64_t>(ElementType::Int64, {static_cast<int64_t>(list.size())}, list);
  }
  if (node.has("value_string"))
    return Tensor::strings({}, {node.getString("value_string", "")});
  return fail("no attribute with a value that is supported");
}
Expected<Tensors> constant(const Node &node, ArrayRef<Tensor>) {
  NPUCC_TAKE(value, constantValue(node));
  return one(value);
}
Error inferConstant(InferContext &c) {
  NPUCC_TAKE(value, constantValue(c.node));
  setOutput(c, 0, value.type(), Shape(value.shape().begin(), value.shape().end()));
  return Error::success();
}

Expected<Tensors> constantOfShape(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor *value = node.getTensor("value");
  if (value && value->size() != 1)
    return fail("value must have one element");
  ElementType type = value ? value->type() : ElementType::Float32;
  NPUCC_TAKE(out, allocate(type, ints(inputs[0])));
  if (!value || value->asDouble(0) == 0)
    return one(out); // allocated as zeros
  if (!dispatchWidth(type, [&](auto tag) {
        using T = decltype(tag);
        std::fill_n(out.mutableValues<T>().data(), out.size(), value->values<T>()[0]);
      }))
    return unsupportedType(type);
  return one(out);
}
Error inferConstantOfShape(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  const Tensor *value = c.node.getTensor("value");
  ElementType type = value ? value->type() : ElementType::Float32;
  auto list = dimsOf(c, 0);
  if (auto target = constantInts(c, 0)) {
    if (!checkedElementCount(*target))
      return fail("shape " + text(*target) + " is not valid");
    setOutput(c, 0, type, Shape(target->begin(), target->end()));
  } else if (list && list->size() == 1 && (*list)[0] >= 0 && (*list)[0] <= 64) {
    setOutput(c, 0, type, unknown((*list)[0]));
  } else {
    setOutput(c, 0, type);
  }
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Range
//===----------------------------------------------------------------------===//

Expected<int64_t> rangeLength(const Tensor &start, const Tensor &limit, const Tensor &delta) {
  if (start.size() != 1 || limit.size() != 1 || delta.size() != 1)
    return fail("start, limit and delta must be scalars");
  if (isInteger(start.type())) {
    int64_t step = delta.asInt(0);
    int64_t from = start.asInt(0), to = limit.asInt(0);
    if (step == 0)
      return fail("delta is 0");
    if (step > 0 ? to <= from : to >= from)
      return 0;
    uint64_t span = step > 0 ? static_cast<uint64_t>(to) - static_cast<uint64_t>(from)
                             : static_cast<uint64_t>(from) - static_cast<uint64_t>(to);
    uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
    uint64_t count = (span - 1) / stride + 1;
    if (count > (uint64_t(1) << 40))
      return fail("range is too long");
    return static_cast<int64_t>(count);
  }
  double count = std::ceil((limit.asDouble(0) - start.asDouble(0)) / delta.asDouble(0));
  if (!(count <= double(int64_t(1) << 40)))
    return fail("range is not finite");
  return static_cast<int64_t>(std::max(count, 0.0));
}
Expected<Tensors> range(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  NPUCC_TAKE(length, rangeLength(inputs[0], inputs[1], inputs[2]));
  if (inputs[0].type() != inputs[1].type() || inputs[0].type() != inputs[2].type())
    return fail("inputs have different types");
  NPUCC_TAKE(out, allocate(inputs[0].type(), {length}));
  if (!dispatchNumeric(out.type(), [&](auto tag) {
        using T = decltype(tag);
        T start = inputs[0].values<T>()[0], delta = inputs[2].values<T>()[0];
        T *to = out.mutableValues<T>().data();
        for (int64_t i = 0; i < length; ++i)
          if constexpr (std::is_integral_v<T>) // wraps on the way
            to[i] = static_cast<T>(static_cast<uint64_t>(start) +
                                   static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
          else
            to[i] = start + static_cast<T>(i) * delta;
      }))
    return unsupportedType(out.type());
  return one(out);
}
Error inferRange(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  Shape shape = unknown(1);
  if (c.constant(0) && c.constant(1) && c.constant(2)) {
    NPUCC_TAKE(length, rangeLength(*c.constant(0), *c.constant(1), *c.constant(2)));
    shape[0] = length;
  }
  setOutput(c, 0, typeOf(c, 0), shape);
  return Error::success();
}

//===----------------------------------------------------------------------===//
// Trilu, EyeLike
//===----------------------------------------------------------------------===//

Expected<Tensors> trilu(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  if (x.rank() < 2)
    return fail("needs rank 2 or more");
  int64_t k = 0;
  if (present(inputs, 1)) {
    if (inputs[1].size() != 1)
      return fail("k must be a scalar");
    k = std::clamp<int64_t>(inputs[1].asInt(0), -(int64_t(1) << 40), int64_t(1) << 40);
  }
  bool upper = node.getInt("upper", 1) != 0;
  int64_t columns = x.shape().back(), rows = x.shape()[x.rank() - 2];
  NPUCC_TAKE(out, allocate(x.type(), x.shape()));
  int64_t width = bitWidth(x.type()) / 8, count = columns ? x.size() / columns : 0;
  for (int64_t r = 0; r < count; ++r) {
    int64_t edge = std::clamp<int64_t>(r % rows + k + (upper ? 0 : 1), 0, columns);
    int64_t first = upper ? edge : 0, last = upper ? columns : edge;
    if (last > first)
      std::memcpy(out.mutableData() + (r * columns + first) * width,
                  x.data() + (r * columns + first) * width, (last - first) * width);
  }
  return one(out);
}

Expected<ElementType> attributeType(const Node &node, llvm::StringRef name, ElementType fallback) {
  int64_t type = node.getInt(name, static_cast<int64_t>(fallback));
  if (type <= 0 || type > static_cast<int64_t>(ElementType::BFloat16) ||
      type == static_cast<int64_t>(ElementType::String))
    return fail("attribute '" + Twine(name) + "' names no supported type: " + Twine(type));
  return static_cast<ElementType>(type);
}
Expected<Tensors> eyeLike(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  if (x.rank() != 2)
    return fail("needs rank 2");
  NPUCC_TAKE(type, attributeType(node, "dtype", x.type()));
  NPUCC_TAKE(eye, allocate(ElementType::Float32, x.shape()));
  int64_t k = node.getInt("k", 0);
  for (int64_t r = 0; r < x.shape()[0]; ++r)
    if (k > -x.shape()[0] && k < x.shape()[1] && r + k >= 0 && r + k < x.shape()[1])
      eye.mutableValues<float>()[r * x.shape()[1] + r + k] = 1;
  return one(as(eye, type));
}
Error inferEyeLike(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  NPUCC_TAKE(type, attributeType(c.node, "dtype", typeOf(c, 0)));
  setOutput(c, 0, type, dimsOf(c, 0));
  return Error::success();
}

//===----------------------------------------------------------------------===//
// RandomNormal
//===----------------------------------------------------------------------===//

// Where ONNX leaves the generator open, a node without a seed draws as with seed 0.
Expected<Tensors> randomNormal(const Node &node, ArrayRef<Tensor>) {
  NPUCC_TAKE(type, attributeType(node, "dtype", ElementType::Float32));
  std::vector<int64_t> shape = node.getInts("shape");
  NPUCC_TAKE(out, allocate(ElementType::Float32, shape));
  float seed = node.getFloat("seed", 0);
  uint32_t bits;
  std::memcpy(&bits, &seed, sizeof(bits));
  // randomTensor() of the plain seeds is what inputs are filled with.
  Tensor normal = randomTensor(ElementType::Float32, shape, (uint64_t(1) << 63) | bits);
  float mean = node.getFloat("mean", 0), scale = node.getFloat("scale", 1);
  for (auto [to, from] : llvm::zip(out.mutableValues<float>(), normal.values<float>()))
    to = mean + scale * from;
  return one(as(out, type));
}
Error inferRandomNormal(InferContext &c) {
  NPUCC_TAKE(type, attributeType(c.node, "dtype", ElementType::Float32));
  std::vector<int64_t> shape = c.node.getInts("shape");
  if (!isFloat(type))
    return fail("dtype must be a float type");
  if (!checkedElementCount(shape))
    return fail("shape " + text(shape) + " is not valid");
  setOutput(c, 0, type, Shape(shape.begin(), shape.end()));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> generatorOps() {
  static const OpInfo table[] = {
      {"", "Constant", 21, inferConstant, constant},
      {"", "ConstantOfShape", 21, inferConstantOfShape, unpacked<constantOfShape>},
      {"", "Range", 11, inferRange, widened<range>},
      {"", "Trilu", 14, sameAsFirst, unpacked<trilu>},
      {"", "EyeLike", 9, inferEyeLike, eyeLike},
      {"", "RandomNormal", 1, inferRandomNormal, randomNormal},
  };
  return table;
}

} // namespace npucc::ops
