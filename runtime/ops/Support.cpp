//===- Support.cpp - What shape rules and kernels share -------------------===//

#include "runtime/ops/Support.h"

#include "runtime/onnx/Errors.h"

#include "llvm/ADT/StringExtras.h"

namespace npucc::ops {

Error fail(const Twine &message) {
  return llvm::createStringError(llvm::inconvertibleErrorCode(), oneLine(message.str()));
}

std::string text(ArrayRef<int64_t> shape) {
  std::string result = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i)
      result += ", ";
    result += std::to_string(shape[i]);
  }
  return result + "]";
}

std::string text(ElementType type) { return std::string(name(type)); }

Expected<Tensor> allocate(ElementType type, ArrayRef<int64_t> shape) {
  std::optional<int64_t> count = checkedElementCount(shape);
  if (!count)
    return fail("result shape " + text(shape) + " is not valid");
  if (bitWidth(type) == 0)
    return fail("results of type " + text(type) + " are not supported");
  int64_t limit = maxTensorBytes();
  if (*count > limit || *count * bitWidth(type) / 8 > limit)
    return fail("result shape " + text(shape) + " needs more than " + Twine(limit >> 20) + " MiB");
  return Tensor::zeros(type, shape);
}

Expected<Tensor> viewed(const Tensor &x, ArrayRef<int64_t> shape) {
  if (checkedElementCount(shape) != x.size())
    return fail("cannot view " + text(x.shape()) + " as " + text(shape));
  return x.reshaped(shape);
}

Error require(ArrayRef<Tensor> inputs, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (!present(inputs, i))
      return fail("input " + Twine(i) + " is missing");
  return Error::success();
}

llvm::SmallVector<int64_t, 8> ints(const Tensor &tensor) {
  llvm::SmallVector<int64_t, 8> result(tensor.size());
  if (tensor.type() == ElementType::Int64) {
    llvm::copy(tensor.values<int64_t>(), result.begin());
    return result;
  }
  for (int64_t i = 0; i < tensor.size(); ++i)
    result[i] = tensor.asInt(i);
  return result;
}

std::vector<float> floats(const Tensor &tensor) {
  Tensor wide = as(tensor, ElementType::Float32);
  return wide.values<float>().vec();
}

Tensor as(const Tensor &tensor, ElementType type) {
  return tensor.type() == type ? tensor : castTensor(tensor, type);
}

Tensors one(Tensor tensor) {
  Tensors result;
  result.push_back(std::move(tensor));
  return result;
}

Expected<Tensors> runWidened(RawKernel kernel, const Node &node, ArrayRef<Tensor> inputs,
                             unsigned narrowed) {
  ElementType half = ElementType::Undefined;
  for (const Tensor &input : inputs)
    if (half == ElementType::Undefined && isHalf(input.type()))
      half = input.type();
  if (half == ElementType::Undefined)
    return kernel(node, inputs);
  Tensors wide;
  for (const Tensor &input : inputs)
    wide.push_back(isHalf(input.type()) ? castTensor(input, ElementType::Float32) : input);
  auto results = kernel(node, wide);
  if (!results)
    return results;
  for (size_t i = 0; i < results->size() && i < narrowed; ++i)
    if ((*results)[i].type() == ElementType::Float32)
      (*results)[i] = castTensor((*results)[i], half);
  return results;
}

Expected<Tensors> runUnpacked(RawKernel kernel, const Node &node, ArrayRef<Tensor> inputs) {
  ElementType packed = ElementType::Undefined;
  for (const Tensor &input : inputs) {
    if (input.type() == ElementType::String)
      return unsupportedType(input.type());
    if (isNibble(input.type()))
      packed = input.type();
  }
  if (packed == ElementType::Undefined)
    return kernel(node, inputs);
  ElementType byte = packed == ElementType::Int4 ? ElementType::Int8 : ElementType::Uint8;
  Tensors wide;
  for (const Tensor &input : inputs)
    wide.push_back(isNibble(input.type()) ? castTensor(input, byte) : input);
  auto results = kernel(node, wide);
  if (!results)
    return results;
  for (Tensor &result : *results)
    if (result.type() == byte)
      result = castTensor(result, packed);
  return results;
}

Error unsupportedType(ElementType type) {
  return fail("element type " + text(type) + " is not supported");
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

Expected<int64_t> normalizeAxis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return fail("axis " + Twine(axis) + " is out of range for rank " + Twine(rank));
  return axis < 0 ? axis + rank : axis;
}

Expected<Shape> normalizeAxes(ArrayRef<int64_t> axes, int64_t rank) {
  Shape result;
  if (static_cast<int64_t>(axes.size()) > rank)
    return fail(Twine(axes.size()) + " axes are too many for rank " + Twine(rank));
  for (int64_t axis : axes) {
    NPUCC_TAKE(normal, normalizeAxis(axis, rank));
    if (llvm::is_contained(result, normal))
      return fail("axis " + Twine(axis) + " is given twice");
    result.push_back(normal);
  }
  llvm::sort(result);
  return result;
}

Expected<Shape> broadcast(ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  Shape result(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < result.size(); ++i) {
    int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    int64_t &out = result[result.size() - 1 - i];
    if (x == 1 || x == y)
      out = y;
    else if (y == 1)
      out = x;
    else if (x < 0 || y < 0)
      out = std::max(x, y); // an unknown one can only be 1 or the known one
    else
      return fail("shapes " + text(a) + " and " + text(b) + " do not broadcast");
  }
  return result;
}

