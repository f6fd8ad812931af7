//===- Tensor.cpp - A dense tensor in host memory -----------------------------===//

#include "runtime/tensor/Tensor.h"

#include "runtime/tensor/Float.h"
#include "runtime/tensor/TensorLimit.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>

using namespace npucc;

std::optional<int64_t> npucc::checkedElementCount(llvm::ArrayRef<int64_t> shape) {
  constexpr int64_t limit = int64_t(1) << 62;
  if (shape.size() > kMaxRank)
    return std::nullopt;
  int64_t count = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (count > limit / dim)
      return std::nullopt;
    count *= dim;
  }
  if (!empty)
    return count;
  return count <= std::min(kMaxEmptyExtent, maxTensorBytes()) ? std::optional<int64_t>(0)
                                                              : std::nullopt;
}

static int64_t elementCount(llvm::ArrayRef<int64_t> shape) {
  std::optional<int64_t> count = checkedElementCount(shape);
  assert(count && "shape is not valid");
  return count.value_or(0);
}

static size_t bytesOf(ElementType type, int64_t count) {
  unsigned bits = bitWidth(type);
  auto elements = static_cast<size_t>(count);
  return bits == 4 ? (elements + 1) / 2 : elements * (bits / 8);
}

Tensor Tensor::zeros(ElementType type, llvm::ArrayRef<int64_t> shape) {
  Tensor result;
  result.elementType = type;
  result.dims.assign(shape.begin(), shape.end());
  int64_t count = elementCount(shape);
  if (type == ElementType::String) {
    result.text = std::make_shared<std::vector<std::string>>(static_cast<size_t>(count));
    return result;
  }
  result.bytes = bytesOf(type, count);
  // calloc: large zero tensors cost no memory until they are written.
  std::shared_ptr<void> storage(std::calloc(std::max<size_t>(result.bytes, 1), 1), std::free);
  if (!storage)
    throw std::bad_alloc();
  result.pointer = static_cast<const uint8_t *>(storage.get());
  result.owner = std::move(storage);
  return result;
}

Tensor Tensor::view(ElementType type, llvm::ArrayRef<int64_t> shape, const void *data,
                    std::shared_ptr<const void> owner) {
  Tensor result;
  result.elementType = type;
  result.dims.assign(shape.begin(), shape.end());
  result.bytes = bytesOf(type, elementCount(shape));
  result.pointer = static_cast<const uint8_t *>(data);
  result.owner = std::move(owner);
  return result;
}

Tensor Tensor::strings(llvm::ArrayRef<int64_t> shape, std::vector<std::string> values) {
  assert(static_cast<size_t>(elementCount(shape)) == values.size());
  Tensor result;
  result.elementType = ElementType::String;
  result.dims.assign(shape.begin(), shape.end());
  result.text = std::make_shared<std::vector<std::string>>(std::move(values));
  return result;
}

int64_t Tensor::size() const { return defined() ? elementCount(dims) : 0; }

uint8_t *Tensor::mutableData() { return const_cast<uint8_t *>(pointer); }

Tensor Tensor::reshaped(llvm::ArrayRef<int64_t> shape) const {
  assert(elementCount(shape) == size());
  Tensor result = *this;
  result.dims.assign(shape.begin(), shape.end());
  return result;
}

//===----------------------------------------------------------------------===//
// Elements as numbers
//===----------------------------------------------------------------------===//

