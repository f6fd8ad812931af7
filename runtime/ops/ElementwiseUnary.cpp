//===- ElementwiseUnary.cpp - Functions of one element --------------------===//

#include "runtime/ops/Elementwise.h"
#include "runtime/ops/Families.h"

namespace npucc::ops {
namespace {

//===----------------------------------------------------------------------===//
// Functions. T is float or double, or any number where the function is for all.
//===----------------------------------------------------------------------===//

#define NPUCC_FUNCTION(NAME, EXPR)                                                                 \
  struct NAME {                                                                                    \
    template <typename T> T operator()(T x) const { return static_cast<T>(EXPR); }                 \
  };
NPUCC_FUNCTION(Floor, std::floor(x))
NPUCC_FUNCTION(Ceil, std::ceil(x))
NPUCC_FUNCTION(Round, std::nearbyint(x)) // half to even
NPUCC_FUNCTION(Sqrt, std::sqrt(x))
NPUCC_FUNCTION(Reciprocal, T(1) / x)
NPUCC_FUNCTION(Exp, std::exp(x))
NPUCC_FUNCTION(Log, std::log(x))
NPUCC_FUNCTION(Sin, std::sin(x))
NPUCC_FUNCTION(Cos, std::cos(x))
NPUCC_FUNCTION(Tan, std::tan(x))
NPUCC_FUNCTION(Asin, std::asin(x))
NPUCC_FUNCTION(Acos, std::acos(x))
NPUCC_FUNCTION(Atan, std::atan(x))
NPUCC_FUNCTION(Sinh, std::sinh(x))
NPUCC_FUNCTION(Cosh, std::cosh(x))
NPUCC_FUNCTION(Asinh, std::asinh(x))
NPUCC_FUNCTION(Acosh, std::acosh(x))
NPUCC_FUNCTION(Atanh, std::atanh(x))
NPUCC_FUNCTION(Tanh, std::tanh(x))
NPUCC_FUNCTION(Erf, std::erf(x))
NPUCC_FUNCTION(Sigmoid, T(1) / (T(1) + std::exp(-x)))
// log(1 + e^x) without overflow for large x.
NPUCC_FUNCTION(Softplus, x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)))
NPUCC_FUNCTION(Softsign, x / (T(1) + std::abs(x)))
NPUCC_FUNCTION(HardSwish, x *std::max(T(0), std::min(T(1), x / T(6) + T(0.5))))
NPUCC_FUNCTION(Mish, x *std::tanh(Softplus()(x)))
NPUCC_FUNCTION(GeluErf, T(0.5) * x * (T(1) + std::erf(x * T(0.70710678118654752440))))
NPUCC_FUNCTION(GeluTanh,
               T(0.5) * x *
                   (T(1) + std::tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x))))
NPUCC_FUNCTION(Relu, x > T(0) || x != x ? x : T(0))
NPUCC_FUNCTION(Sign, (x > T(0)) - (x < T(0)))
NPUCC_FUNCTION(BitwiseNot, ~x)
#undef NPUCC_FUNCTION

struct Abs {
  template <typename T> T operator()(T x) const {
    if constexpr (std::is_unsigned_v<T>)
      return x;
    else if constexpr (std::is_integral_v<T>)
      return static_cast<T>(x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x));
    else
      return std::abs(x);
  }
};
struct Neg {
  template <typename T> T operator()(T x) const {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(0 - static_cast<uint64_t>(x));
    else
      return -x;
  }
};

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

template <typename Op> Expected<Tensors> mapFloat(ArrayRef<Tensor> inputs, Op op) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(out, allocate(inputs[0].type(), inputs[0].shape()));
  if (!dispatchFloat(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapUnary<T, T>(inputs[0], out, op);
      }))
    return unsupportedType(out.type());
  return one(out);
}

template <typename Op> Expected<Tensors> floatKernel(const Node &, ArrayRef<Tensor> inputs) {
  return mapFloat(inputs, Op());
}
template <typename Op> constexpr Kernel kFloat = widened<floatKernel<Op>>;

template <typename Op> Expected<Tensors> numericKernel(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(out, allocate(inputs[0].type(), inputs[0].shape()));
  if (!dispatchNumeric(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapUnary<T, T>(inputs[0], out, Op());
      }))
    return unsupportedType(out.type());
  return one(out);
}
template <typename Op> constexpr Kernel kNumeric = widened<numericKernel<Op>>;

