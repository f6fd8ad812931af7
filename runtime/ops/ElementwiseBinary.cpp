//===- ElementwiseBinary.cpp - Functions of two elements and more ---------===//
//
// Integers wrap; division by zero, which ONNX leaves open, gives 0.
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Elementwise.h"
#include "runtime/ops/Families.h"

namespace npucc::ops {

Expected<Tensor> allocateBroadcast(ElementType type, const Tensor &a, const Tensor &b) {
  NPUCC_TAKE(shape, broadcast(a.shape(), b.shape()));
  return allocate(type, shape);
}

namespace {

// Integers are computed as uint64_t, where overflow is defined, and truncated.
#define NPUCC_WRAPPING(NAME, OPERATOR)                                                             \
  struct NAME {                                                                                    \
    template <typename T> T operator()(T a, T b) const {                                           \
      if constexpr (std::is_integral_v<T>)                                                         \
        return static_cast<T>(static_cast<uint64_t>(a) OPERATOR static_cast<uint64_t>(b));         \
      else                                                                                         \
        return a OPERATOR b;                                                                       \
    }                                                                                              \
  };
NPUCC_WRAPPING(Add, +)
NPUCC_WRAPPING(Sub, -)
NPUCC_WRAPPING(Mul, *)
#undef NPUCC_WRAPPING

struct Div {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0)
        return 0;
      if constexpr (std::is_signed_v<T>)
        if (b == -1) // min / -1 overflows
          return static_cast<T>(0 - static_cast<uint64_t>(a));
      return static_cast<T>(a / b);
    } else {
      return a / b;
    }
  }
};
struct Pow {
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b < 0)
        return a == 1 ? 1 : a == T(-1) ? (b % 2 ? a : T(1)) : T(0);
      uint64_t result = 1, base = static_cast<uint64_t>(a);
      for (uint64_t e = static_cast<uint64_t>(b); e; e >>= 1, base *= base)
        if (e & 1)
          result *= base;
      return static_cast<T>(result);
    } else {
      return b == T(2) ? a * a : std::pow(a, b);
    }
  }
};
struct FMod { // sign of the dividend
  template <typename T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0 || b == T(-1))
        return 0;
      return static_cast<T>(a % b);
    } else {
      return std::fmod(a, b);
    }
  }
};
struct Mod { // sign of the divisor
  template <typename T> T operator()(T a, T b) const {
    T rest = FMod()(a, b);
    return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
  }
};
// NaN in either operand gives NaN.
struct Max {
  template <typename T> T operator()(T a, T b) const { return a > b || a != a ? a : b; }
};
struct Min {
  template <typename T> T operator()(T a, T b) const { return a < b || a != a ? a : b; }
};
struct Equal {
  template <typename T> uint8_t operator()(T a, T b) const { return a == b; }
};
struct Less {
  template <typename T> uint8_t operator()(T a, T b) const { return a < b; }
};
struct Greater {
  template <typename T> uint8_t operator()(T a, T b) const { return a > b; }
};
struct LessOrEqual {
  template <typename T> uint8_t operator()(T a, T b) const { return a <= b; }
};
struct GreaterOrEqual {
  template <typename T> uint8_t operator()(T a, T b) const { return a >= b; }
};
struct BitAnd {
  template <typename T> T operator()(T a, T b) const { return a & b; }
};
struct BitOr {
  template <typename T> T operator()(T a, T b) const { return a | b; }
};
struct BitXor {
  template <typename T> T operator()(T a, T b) const { return a ^ b; }
};
struct ShiftLeft {
  template <typename T> T operator()(T a, T b) const {
    uint64_t n = static_cast<uint64_t>(b);
    return n < 64 ? static_cast<T>(static_cast<uint64_t>(a) << n) : T(0);
  }
};
struct ShiftRight {
  template <typename T> T operator()(T a, T b) const {
    uint64_t n = static_cast<uint64_t>(b);
    return n < 64 ? static_cast<T>(static_cast<uint64_t>(a) >> n) : T(0);
  }
};

Error sameTypes(ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, inputs.size()));
  if (inputs.empty())
    return fail("needs an input");
  for (const Tensor &input : inputs)
    if (input.type() != inputs[0].type())
      return fail("inputs have different types: " + text(inputs[0].type()) + " and " +
                  text(input.type()));
  return Error::success();
}
Error twoOfOneType(ArrayRef<Tensor> inputs) {
  if (inputs.size() != 2)
    return fail("needs two inputs");
  return sameTypes(inputs);
}

template <typename Op> Expected<Tensor> arithmetic(const Tensor &a, const Tensor &b) {
  NPUCC_TAKE(out, allocateBroadcast(a.type(), a, b));
  if (!dispatchNumeric(a.type(), [&](auto tag) {
        using T = decltype(tag);
        mapBinary<T, T, T>(a, b, out, Op());
      }))
    return unsupportedType(a.type());
  return std::move(out);
}

