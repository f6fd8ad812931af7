//===- Elements.h - Stored numbers to f32 and i64, and back -----*- C++ -*-===//
//
// Strided conversion loops, one set per element type, picked once per operand. Memories
// hold one element per byte at least: 4-bit types lie in the low half of a byte.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/tensor/ElementType.h"

#include <cstdint>

namespace npucc {

/// Bytes of an element in the memories of the NPU.
inline int64_t elementBytes(ElementType type) { return (bitWidth(type) + 7) / 8; }

using LoadFloats = void (*)(const uint8_t *from, int64_t stride, int64_t count, float *to);
using LoadInts = void (*)(const uint8_t *from, int64_t stride, int64_t count, int64_t *to);
/// Float to integer: rounds half to even, then saturates; NaN gives 0.
using StoreFloats = void (*)(uint8_t *to, int64_t stride, int64_t count, const float *from);
/// Integer to a narrower integer: wraps.
using StoreInts = void (*)(uint8_t *to, int64_t stride, int64_t count, const int64_t *from);

struct ElementAccess {
  LoadFloats loadFloats = nullptr;
  LoadInts loadInts = nullptr;
  StoreFloats storeFloats = nullptr;
  StoreInts storeInts = nullptr;
};

/// All null for types that cannot be computed with.
const ElementAccess &accessOf(ElementType type);

/// A stored number as double, exact for every type but the 64-bit integers.
double decodeElement(ElementType type, const uint8_t *from);
/// The nearest stored number; integers saturate.
void encodeElement(ElementType type, double value, uint8_t *to);

/// `value` rounded to a storage format and back.
void roundTo(ElementType format, int64_t count, const float *from, float *to);
/// Integers wrapped to a narrower type.
void wrapTo(ElementType type, int64_t count, int64_t *values);
/// Truncates towards zero and saturates at `type` (Undefined: int64).
void truncateTo(ElementType type, int64_t count, const float *from, int64_t *to);

} // namespace npucc
