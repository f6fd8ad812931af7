//===- Quantize.cpp - QuantizeLinear, DequantizeLinear, Dynamic... --------===//
//
// quantise:   y = saturate(round_half_even(x / scale) + zero), the quotient in fp32
// dequantise: y = (x - zero) * scale, the difference exact, the product in fp32
//
//===----------------------------------------------------------------------===//

#include "runtime/ops/Families.h"
#include "runtime/ops/Quantized.h"

namespace npucc::ops {
namespace {

bool isFloat8(ElementType type) {
  return type >= ElementType::Float8E4M3FN && type <= ElementType::Float8E5M2FNUZ;
}

/// How scales lie over x, seen as [outer, length, inner] around the axis.
struct ScaleLayout {
  int64_t outer = 1, length = 1, inner = 1;
  int64_t block = 0; ///< elements of the axis per scale; 0: one scale for all
  bool blocked = false;

  /// Calls f(first element, count, first scale, step between scales) per run.
  template <typename F> void runs(F &&f) const {
    if (block == 0)
      return f(0, outer * length * inner, 0, 0);
    int64_t blocks = (length + block - 1) / block;
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t k = 0; k < length; ++k) {
        int64_t first = (o * length + k) * inner;
        if (blocked)
          f(first, inner, (o * blocks + k / block) * inner, 1);
        else
          f(first, inner, k, 0);
      }
  }
};

Expected<ScaleLayout> scaleLayout(const Node &node, ArrayRef<int64_t> x, ArrayRef<int64_t> scale) {
  ScaleLayout layout;
  int64_t blockSize = node.getInt("block_size", 0);
  if (scale.empty() || (scale.size() == 1 && scale[0] == 1 && blockSize == 0)) {
    layout.outer = product(x);
    return layout;
  }
  NPUCC_TAKE(axis, normalizeAxis(node.getInt("axis", 1), static_cast<int64_t>(x.size())));
  layout.outer = product(x.take_front(axis));
  layout.length = x[axis];
  layout.inner = product(x.drop_front(axis + 1));
  if (blockSize < 0 || blockSize > (int64_t(1) << 40))
    return fail("block_size " + Twine(blockSize) + " is out of range");
  if (blockSize == 0) {
    if (scale.size() != 1 || scale[0] != x[axis])
      return fail("scale " + text(scale) + " does not fit dimension " + Twine(axis) + " of " +
                  text(x));
    layout.block = 1;
    return layout;
  }
  Shape expected(x.begin(), x.end());
  expected[axis] = (x[axis] + blockSize - 1) / blockSize;
  if (ArrayRef<int64_t>(expected) != scale)
    return fail("scale " + text(scale) + " should be " + text(expected) + " for blocks of " +
                Twine(blockSize));
  layout.block = blockSize;
  layout.blocked = true;
  return layout;
}

Expected<ElementType> quantizedType(const Node &node, ElementType zeroPoint) {
  ElementType type = zeroPoint;
  int64_t stated = node.getInt("output_dtype", 0);
  if (type == ElementType::Undefined && stated > 0 &&
      stated <= static_cast<int64_t>(ElementType::Int4))
    type = static_cast<ElementType>(stated);
  if (type == ElementType::Undefined)
    type = ElementType::Uint8;
  switch (type) {
  case ElementType::Int8:
  case ElementType::Uint8:
  case ElementType::Int16:
  case ElementType::Uint16:
  case ElementType::Int4:
  case ElementType::Uint4:
    return type;
  default:
    if (isFloat8(type))
      return type;
    return fail("cannot quantise to " + text(type));
  }
}

/// Zero points as fp32, which holds those of up to 16 bits exactly.
Expected<std::vector<float>> zerosFor(ArrayRef<Tensor> inputs, const Tensor &scale) {
  if (!present(inputs, 2))
    return std::vector<float>(scale.size(), 0.0f);
  if (inputs[2].shape() != scale.shape() && !(inputs[2].size() == 1 && scale.size() == 1))
    return fail("zero point " + text(inputs[2].shape()) + " and scale " + text(scale.shape()) +
                " differ in shape");
  return floats(inputs[2]);
}

template <typename T>
void quantizeRun(const float *x, T *y, int64_t n, const float *scale, const float *zero,
                 int64_t step, float low, float high) {
  auto convert = [&](float value, float s, float z) {
    float q = std::nearbyint(value / s) + z;
    q = q > low ? q : low; // NaN becomes the least
    return static_cast<T>(static_cast<int32_t>(q < high ? q : high));
  };
  if (step == 0)
    for (int64_t i = 0; i < n; ++i)
      y[i] = convert(x[i], *scale, *zero);
  else
    for (int64_t i = 0; i < n; ++i)
      y[i] = convert(x[i], scale[i], zero[i]);
}

Expected<Tensors> quantize(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  NPUCC_TAKE(layout, scaleLayout(node, inputs[0].shape(), inputs[1].shape()));
  NPUCC_TAKE(type,
             quantizedType(node, present(inputs, 2) ? inputs[2].type() : ElementType::Undefined));
  Tensor x = as(inputs[0], ElementType::Float32), scale = as(inputs[1], ElementType::Float32);
  const float *from = x.values<float>().data(), *factor = scale.values<float>().data();
  NPUCC_TAKE(zero, zerosFor(inputs, scale));
  if (isFloat8(type)) {
    NPUCC_TAKE(quotient, allocate(ElementType::Float32, x.shape()));
    float *to = quotient.mutableValues<float>().data();
    layout.runs([&](int64_t first, int64_t n, int64_t s, int64_t step) {
      for (int64_t i = 0; i < n; ++i)
        to[first + i] = from[first + i] / factor[s + i * step] + zero[s + i * step];
    });
    return one(castTensor(quotient, type));
  }
  // 4-bit values are computed as bytes and packed.
  bool isByteWide = bitWidth(type) <= 8;
  int bits = static_cast<int>(bitWidth(type));
  float low = isSigned(type) ? -std::ldexp(1.0f, bits - 1) : 0.0f;
  float high = std::ldexp(1.0f, isSigned(type) ? bits - 1 : bits) - 1;
  ElementType held = isByteWide ? (isSigned(type) ? ElementType::Int8 : ElementType::Uint8) : type;
  NPUCC_TAKE(out, allocate(held, x.shape()));
  dispatchInteger(held, [&](auto tag) {
    using T = decltype(tag);
    if constexpr (sizeof(T) <= 2) {
      T *to = out.mutableValues<T>().data();
      layout.runs([&](int64_t first, int64_t n, int64_t s, int64_t step) {
        quantizeRun<T>(from + first, to + first, n, factor + s, zero.data() + s, step, low, high);
      });
    }
  });
  return one(as(out, type));
}

Expected<Tensors> dequantize(const Node &node, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 2));
  const Tensor &scale = inputs[1];
  NPUCC_TAKE(layout, scaleLayout(node, inputs[0].shape(), scale.shape()));
  if (!isFloat(scale.type()))
    return fail("scale must be a float");
  std::vector<float> factor = floats(scale);
  NPUCC_TAKE(out, allocate(ElementType::Float32, inputs[0].shape()));
  float *to = out.mutableValues<float>().data();
  Tensor x = inputs[0];
  if (isNibble(x.type()))
    x = castTensor(x, x.type() == ElementType::Int4 ? ElementType::Int8 : ElementType::Uint8);
  if (isFloat8(x.type())) {
    NPUCC_TAKE(zero, zerosFor(inputs, scale));
    std::vector<float> values = floats(x);
    layout.runs([&](int64_t first, int64_t n, int64_t s, int64_t step) {
      for (int64_t i = 0; i < n; ++i)
        to[first + i] = (values[first + i] - zero[s + i * step]) * factor[s + i * step];
    });
    return one(out);
  }
  if (bitWidth(x.type()) > 32)
    return unsupportedType(x.type());
  std::vector<int64_t> zero(scale.size(), 0);
  if (present(inputs, 2)) {
    if (inputs[2].type() != inputs[0].type())
      return fail("the zero point is " + text(inputs[2].type()) + ", the input " +
                  text(inputs[0].type()));
    if (inputs[2].size() != scale.size())
      return fail("zero point " + text(inputs[2].shape()) + " and scale " + text(scale.shape()) +
                  " differ in shape");
    for (int64_t i = 0; i < scale.size(); ++i)
      zero[i] = inputs[2].asInt(i);
  }
  bool known = dispatchInteger(x.type(), [&](auto tag) {
    using T = decltype(tag);
    using Wide = std::conditional_t<sizeof(T) <= 2, int32_t, int64_t>;
    const T *from = x.values<T>().data();
    layout.runs([&](int64_t first, int64_t n, int64_t s, int64_t step) {
      if (step == 0) {
        Wide z = static_cast<Wide>(zero[s]);
        float f = factor[s];
        for (int64_t i = first; i < first + n; ++i)
          to[i] = static_cast<float>(static_cast<Wide>(from[i]) - z) * f;
      } else {
        for (int64_t i = 0; i < n; ++i)
          to[first + i] = static_cast<float>(static_cast<Wide>(from[first + i]) -
                                             static_cast<Wide>(zero[s + i])) *
                          factor[s + i];
      }
    });
  });
  if (!known)
    return unsupportedType(x.type());
  return one(out);
}

