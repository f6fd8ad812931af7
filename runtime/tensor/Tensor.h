//===- Tensor.h - A dense tensor in host memory ------------------*- C++ -*-===//
//
// Row-major (C order) data of one element type. The bytes are owned, or shared
// with whatever keeps them alive (a mapped file, a parsed protobuf); copying a
// Tensor never copies its bytes.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/tensor/ElementType.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"

#include <cassert>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace npucc {

using Shape = llvm::SmallVector<int64_t, 6>;

/// Product of the dimensions; 1 for a scalar. std::nullopt when it overflows 2^62, a
/// dimension is negative, or a limit of TensorLimit.h is exceeded.
std::optional<int64_t> checkedElementCount(llvm::ArrayRef<int64_t> shape);

class Tensor {
public:
  Tensor() = default;

  /// Zero-filled tensor. The shape must be valid (checkedElementCount).
  static Tensor zeros(ElementType type, llvm::ArrayRef<int64_t> shape);

  /// Tensor over bytes that `owner` keeps alive; never written through.
  static Tensor view(ElementType type, llvm::ArrayRef<int64_t> shape, const void *data,
                     std::shared_ptr<const void> owner);

  /// String tensors are carried, not computed with.
  static Tensor strings(llvm::ArrayRef<int64_t> shape, std::vector<std::string> values);

  template <typename T>
  static Tensor of(ElementType type, llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<T> values) {
    Tensor result = zeros(type, shape);
    assert(sizeof(T) * values.size() == result.byteSize());
    if (!values.empty())
      std::memcpy(result.mutableData(), values.data(), result.byteSize());
    return result;
  }

  ElementType type() const { return elementType; }
  llvm::ArrayRef<int64_t> shape() const { return dims; }
  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t size() const; ///< number of elements
  size_t byteSize() const { return bytes; }
  bool defined() const { return elementType != ElementType::Undefined; }

  const uint8_t *data() const { return pointer; }
  /// Only for tensors made by zeros()/of() whose bytes nobody else shares.
  uint8_t *mutableData();
  template <typename T> llvm::ArrayRef<T> values() const {
    return {reinterpret_cast<const T *>(pointer), bytes / sizeof(T)};
  }
  template <typename T> llvm::MutableArrayRef<T> mutableValues() {
    return {reinterpret_cast<T *>(mutableData()), bytes / sizeof(T)};
  }
  const std::vector<std::string> &stringValues() const { return *text; }

  /// The same bytes under another shape with the same element count.
  Tensor reshaped(llvm::ArrayRef<int64_t> shape) const;

  /// Element `index` (flat) as double / int64, whatever the type (not String).
  double asDouble(int64_t index) const;
  int64_t asInt(int64_t index) const;

private:
  ElementType elementType = ElementType::Undefined;
  Shape dims;
  std::shared_ptr<const void> owner;
  const uint8_t *pointer = nullptr;
  size_t bytes = 0;
  std::shared_ptr<std::vector<std::string>> text;
};

/// `tensor` in another element type: floats round to nearest even, float to
/// integer truncates towards zero (ONNX Cast), integers wrap.
Tensor castTensor(const Tensor &tensor, ElementType type);

/// NumPy .npy files, versions 1 to 3, little-endian, C or Fortran order
/// (Fortran is transposed on reading). bf16 and fp8 are written as raw uint16
/// and uint8.
llvm::Expected<Tensor> readNpy(const std::string &path);
llvm::Error writeNpy(const std::string &path, const Tensor &tensor);

} // namespace npucc
