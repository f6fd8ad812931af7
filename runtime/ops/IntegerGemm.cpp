//===- IntegerGemm.cpp - Exact 8-bit products -----------------------------===//

#include "runtime/ops/IntegerGemm.h"

#include <algorithm>

namespace npucc::ops {

/// Four dot products with one left row: the shape that compilers turn into pmaddwd.
static void dot4(const int16_t *a, const int16_t *b, int64_t depth, int32_t *out) {
  const int16_t *b0 = b, *b1 = b + depth, *b2 = b1 + depth, *b3 = b2 + depth;
  uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0; // unsigned: overflow wraps, as ONNX's int32
  for (int64_t k = 0; k < depth; ++k) {
    int32_t x = a[k];
    s0 += static_cast<uint32_t>(x * b0[k]);
    s1 += static_cast<uint32_t>(x * b1[k]);
    s2 += static_cast<uint32_t>(x * b2[k]);
    s3 += static_cast<uint32_t>(x * b3[k]);
  }
  out[0] = static_cast<int32_t>(s0);
  out[1] = static_cast<int32_t>(s1);
  out[2] = static_cast<int32_t>(s2);
  out[3] = static_cast<int32_t>(s3);
}

static int32_t dot(const int16_t *a, const int16_t *b, int64_t depth) {
  uint32_t sum = 0;
  for (int64_t k = 0; k < depth; ++k)
    sum += static_cast<uint32_t>(int32_t(a[k]) * b[k]);
  return static_cast<int32_t>(sum);
}

void integerGemm(const int16_t *a, const int16_t *b, int32_t *out, int64_t rows, int64_t columns,
                 int64_t depth, int64_t strideOut) {
  // Panels of the right operand that stay in the first-level cache.
  int64_t panel = std::max<int64_t>(4, (int64_t(1) << 13) / std::max<int64_t>(1, depth)) & ~3;
  for (int64_t first = 0; first < columns; first += panel) {
    int64_t last = std::min(columns, first + panel);
    for (int64_t i = 0; i < rows; ++i) {
      const int16_t *left = a + i * depth;
      int32_t *row = out + i * strideOut;
      int64_t j = first;
      for (; j + 4 <= last; j += 4)
        dot4(left, b + j * depth, depth, row + j);
      for (; j < last; ++j)
        row[j] = dot(left, b + j * depth, depth);
    }
  }
}

} // namespace npucc::ops
