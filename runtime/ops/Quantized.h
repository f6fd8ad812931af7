//===- Quantized.h - Scales and zero points ---------------------*- C++ -*-===//
#pragma once

#include "runtime/ops/Support.h"

namespace npucc::ops {

/// Zero points as int32: one, or `channels`; zeros when the input is absent.
Expected<std::vector<int32_t>> zeroPoints(ArrayRef<Tensor> inputs, size_t i, int64_t channels);
/// Scales as fp32: one, or `channels`.
Expected<std::vector<float>> scales(ArrayRef<Tensor> inputs, size_t i, int64_t channels);

inline bool isByte(ElementType type) {
  return type == ElementType::Int8 || type == ElementType::Uint8;
}

/// x - zero as int16, which holds every difference of two bytes. Zero points are
/// one, or one for each run of `inner` elements, cyclically.
Expected<std::vector<int16_t>> centred(const Tensor &x, ArrayRef<int32_t> zero, int64_t inner);

/// y = saturate(round_half_even(acc * multiplier) + zero). The multiplier
/// sx * sw / sy and the product are fp32, as ONNX Runtime computes them.
void requantize(const int32_t *acc, int64_t count, float multiplier, int32_t zero, ElementType type,
                uint8_t *out);

} // namespace npucc::ops