template <typename Op> Expected<Tensors> arithmeticKernel(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(twoOfOneType(inputs));
  NPUCC_TAKE(out, arithmetic<Op>(inputs[0], inputs[1]));
  return one(out);
}
template <typename Op> constexpr Kernel kArithmetic = widened<arithmeticKernel<Op>>;

/// Any number of inputs, folded from the left.
template <typename Op> Expected<Tensors> variadicKernel(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(sameTypes(inputs));
  Tensor result = inputs[0];
  for (const Tensor &input : inputs.drop_front()) {
    NPUCC_TAKE(next, arithmetic<Op>(result, input));
    result = next;
  }
  return one(result);
}
template <typename Op> constexpr Kernel kVariadic = widened<variadicKernel<Op>>;

Expected<Tensors> mean(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TAKE(sum, variadicKernel<Add>(node, inputs));
  NPUCC_TAKE(out, allocate(sum[0].type(), sum[0].shape()));
  if (!dispatchFloat(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapUnary<T, T>(sum[0], out, [&](T x) { return x / T(inputs.size()); });
      }))
    return unsupportedType(out.type());
  return one(out);
}

template <typename Op> Expected<Tensors> compareKernel(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(twoOfOneType(inputs));
  ElementType type = inputs[0].type();
  NPUCC_TAKE(out, allocateBroadcast(ElementType::Bool, inputs[0], inputs[1]));
  if (type == ElementType::Bool)
    type = ElementType::Uint8;
  if (!dispatchNumeric(type, [&](auto tag) {
        using T = decltype(tag);
        mapBinary<uint8_t, T, T>(inputs[0], inputs[1], out, Op());
      }))
    return unsupportedType(type);
  return one(out);
}
template <typename Op> constexpr Kernel kCompare = widened<compareKernel<Op>>;

template <typename Op> Expected<Tensors> logicKernel(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(twoOfOneType(inputs));
  if (inputs[0].type() != ElementType::Bool)
    return unsupportedType(inputs[0].type());
  NPUCC_TAKE(out, allocateBroadcast(ElementType::Bool, inputs[0], inputs[1]));
  mapBinary<uint8_t, uint8_t, uint8_t>(inputs[0], inputs[1], out, Op());
  return one(out);
}

template <typename Op> Expected<Tensors> bitsKernel(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(twoOfOneType(inputs));
  NPUCC_TAKE(out, allocateBroadcast(inputs[0].type(), inputs[0], inputs[1]));
  if (!dispatchInteger(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapBinary<T, T, T>(inputs[0], inputs[1], out, Op());
      }))
    return unsupportedType(out.type());
  return one(out);
}

Expected<Tensors> bitShift(const Node &node, ArrayRef<Tensor> inputs) {
  std::string direction = node.getString("direction", "");
  if (direction == "LEFT")
    return bitsKernel<ShiftLeft>(node, inputs);
  if (direction == "RIGHT")
    return bitsKernel<ShiftRight>(node, inputs);
  return fail("direction must be LEFT or RIGHT");
}

/// The exponent may have another type than the base, which decides the result's.
Expected<Tensors> power(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  ElementType type = inputs[0].type();
  if (isInteger(type) && isFloat(inputs[1].type())) {
    Tensor wide[] = {as(inputs[0], ElementType::Float64), as(inputs[1], ElementType::Float64)};
    NPUCC_TAKE(result, arithmeticKernel<Pow>(node, wide));
    return one(as(result[0], type));
  }
  Tensor both[] = {inputs[0], as(inputs[1], type)};
  return kArithmetic<Pow>(node, both);
}

Expected<Tensors> modulo(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  if (node.getInt("fmod", 0))
    return kArithmetic<FMod>(node, inputs);
  if (isFloat(inputs[0].type()))
    return fail("fmod must be 1 for floating-point inputs");
  return arithmeticKernel<Mod>(node, inputs);
}

Expected<Tensors> pRelu(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(twoOfOneType(inputs));
  if (!broadcastsTo(inputs[1].shape(), inputs[0].shape()))
    return fail("slope " + text(inputs[1].shape()) + " does not broadcast to " +
                text(inputs[0].shape()));
  NPUCC_TAKE(out, allocate(inputs[0].type(), inputs[0].shape()));
  if (!dispatchNumeric(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapBinary<T, T, T>(inputs[0], inputs[1], out,
                           [](T x, T slope) { return x < T(0) ? Mul()(x, slope) : x; });
      }))
    return unsupportedType(out.type());
  return one(out);
}

