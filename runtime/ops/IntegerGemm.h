//===- IntegerGemm.h - Exact 8-bit products ---------------------*- C++ -*-===//
#pragma once

#include <cstdint>

namespace npucc::ops {

/// out[i * strideOut + j] = sum over k of a[i * depth + k] * b[j * depth + k], exact
/// modulo 2^32. Operands are 8-bit values less their zero points, widened to int16.
void integerGemm(const int16_t *a, const int16_t *b, int32_t *out, int64_t rows, int64_t columns,
                 int64_t depth, int64_t strideOut);

} // namespace npucc::ops
