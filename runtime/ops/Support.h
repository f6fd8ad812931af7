//===- Support.h - What shape rules and kernels share -----------*- C++ -*-===//
//
// Errors, checked allocation, dimensions with unknowns, broadcasting, strided
// walks, and dispatch on element types. Kernels see float, double and integers:
// half precision is widened around them (see widened()).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/ops/Registry.h"
#include "runtime/tensor/TensorLimit.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Twine.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace npucc::ops {

using llvm::ArrayRef;
using llvm::Error;
using llvm::Expected;
using llvm::Twine;

/// A one-line error; the caller adds the node's name.
Error fail(const Twine &message);
/// "[1, 3, 224, 224]"; in rules an unknown dimension is -1.
std::string text(ArrayRef<int64_t> shape);
/// "fp32", for messages.
std::string text(ElementType type);

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// Zero-filled tensor; an error instead of an allocation that no network needs.
Expected<Tensor> allocate(ElementType type, ArrayRef<int64_t> shape);

/// The elements of `x` under another shape; an error where the two do not have equally many.
Expected<Tensor> viewed(const Tensor &x, ArrayRef<int64_t> shape);

inline bool present(ArrayRef<Tensor> inputs, size_t i) {
  return i < inputs.size() && inputs[i].defined();
}
/// Error when one of the first `count` inputs is absent.
Error require(ArrayRef<Tensor> inputs, size_t count);

/// Elements of an integer tensor as int64.
llvm::SmallVector<int64_t, 8> ints(const Tensor &tensor);
/// Elements as float / double, whatever the type.
std::vector<float> floats(const Tensor &tensor);
/// The tensor itself or a cast copy.
Tensor as(const Tensor &tensor, ElementType type);

inline bool isHalf(ElementType type) {
  return type == ElementType::Float16 || type == ElementType::BFloat16;
}
inline bool isNibble(ElementType type) {
  return type == ElementType::Int4 || type == ElementType::Uint4;
}

Tensors one(Tensor tensor);

using RawKernel = Expected<Tensors> (*)(const Node &, ArrayRef<Tensor>);
Expected<Tensors> runWidened(RawKernel kernel, const Node &node, ArrayRef<Tensor> inputs,
                             unsigned narrowed);
Expected<Tensors> runUnpacked(RawKernel kernel, const Node &node, ArrayRef<Tensor> inputs);