bool broadcastsTo(ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  if (from.size() > to.size())
    return false;
  to = to.take_back(from.size());
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i] != to[i] && from[i] != 1)
      return false;
  return true;
}

Shape rowMajorStrides(ArrayRef<int64_t> shape) {
  Shape strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;)
    strides[i - 1] = strides[i] * shape[i];
  return strides;
}

int64_t product(ArrayRef<int64_t> shape) {
  int64_t result = 1;
  for (int64_t d : shape)
    if (__builtin_mul_overflow(result, d, &result))
      result = INT64_MAX;
  return result;
}

std::optional<Shape> dimsOf(const Value *value) {
  if (!value || !value->dims)
    return std::nullopt;
  Shape result;
  for (const Dim &dim : *value->dims)
    result.push_back(dim.size);
  return result;
}

void setOutput(InferContext &c, size_t i, ElementType type, const std::optional<Shape> &dims) {
  if (i >= c.outputs.size())
    return;
  c.outputs[i].type = type;
  c.outputs[i].dims.reset();
  if (!dims)
    return;
  std::vector<Dim> result(dims->size());
  for (size_t d = 0; d < dims->size(); ++d)
    result[d].size = (*dims)[d];
  c.outputs[i].dims = std::move(result);
}

Error setShape(InferContext &c, ElementType type, Expected<Shape> dims) {
  if (!dims)
    return dims.takeError();
  setOutput(c, 0, type, *dims);
  return Error::success();
}

Error require(const InferContext &c, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (!c.has(i))
      return fail("input " + Twine(i) + " is missing");
  return Error::success();
}

Shape unknown(int64_t rank) { return Shape(static_cast<size_t>(rank), -1); }

std::optional<llvm::SmallVector<int64_t, 8>> constantInts(const InferContext &c, size_t i) {
  const Tensor *tensor = c.constant(i);
  if (!tensor || !isInteger(tensor->type()))
    return std::nullopt;
  return ints(*tensor);
}

Error sameAsFirst(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  setOutput(c, 0, typeOf(c, 0), dimsOf(c, 0));
  return Error::success();
}

Error oneType(const InferContext &c, size_t first, size_t end) {
  for (size_t i = first + 1; i < std::min(c.inputs.size(), end); ++i)
    if (typeOf(c, first) != ElementType::Undefined && typeOf(c, i) != ElementType::Undefined &&
        typeOf(c, i) != typeOf(c, first))
      return fail("inputs are " + text(typeOf(c, first)) + " and " + text(typeOf(c, i)) +
                  ", which must be one type");
  return Error::success();
}

Error allFloat(const InferContext &c) {
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (ElementType type = typeOf(c, i); type != ElementType::Undefined && !isFloat(type))
      return unsupportedType(type);
  return Error::success();
}

Error expectSize(const InferContext &c, size_t i, const char *what, int64_t size) {
  auto dims = dimsOf(c, i);
  if (!dims || !isStatic(*dims) || size < 0 || product(*dims) == size)
    return Error::success();
  return fail(Twine(what) + " " + text(*dims) + " should have " + Twine(size) + " elements");
}

Error sameFloat(InferContext &c) {
  NPUCC_TRY(allFloat(c));
  return sameAsFirst(c);
}

static Error broadcastInputs(InferContext &c, ElementType type) {
  std::optional<Shape> result = Shape();
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.has(i))
      return fail("input " + Twine(i) + " is missing");
    std::optional<Shape> dims = dimsOf(c, i);
    if (!dims || !result) {
      result.reset();
      continue;
    }
    NPUCC_TAKE(both, broadcast(*result, *dims));
    result = both;
  }
  setOutput(c, 0, type, result);
  return Error::success();
}

Error broadcastAll(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  return broadcastInputs(c, typeOf(c, 0));
}

Error broadcastBool(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  return broadcastInputs(c, ElementType::Bool);
}

//===----------------------------------------------------------------------===//
// Walking
//===----------------------------------------------------------------------===//

Walk::Walk(ArrayRef<int64_t> dims, ArrayRef<Shape> operandStrides) {
  size_t count = operandStrides.size();
  strides.resize(count);
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1)
      continue;
    bool merge = !shape.empty();
    for (size_t i = 0; i < count && merge; ++i)
      merge = strides[i].back() == operandStrides[i][d] * dims[d];
    if (merge)
      shape.back() *= dims[d];
    else
      shape.push_back(dims[d]);
    for (size_t i = 0; i < count; ++i) {
      if (merge)
        strides[i].back() = operandStrides[i][d];
      else
        strides[i].push_back(operandStrides[i][d]);
    }
  }
  if (shape.empty()) {
    shape.push_back(1);
    for (Shape &s : strides)
      s.push_back(1);
  }
}

Walk Walk::broadcasting(ArrayRef<int64_t> shape, ArrayRef<ArrayRef<int64_t>> operands) {
  llvm::SmallVector<Shape, 3> strides;
  for (ArrayRef<int64_t> operand : operands) {
    Shape natural = rowMajorStrides(operand), wide(shape.size(), 0);
    size_t lead = shape.size() - operand.size();
    for (size_t d = 0; d < operand.size(); ++d)
      wide[lead + d] = operand[d] == 1 ? 0 : natural[d];
    strides.push_back(wide);
  }
  return Walk(shape, strides);
}

} // namespace npucc::ops
