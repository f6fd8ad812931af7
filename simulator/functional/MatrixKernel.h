//===- MatrixKernel.h - Small dense products of packed panels ---*- C++ -*-===//
//
// C[rows][16] = A[rows][K] * B[K][16], the inner loop of functional matrix commands.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>

namespace npucc {

constexpr int64_t kPanelRows = 6, kPanelCols = 16;

/// A: `rows` (1 to 6) rows of `depth` elements, `lda` apart. B: `depth` rows of 16. C is
/// overwritten, rows `ldc` apart. Integers wrap.
void multiplyPanel(int64_t rows, int64_t depth, const float *a, int64_t lda, const float *b,
                   float *c, int64_t ldc);
void multiplyPanel(int64_t rows, int64_t depth, const int32_t *a, int64_t lda, const int32_t *b,
                   int32_t *c, int64_t ldc);
/// 16-bit inputs go in pairs: `depth` is even, B is [depth / 2][16][2].
void multiplyPanel(int64_t rows, int64_t depth, const int16_t *a, int64_t lda, const int16_t *b,
                   int32_t *c, int64_t ldc);

} // namespace npucc