Expected<Tensors> where(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 3));
  const Tensor &condition = inputs[0], &x = inputs[1], &y = inputs[2];
  if (condition.type() != ElementType::Bool || x.type() != y.type())
    return fail("needs a bool condition and two inputs of one type");
  NPUCC_TAKE(both, broadcast(x.shape(), y.shape()));
  NPUCC_TAKE(shape, broadcast(both, condition.shape()));
  NPUCC_TAKE(out, allocate(x.type(), shape));
  Walk walk = Walk::broadcasting(shape, {condition.shape(), x.shape(), y.shape()});
  int64_t stepC = walk.innerStride(0), stepX = walk.innerStride(1), stepY = walk.innerStride(2);
  if (!dispatchWidth(out.type(), [&](auto tag) {
        using T = decltype(tag);
        const uint8_t *test = condition.data();
        const T *left = x.values<T>().data(), *right = y.values<T>().data();
        T *target = out.mutableValues<T>().data();
        walk.rows([&](const int64_t *offset, int64_t first) {
          for (int64_t i = 0; i < walk.rowLength(); ++i)
            target[first + i] = test[offset[0] + i * stepC] ? left[offset[1] + i * stepX]
                                                            : right[offset[2] + i * stepY];
        });
      }))
    return unsupportedType(out.type());
  return one(out);
}

Error inferSame(InferContext &c) {
  NPUCC_TRY(oneType(c));
  return broadcastAll(c);
}

Error inferBool(InferContext &c) {
  NPUCC_TRY(oneType(c));
  return broadcastBool(c);
}

Error inferLogic(InferContext &c) {
  if (c.has(0) && typeOf(c, 0) != ElementType::Bool)
    return unsupportedType(typeOf(c, 0));
  return inferBool(c);
}

Error inferBits(InferContext &c) {
  if (c.has(0) && !isInteger(typeOf(c, 0)))
    return unsupportedType(typeOf(c, 0));
  return inferSame(c);
}

Error inferPRelu(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  NPUCC_TRY(oneType(c, 0, 2));
  auto x = dimsOf(c, 0), slope = dimsOf(c, 1);
  if (x && slope && isStatic(*x) && isStatic(*slope) && !broadcastsTo(*slope, *x))
    return fail("slope " + text(*slope) + " does not broadcast to " + text(*x));
  return sameAsFirst(c);
}

Error inferWhere(InferContext &c) {
  NPUCC_TRY(require(c, 3));
  NPUCC_TRY(oneType(c, 1));
  if (typeOf(c, 0) != ElementType::Bool && typeOf(c, 0) != ElementType::Undefined)
    return fail("the condition is " + text(typeOf(c, 0)) + ", not bool");
  NPUCC_TRY(broadcastAll(c));
  c.outputs[0].type = typeOf(c, 1);
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> binaryOps() {
  static const OpInfo table[] = {
      {"", "Add", 14, inferSame, kArithmetic<Add>},
      {"", "Sub", 14, inferSame, kArithmetic<Sub>},
      {"", "Mul", 14, inferSame, kArithmetic<Mul>},
      {"", "Div", 14, inferSame, kArithmetic<Div>},
      {"", "Pow", 15, broadcastAll, power},
      {"", "Mod", 13, inferSame, modulo},
      {"", "Max", 13, inferSame, kVariadic<Max>},
      {"", "Min", 13, inferSame, kVariadic<Min>},
      {"", "Sum", 13, inferSame, kVariadic<Add>},
      {"", "Mean", 13, inferSame, widened<mean>},
      {"", "Equal", 19, inferBool, kCompare<Equal>},
      {"", "Less", 13, inferBool, kCompare<Less>},
      {"", "Greater", 13, inferBool, kCompare<Greater>},
      {"", "LessOrEqual", 16, inferBool, kCompare<LessOrEqual>},
      {"", "GreaterOrEqual", 16, inferBool, kCompare<GreaterOrEqual>},
      {"", "And", 7, inferLogic, logicKernel<BitAnd>},
      {"", "Or", 7, inferLogic, logicKernel<BitOr>},
      {"", "Xor", 7, inferLogic, logicKernel<BitXor>},
      {"", "BitwiseAnd", 18, inferBits, bitsKernel<BitAnd>},
      {"", "BitwiseOr", 18, inferBits, bitsKernel<BitOr>},
      {"", "BitwiseXor", 18, inferBits, bitsKernel<BitXor>},
      {"", "BitShift", 11, inferBits, bitShift},
      {"", "PRelu", 16, inferPRelu, widened<pRelu>},
      {"", "Where", 16, inferWhere, unpacked<where>},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::elementwiseOps() {
  static const std::vector<OpInfo> all =
      ops::join({ops::unaryOps(), ops::binaryOps(), ops::castOps()});
  return all;
}