/// y, scale and zero point of uint8 over the input's range, which includes 0.
Expected<Tensors> dynamicQuantize(const Node &, ArrayRef<Tensor> inputs) {
  NPUCC_TRY(require(inputs, 1));
  const Tensor &x = inputs[0];
  if (x.type() != ElementType::Float32)
    return unsupportedType(x.type());
  float low = 0, high = 0;
  for (float value : x.values<float>()) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  float scale = high == low ? 1.0f : (high - low) / 255.0f;
  float zero = saturate<uint8_t>(0.0f - low / scale); // 0 for a range that is infinite
  NPUCC_TAKE(out, allocate(ElementType::Uint8, x.shape()));
  quantizeRun<uint8_t>(x.values<float>().data(), out.mutableValues<uint8_t>().data(), x.size(),
                       &scale, &zero, 0, 0.0f, 255.0f);
  Tensors results = one(out);
  results.push_back(Tensor::of<float>(ElementType::Float32, {}, {scale}));
  results.push_back(Tensor::of<uint8_t>(ElementType::Uint8, {}, {static_cast<uint8_t>(zero)}));
  return results;
}

Error inferQuantize(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  NPUCC_TAKE(type, quantizedType(c.node, typeOf(c, 2)));
  setOutput(c, 0, type, dimsOf(c, 0));
  return Error::success();
}
Error inferDequantize(InferContext &c) {
  NPUCC_TRY(require(c, 2));
  if (!isFloat(typeOf(c, 1)))
    return fail("the scale is " + text(typeOf(c, 1)) + ", not a float");
  setOutput(c, 0, typeOf(c, 1), dimsOf(c, 0));
  return Error::success();
}
Error inferDynamicQuantize(InferContext &c) {
  NPUCC_TRY(require(c, 1));
  setOutput(c, 0, ElementType::Uint8, dimsOf(c, 0));
  setOutput(c, 1, ElementType::Float32, Shape());
  setOutput(c, 2, ElementType::Uint8, Shape());
  return Error::success();
}

} // namespace

llvm::ArrayRef<OpInfo> quantizeOps() {
  static const OpInfo table[] = {
      {"", "QuantizeLinear", 21, inferQuantize, quantize},
      {"", "DequantizeLinear", 21, inferDequantize, widened<dequantize>},
      {"", "DynamicQuantizeLinear", 11, inferDynamicQuantize, dynamicQuantize},
      {"com.microsoft", "QuantizeLinear", 1, inferQuantize, quantize},
      {"com.microsoft", "DequantizeLinear", 1, inferDequantize, widened<dequantize>},
  };
  return table;
}

} // namespace npucc::ops

llvm::ArrayRef<npucc::OpInfo> npucc::quantizationOps() {
  static const std::vector<OpInfo> all =
      ops::join({ops::quantizeOps(), ops::microsoftQuantizedOps()});
  return all;
}