/// `K` with fp16 and bf16 inputs widened to fp32 and its first `Narrowed` outputs
/// rounded back (to nearest even).
template <RawKernel K, unsigned Narrowed = 8>
Expected<Tensors> widened(const Node &node, ArrayRef<Tensor> inputs) {
  return runWidened(K, node, inputs, Narrowed);
}
/// `K`, which moves whole elements, with 4-bit tensors held as bytes around it.
template <RawKernel K> Expected<Tensors> unpacked(const Node &node, ArrayRef<Tensor> inputs) {
  return runUnpacked(K, node, inputs);
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// `axis` in [0, rank) from ONNX's [-rank, rank).
Expected<int64_t> normalizeAxis(int64_t axis, int64_t rank);
/// Same for a list; sorted, and an error for duplicates.
Expected<Shape> normalizeAxes(ArrayRef<int64_t> axes, int64_t rank);
/// NumPy broadcasting; -1 stands for an unknown dimension.
Expected<Shape> broadcast(ArrayRef<int64_t> a, ArrayRef<int64_t> b);
/// Whether `from` broadcasts to exactly `to`.
bool broadcastsTo(ArrayRef<int64_t> from, ArrayRef<int64_t> to);
Shape rowMajorStrides(ArrayRef<int64_t> shape);
/// Product; INT64_MAX where it overflows, which no shape of a tensor does.
int64_t product(ArrayRef<int64_t> shape);

/// Dimensions of a value with -1 for unknown ones; nullopt: rank unknown.
std::optional<Shape> dimsOf(const Value *value);
inline std::optional<Shape> dimsOf(const InferContext &c, size_t i) {
  return c.has(i) ? dimsOf(c.inputs[i]) : std::nullopt;
}
inline bool isStatic(ArrayRef<int64_t> dims) {
  return llvm::all_of(dims, [](int64_t d) { return d >= 0; });
}
inline ElementType typeOf(const InferContext &c, size_t i) {
  return c.has(i) ? c.inputs[i]->type : ElementType::Undefined;
}
/// Sets output `i` where the node has it.
void setOutput(InferContext &c, size_t i, ElementType type,
               const std::optional<Shape> &dims = std::nullopt);
/// Output 0 from a computed shape.
Error setShape(InferContext &c, ElementType type, Expected<Shape> dims);
/// Error when fewer than `count` inputs are there.
Error require(const InferContext &c, size_t count);
/// Error where inputs [first, end), as far as they are there and known, have more than one type.
Error oneType(const InferContext &c, size_t first = 0, size_t end = SIZE_MAX);
/// Error where an input is known not to be of floats; they may have several types.
Error allFloat(const InferContext &c);
/// Error where input `i` is there and known not to have `size` elements.
Error expectSize(const InferContext &c, size_t i, const char *what, int64_t size);
/// `rank` unknown dimensions.
Shape unknown(int64_t rank);
/// An integer list from a constant input; nullopt when it is absent or not constant.
std::optional<llvm::SmallVector<int64_t, 8>> constantInts(const InferContext &c, size_t i);

/// Common shape rules.
Error sameAsFirst(InferContext &c);   ///< type and dims of input 0
Error sameFloat(InferContext &c);     ///< the same, of floats only
Error broadcastAll(InferContext &c);  ///< all inputs broadcast; type of input 0
Error broadcastBool(InferContext &c); ///< all inputs broadcast; bool

//===----------------------------------------------------------------------===//
// Walking
//===----------------------------------------------------------------------===//

/// Row-major walk over a shape with strided operands; adjacent dimensions that
/// every operand steps through evenly are merged, so that rows are long.
class Walk {
public:
  Walk(ArrayRef<int64_t> shape, ArrayRef<Shape> strides);
  /// Operands of the given shapes, broadcast to `shape`.
  static Walk broadcasting(ArrayRef<int64_t> shape, ArrayRef<ArrayRef<int64_t>> operands);

  int64_t innerStride(unsigned operand) const { return strides[operand].back(); }
  int64_t rowLength() const { return shape.back(); }

  /// Calls f(offsets of each operand, first element's row-major index) per row.
  template <typename F> void rows(F &&f) const {
    int64_t length = shape.back(), total = product(shape);
    if (total == 0)
      return;
    size_t rank = shape.size(), count = strides.size();
    llvm::SmallVector<int64_t, 8> index(rank, 0), offsets(count, 0);
    for (int64_t first = 0; first < total; first += length) {
      f(offsets.data(), first);
      for (size_t d = rank - 1; d-- > 0;) {
        for (size_t i = 0; i < count; ++i)
          offsets[i] += strides[i][d];
        if (++index[d] < shape[d])
          break;
        for (size_t i = 0; i < count; ++i)
          offsets[i] -= strides[i][d] * shape[d];
        index[d] = 0;
      }
    }
  }

private:
  Shape shape;
  llvm::SmallVector<Shape, 3> strides;
};

//===----------------------------------------------------------------------===//
// Dispatch
//===----------------------------------------------------------------------===//

/// Calls f(T{}) for float, double or an integer type; false for other types.
template <typename F> bool dispatchInteger(ElementType type, F &&f) {
  switch (type) {
  case ElementType::Int8:
    return f(int8_t{}), true;
  case ElementType::Uint8:
    return f(uint8_t{}), true;
  case ElementType::Int16:
    return f(int16_t{}), true;
  case ElementType::Uint16:
    return f(uint16_t{}), true;
  case ElementType::Int32:
    return f(int32_t{}), true;
  case ElementType::Uint32:
    return f(uint32_t{}), true;
  case ElementType::Int64:
    return f(int64_t{}), true;
  case ElementType::Uint64:
    return f(uint64_t{}), true;
  default:
    return false;
  }
}
template <typename F> bool dispatchFloat(ElementType type, F &&f) {
  switch (type) {
  case ElementType::Float32:
    return f(float{}), true;
  case ElementType::Float64:
    return f(double{}), true;
  default:
    return false;
  }
}
template <typename F> bool dispatchNumeric(ElementType type, F &&f) {
  return dispatchFloat(type, f) || dispatchInteger(type, f);
}

struct Bits128 {
  uint64_t low, high;
};
/// Calls f(T{}) with a type of the element's size, for kernels that only move.
template <typename F> bool dispatchWidth(ElementType type, F &&f) {
  switch (bitWidth(type)) {
  case 8:
    return f(uint8_t{}), true;
  case 16:
    return f(uint16_t{}), true;
  case 32:
    return f(uint32_t{}), true;
  case 64:
    return f(uint64_t{}), true;
  case 128:
    return f(Bits128{}), true;
  default:
    return false;
  }
}

Error unsupportedType(ElementType type);

/// Round half to even, then saturate. NaN becomes 0.
template <typename T> T saturate(double value) {
  value = std::nearbyint(value);
  constexpr double low = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double high = static_cast<double>(std::numeric_limits<T>::max());
  if (!(value > low)) // NaN too
    return value <= low ? std::numeric_limits<T>::min() : T(0);
  return value >= high ? std::numeric_limits<T>::max() : static_cast<T>(value);
}

} // namespace npucc::ops

/// Returns from the enclosing function when `expr` is an error.
#define NPUCC_TRY(expr)                                                                            \
  do {                                                                                             \
    if (llvm::Error tryError = (expr))                                                             \
      return tryError;                                                                             \
  } while (false)
/// Declares `var` with an Expected's value, or returns its error.
#define NPUCC_TAKE(var, expr)                                                                      \
  auto var##OrError = (expr);                                                                      \
  if (!var##OrError)                                                                               \
    return var##OrError.takeError();                                                               \
  auto &var = *var##OrError
