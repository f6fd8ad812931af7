//===- Quantized.cpp - Scales and zero points -----------------------------===//

#include "runtime/ops/Quantized.h"

namespace npucc::ops {

Expected<std::vector<int32_t>> zeroPoints(ArrayRef<Tensor> inputs, size_t i, int64_t channels) {
  if (!present(inputs, i))
    return std::vector<int32_t>(1, 0);
  const Tensor &zero = inputs[i];
  if (!isByte(zero.type()))
    return fail("zero point (input " + Twine(i) + ") must be int8 or uint8, not " +
                text(zero.type()));
  if (zero.size() != 1 && zero.size() != channels)
    return fail("zero point (input " + Twine(i) + ") has " + Twine(zero.size()) +
                " elements, expected 1 or " + Twine(channels));
  std::vector<int32_t> result(zero.size());
  for (size_t k = 0; k < result.size(); ++k)
    result[k] = static_cast<int32_t>(zero.asInt(static_cast<int64_t>(k)));
  return result;
}

Expected<std::vector<float>> scales(ArrayRef<Tensor> inputs, size_t i, int64_t channels) {
  if (!present(inputs, i))
    return fail("input " + Twine(i) + " is missing");
  if (!isFloat(inputs[i].type()))
    return fail("scale (input " + Twine(i) + ") must be a float");
  if (inputs[i].size() != 1 && inputs[i].size() != channels)
    return fail("scale (input " + Twine(i) + ") has " + Twine(inputs[i].size()) +
                " elements, expected 1 or " + Twine(channels));
  return floats(inputs[i]);
}

Expected<std::vector<int16_t>> centred(const Tensor &x, ArrayRef<int32_t> zero, int64_t inner) {
  std::vector<int16_t> result(x.size());
  auto run = [&](auto tag) {
    using T = decltype(tag);
    const T *from = x.values<T>().data();
    int64_t count = static_cast<int64_t>(result.size());
    int64_t block = zero.size() == 1 ? count : inner;
    for (int64_t start = 0, z = 0; start < count; start += block, ++z) {
      int32_t offset = zero[static_cast<size_t>(z) % zero.size()];
      for (int64_t i = start, end = std::min(count, start + block); i < end; ++i)
        result[i] = static_cast<int16_t>(from[i] - offset);
    }
  };
  if (x.type() == ElementType::Int8)
    run(int8_t{});
  else if (x.type() == ElementType::Uint8)
    run(uint8_t{});
  else
    return fail("expected int8 or uint8, not " + text(x.type()));
  return result;
}

template <typename T>
static void requantizeTo(const int32_t *acc, int64_t count, float multiplier, int32_t zero,
                         T *out) {
  constexpr float low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  // Clamping before the zero point keeps the integer conversion in range.
  float least = low - static_cast<float>(zero), most = high - static_cast<float>(zero);
  for (int64_t i = 0; i < count; ++i) {
    float value = std::nearbyint(static_cast<float>(acc[i]) * multiplier);
    value = value > least ? value : least; // NaN becomes the least
    value = value < most ? value : most;
    out[i] = static_cast<T>(static_cast<int32_t>(value) + zero);
  }
}

void requantize(const int32_t *acc, int64_t count, float multiplier, int32_t zero, ElementType type,
                uint8_t *out) {
  if (type == ElementType::Int8)
    requantizeTo(acc, count, multiplier, zero, reinterpret_cast<int8_t *>(out));
  else
    requantizeTo(acc, count, multiplier, zero, out);
}

} // namespace npucc::ops
