//===- Float.h - Bits of the small floating-point formats -------*- C++ -*-===//
//
// fp16, bf16 and the four fp8 formats of ONNX, to and from double. Every value
// of these formats is exact in double, and encoding rounds once, to nearest
// even, so that no double rounding can creep in by way of float.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/tensor/ElementType.h"

namespace npucc {

/// The value of the bit pattern `bits` of `type` (fp16, bf16 or an fp8 format).
double decodeFloat(ElementType type, uint32_t bits);

/// The bit pattern of `value` in `type` (fp16, bf16 or an fp8 format). fp16 and
/// bf16 overflow to infinity. fp8 saturates to the largest finite value, or with
/// `saturate` false becomes infinity (NaN where the format has none).
uint32_t encodeFloat(ElementType type, double value, bool saturate = true);

} // namespace npucc