Expected<Tensors> bitwiseNot(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(out, allocate(inputs[0].type(), inputs[0].shape()));
  if (!dispatchInteger(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapUnary<T, T>(inputs[0], out, BitwiseNot());
      }))
    return unsupportedType(out.type());
  return one(out);
}

Expected<Tensors> logicalNot(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  if (inputs[0].type() != ElementType::Bool)
    return unsupportedType(inputs[0].type());
  NPUCC_TAKE(out, allocate(ElementType::Bool, inputs[0].shape()));
  mapUnary<uint8_t, uint8_t>(inputs[0], out, [](uint8_t x) { return uint8_t(x == 0); });
  return one(out);
}

template <typename Op> Expected<Tensors> testFloat(ArrayRef<Tensor> inputs, Op op) {
  NPUCC_TRY(require(inputs, 1));
  NPUCC_TAKE(out, allocate(ElementType::Bool, inputs[0].shape()));
  if (!dispatchFloat(inputs[0].type(),
                     [&](auto tag) { mapUnary<uint8_t, decltype(tag)>(inputs[0], out, op); }))
    return unsupportedType(inputs[0].type());
  return one(out);
}
Expected<Tensors> isNan(const Node &, ArrayRef<Tensor> inputs) {
  return testFloat(inputs, [](auto x) { return uint8_t(std::isnan(x)); });
}
Expected<Tensors> isInf(const Node &node, ArrayRef<Tensor> inputs) {
  bool positive = node.getInt("detect_positive", 1), negative = node.getInt("detect_negative", 1);
  return testFloat(inputs,
                   [=](auto x) { return uint8_t(std::isinf(x) && (x > 0 ? positive : negative)); });
}

Expected<Tensors> leakyRelu(const Node &node, ArrayRef<Tensor> inputs) {
  float alpha = node.getFloat("alpha", 0.01f);
  return mapFloat(inputs, [=](auto x) -> decltype(x) { return x < 0 ? alpha * x : x; });
}
Expected<Tensors> elu(const Node &node, ArrayRef<Tensor> inputs) {
  float alpha = node.getFloat("alpha", 1.0f);
  return mapFloat(inputs, [=](auto x) -> decltype(x) { return x < 0 ? alpha * std::expm1(x) : x; });
}
Expected<Tensors> selu(const Node &node, ArrayRef<Tensor> inputs) {
  float alpha = node.getFloat("alpha", 1.67326319217681884765625f);
  float gamma = node.getFloat("gamma", 1.05070102214813232421875f);
  return mapFloat(
      inputs, [=](auto x) -> decltype(x) { return gamma * (x > 0 ? x : alpha * std::expm1(x)); });
}
Expected<Tensors> celu(const Node &node, ArrayRef<Tensor> inputs) {
  float alpha = node.getFloat("alpha", 1.0f);
  if (alpha == 0)
    return fail("alpha must not be 0");
  return mapFloat(inputs, [=](auto x) -> decltype(x) {
    using T = decltype(x);
    return std::max(T(0), x) + std::min(T(0), T(alpha) * std::expm1(x / T(alpha)));
  });
}
Expected<Tensors> thresholdedRelu(const Node &node, ArrayRef<Tensor> inputs) {
  float alpha = node.getFloat("alpha", 1.0f);
  return mapFloat(inputs, [=](auto x) -> decltype(x) { return x > alpha ? x : decltype(x)(0); });
}
Expected<Tensors> hardSigmoid(const Node &node, ArrayRef<Tensor> inputs) {
  float alpha = node.getFloat("alpha", 0.2f), beta = node.getFloat("beta", 0.5f);
  return mapFloat(inputs, [=](auto x) -> decltype(x) {
    using T = decltype(x);
    return std::max(T(0), std::min(T(1), T(alpha) * x + T(beta)));
  });
}
Expected<Tensors> swish(const Node &node, ArrayRef<Tensor> inputs) {
  // Swish (opset 24, alpha 1) and com.microsoft QuickGelu (alpha 1.702).
  float alpha = node.getFloat("alpha", node.opType == "QuickGelu" ? 1.702f : 1.0f);
  return mapFloat(inputs, [=](auto x) -> decltype(x) {
    using T = decltype(x);
    return x / (T(1) + std::exp(-T(alpha) * x));
  });
}
Expected<Tensors> gelu(const Node &node, ArrayRef<Tensor> inputs) {
  std::string approximate = node.getString("approximate", "none");
  if (approximate == "tanh")
    return mapFloat(inputs, GeluTanh());
  if (approximate != "none")
    return fail("approximate '" + approximate + "' is not known");
  return mapFloat(inputs, GeluErf());
}
/// com.microsoft FastGelu and BiasGelu: an optional bias of the last dimension.
Expected<Tensors> biasGelu(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  Tensor x = inputs[0];
  if (present(inputs, 1)) {
    if (x.type() != inputs[1].type() || !broadcastsTo(inputs[1].shape(), x.shape()))
      return fail("bias does not match the input");
    NPUCC_TAKE(sum, allocate(x.type(), x.shape()));
    if (!dispatchFloat(x.type(), [&](auto tag) {
          using T = decltype(tag);
          mapBinary<T, T, T>(x, inputs[1], sum, std::plus<T>());
        }))
      return unsupportedType(x.type());
    x = sum;
  }
  return node.opType == "BiasGelu" ? mapFloat(x, GeluErf()) : mapFloat(x, GeluTanh());
}
Expected<Tensors> shrink(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  float lambda = node.getFloat("lambd", 0.5f), bias = node.getFloat("bias", 0.0f);
  NPUCC_TAKE(out, allocate(inputs[0].type(), inputs[0].shape()));
  if (!dispatchNumeric(out.type(), [&](auto tag) {
        using T = decltype(tag);
        mapUnary<T, T>(inputs[0], out, [=](T x) {
          if constexpr (std::is_integral_v<T>) {
            double y = static_cast<double>(x);
            return y < -lambda ? saturate<T>(y + bias) : y > lambda ? saturate<T>(y - bias) : T(0);
          } else {
            return x < -lambda ? T(x + bias) : x > lambda ? T(x - bias) : T(0);
          }
        });
      }))
    return unsupportedType(out.type());
  return one(out);
}