namespace {

template <typename T> T read(const uint8_t *data, int64_t index) {
  T value;
  std::memcpy(&value, data + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

template <typename T> void write(uint8_t *data, int64_t index, T value) {
  std::memcpy(data + static_cast<size_t>(index) * sizeof(T), &value, sizeof(T));
}

unsigned nibble(const uint8_t *data, int64_t index) {
  return (data[index / 2] >> (index % 2 * 4)) & 15u;
}

int64_t signedNibble(const uint8_t *data, int64_t index) {
  auto bits = static_cast<int64_t>(nibble(data, index));
  return bits >= 8 ? bits - 16 : bits;
}

/// Truncates towards zero; what int64 cannot hold goes to its ends, NaN to 0.
int64_t truncate(double value) {
  if (std::isnan(value))
    return 0;
  if (value >= 9223372036854775808.0)
    return INT64_MAX;
  if (value < -9223372036854775808.0)
    return INT64_MIN;
  return static_cast<int64_t>(value);
}

/// Calls body(index, value) for `count` elements from `first`; value is a double
/// for floats and an int64_t (uint64_t for uint64) for the rest.
template <typename Body>
void forEach(ElementType type, const uint8_t *data, int64_t first, int64_t count, Body body) {
  auto each = [&](auto get) {
    for (int64_t i = 0; i < count; ++i)
      body(i, get(first + i));
  };
  switch (type) {
  case ElementType::Float32:
    return each([&](int64_t i) { return static_cast<double>(read<float>(data, i)); });
  case ElementType::Float64:
    return each([&](int64_t i) { return read<double>(data, i); });
  case ElementType::Float16:
  case ElementType::BFloat16:
    return each([&](int64_t i) { return decodeFloat(type, read<uint16_t>(data, i)); });
  case ElementType::Float8E4M3FN:
  case ElementType::Float8E4M3FNUZ:
  case ElementType::Float8E5M2:
  case ElementType::Float8E5M2FNUZ:
    return each([&](int64_t i) { return decodeFloat(type, data[i]); });
  case ElementType::Bool:
    return each([&](int64_t i) { return static_cast<int64_t>(data[i] != 0); });
  case ElementType::Uint8:
    return each([&](int64_t i) { return static_cast<int64_t>(data[i]); });
  case ElementType::Int8:
    return each([&](int64_t i) { return static_cast<int64_t>(read<int8_t>(data, i)); });
  case ElementType::Uint16:
    return each([&](int64_t i) { return static_cast<int64_t>(read<uint16_t>(data, i)); });
  case ElementType::Int16:
    return each([&](int64_t i) { return static_cast<int64_t>(read<int16_t>(data, i)); });
  case ElementType::Uint32:
    return each([&](int64_t i) { return static_cast<int64_t>(read<uint32_t>(data, i)); });
  case ElementType::Int32:
    return each([&](int64_t i) { return static_cast<int64_t>(read<int32_t>(data, i)); });
  case ElementType::Uint64:
    return each([&](int64_t i) { return read<uint64_t>(data, i); });
  case ElementType::Int64:
    return each([&](int64_t i) { return read<int64_t>(data, i); });
  case ElementType::Uint4:
    return each([&](int64_t i) { return static_cast<int64_t>(nibble(data, i)); });
  case ElementType::Int4:
    return each([&](int64_t i) { return signedNibble(data, i); });
  // The real part stands for a complex number.
  case ElementType::Complex64:
    return each([&](int64_t i) { return static_cast<double>(read<float>(data, 2 * i)); });
  case ElementType::Complex128:
    return each([&](int64_t i) { return read<double>(data, 2 * i); });
  case ElementType::String:
  case ElementType::Undefined:
    return;
  }
}

template <typename T> int64_t toInt(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return truncate(value);
  else
    return static_cast<int64_t>(value);
}

template <typename Source> void store(ElementType type, uint8_t *data, int64_t i, Source value) {
  switch (type) {
  case ElementType::Float32:
    return write(data, i, static_cast<float>(value));
  case ElementType::Float64:
    return write(data, i, static_cast<double>(value));
  case ElementType::Float16:
  case ElementType::BFloat16:
    return write(data, i, static_cast<uint16_t>(encodeFloat(type, static_cast<double>(value))));
  case ElementType::Float8E4M3FN:
  case ElementType::Float8E4M3FNUZ:
  case ElementType::Float8E5M2:
  case ElementType::Float8E5M2FNUZ:
    data[i] = static_cast<uint8_t>(encodeFloat(type, static_cast<double>(value)));
    return;
  case ElementType::Bool:
    data[i] = value != Source(0);
    return;
  case ElementType::Uint64:
    // Above INT64_MAX a float must not go through int64_t.
    if constexpr (std::is_floating_point_v<Source>)
      if (value >= 9223372036854775808.0)
        return write(data, i,
                     value >= 18446744073709551616.0 ? UINT64_MAX : static_cast<uint64_t>(value));
    [[fallthrough]];
  case ElementType::Int64:
    return write(data, i, toInt(value));
  case ElementType::Uint8:
  case ElementType::Int8:
    return write(data, i, static_cast<uint8_t>(toInt(value)));
  case ElementType::Uint16:
  case ElementType::Int16:
    return write(data, i, static_cast<uint16_t>(toInt(value)));
  case ElementType::Uint32:
  case ElementType::Int32:
    return write(data, i, static_cast<uint32_t>(toInt(value)));
  case ElementType::Uint4:
  case ElementType::Int4: {
    unsigned shift = i % 2 * 4;
    auto bits = static_cast<unsigned>(toInt(value)) & 15u;
    data[i / 2] = static_cast<uint8_t>((data[i / 2] & ~(15u << shift)) | (bits << shift));
    return;
  }
  case ElementType::Complex64:
    return write(data, 2 * i, static_cast<float>(value));
  case ElementType::Complex128:
    return write(data, 2 * i, static_cast<double>(value));
  case ElementType::String:
  case ElementType::Undefined:
    return;
  }
}

} // namespace

double Tensor::asDouble(int64_t index) const {
  double result = 0;
  forEach(elementType, pointer, index, 1,
          [&](int64_t, auto value) { result = static_cast<double>(value); });
  return result;
}

int64_t Tensor::asInt(int64_t index) const {
  int64_t result = 0;
  forEach(elementType, pointer, index, 1, [&](int64_t, auto value) { result = toInt(value); });
  return result;
}

Tensor npucc::castTensor(const Tensor &tensor, ElementType type) {
  if (tensor.type() == type)
    return tensor;
  Tensor result = Tensor::zeros(type, tensor.shape());
  uint8_t *out = result.mutableData();
  if (type != ElementType::String)
    forEach(tensor.type(), tensor.data(), 0, tensor.size(),
            [&](int64_t i, auto value) { store(type, out, i, value); });
  return result;
}