Expected<Tensors> clip(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  for (size_t i = 1; i < 3; ++i)
    if (present(inputs, i) && (inputs[i].size() != 1 || inputs[i].type() != inputs[0].type()))
      return fail(Twine(i == 1 ? "min" : "max") + " must be a scalar of the input's type");
  NPUCC_TAKE(out, allocate(inputs[0].type(), inputs[0].shape()));
  if (!dispatchNumeric(out.type(), [&](auto tag) {
        using T = decltype(tag);
        T low = present(inputs, 1) ? inputs[1].values<T>()[0] : std::numeric_limits<T>::lowest();
        T high = present(inputs, 2) ? inputs[2].values<T>()[0] : std::numeric_limits<T>::max();
        // An absent bound must let infinities through.
        if (std::is_floating_point_v<T> && !present(inputs, 1))
          low = -std::numeric_limits<T>::infinity();
        if (std::is_floating_point_v<T> && !present(inputs, 2))
          high = std::numeric_limits<T>::infinity();
        mapUnary<T, T>(inputs[0], out, [=](T x) {
          T raised = x < low ? low : x;
          return raised > high ? high : raised;
        });
      }))
    return unsupportedType(out.type());
  return one(out);
}

/// The input, then one that broadcasts to it.
Error inferBiased(InferContext &c) {
  NPUCC_TRY(allFloat(c));
  NPUCC_TRY(oneType(c, 0, 2));
  auto x = dimsOf(c, 0), bias = dimsOf(c, 1);
  if (x && bias && isStatic(*x) && isStatic(*bias) && !broadcastsTo(*bias, *x))
    return fail("bias " + text(*bias) + " does not broadcast to " + text(*x));
  return sameAsFirst(c);
}

Error inferNot(InferContext &c) {
  if (c.has(0) && typeOf(c, 0) != ElementType::Bool)
    return unsupportedType(typeOf(c, 0));
  return sameAsFirst(c);
}

Error inferBits(InferContext &c) {
  if (c.has(0) && !isInteger(typeOf(c, 0)))
    return unsupportedType(typeOf(c, 0));
  return sameAsFirst(c);
}

Error inferClip(InferContext &c) {
  NPUCC_TRY(oneType(c, 0, 3));
  NPUCC_TRY(expectSize(c, 1, "min", 1));
  NPUCC_TRY(expectSize(c, 2, "max", 1));
  return sameAsFirst(c);
}

Error inferBool(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  setOutput(c, 0, ElementType::Bool, dimsOf(c, 0));
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> unaryOps() {
  static const OpInfo table[] = {
      {"", "Abs", 13, sameAsFirst, kNumeric<Abs>},
      {"", "Neg", 13, sameAsFirst, kNumeric<Neg>},
      {"", "Sign", 13, sameAsFirst, kNumeric<Sign>},
      {"", "Relu", 14, sameAsFirst, kNumeric<Relu>},
      {"", "Floor", 13, sameFloat, kFloat<Floor>},
      {"", "Ceil", 13, sameFloat, kFloat<Ceil>},
      {"", "Round", 11, sameFloat, kFloat<Round>},
      {"", "Sqrt", 13, sameFloat, kFloat<Sqrt>},
      {"", "Reciprocal", 13, sameFloat, kFloat<Reciprocal>},
      {"", "Exp", 13, sameFloat, kFloat<Exp>},
      {"", "Log", 13, sameFloat, kFloat<Log>},
      {"", "Sin", 7, sameFloat, kFloat<Sin>},
      {"", "Cos", 7, sameFloat, kFloat<Cos>},
      {"", "Tan", 7, sameFloat, kFloat<Tan>},
      {"", "Asin", 7, sameFloat, kFloat<Asin>},
      {"", "Acos", 7, sameFloat, kFloat<Acos>},
      {"", "Atan", 7, sameFloat, kFloat<Atan>},
      {"", "Sinh", 9, sameFloat, kFloat<Sinh>},
      {"", "Cosh", 9, sameFloat, kFloat<Cosh>},
      {"", "Asinh", 9, sameFloat, kFloat<Asinh>},
      {"", "Acosh", 9, sameFloat, kFloat<Acosh>},
      {"", "Atanh", 9, sameFloat, kFloat<Atanh>},
      {"", "Tanh", 13, sameFloat, kFloat<Tanh>},
      {"", "Erf", 13, sameFloat, kFloat<Erf>},
      {"", "Sigmoid", 13, sameFloat, kFloat<Sigmoid>},
      {"", "Softplus", 1, sameFloat, kFloat<Softplus>},
      {"", "Softsign", 1, sameFloat, kFloat<Softsign>},
      {"", "HardSwish", 14, sameFloat, kFloat<HardSwish>},
      {"", "Mish", 18, sameFloat, kFloat<Mish>},
      {"", "Gelu", 20, sameFloat, widened<gelu>},
      {"", "LeakyRelu", 16, sameFloat, widened<leakyRelu>},
      {"", "Elu", 6, sameFloat, widened<elu>},
      {"", "Selu", 6, sameFloat, widened<selu>},
      {"", "Celu", 12, sameFloat, widened<celu>},
      {"", "ThresholdedRelu", 10, sameFloat, widened<thresholdedRelu>},
      {"", "HardSigmoid", 6, sameFloat, widened<hardSigmoid>},
      {"", "Swish", 24, sameFloat, widened<swish>},
      {"", "Shrink", 9, sameAsFirst, widened<shrink>},
      {"", "Clip", 13, inferClip, widened<clip>},
      {"", "Not", 1, inferNot, logicalNot},
      {"", "BitwiseNot", 18, inferBits, bitwiseNot},
      {"", "IsNaN", 20, inferBool, widened<isNan>},
      {"", "IsInf", 20, inferBool, widened<isInf>},
      {"com.microsoft", "Gelu", 1, sameFloat, kFloat<GeluErf>},
      {"com.microsoft", "QuickGelu", 1, sameFloat, widened<swish>},
      {"com.microsoft", "FastGelu", 1, inferBiased, widened<biasGelu>},
      {"com.microsoft", "BiasGelu", 1, inferBiased, widened<biasGelu>},
  };
  return table;
}

} // namespace npucc::ops
