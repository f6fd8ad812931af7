//===- MatrixKernel.cpp - Small dense products of packed panels -----------===//
//
// Six rows by two vectors of eight columns fill twelve of the sixteen AVX registers; the
// vector types below are GNU extensions that both compilers lower on any target.
//
//===----------------------------------------------------------------------===//

#include "simulator/functional/MatrixKernel.h"

#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

using namespace npucc;

namespace {

template <class T> using Vector __attribute__((vector_size(32))) = T;

template <class V> V loadVector(const void *from) {
  V value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// T: float, or uint32_t so that overflow wraps.
template <class T, int rows>
void panel(int64_t depth, const T *a, int64_t lda, const T *b, T *c, int64_t ldc) {
  using V = Vector<T>;
  V sums[rows][2] = {};
  for (int64_t k = 0; k < depth; ++k) {
    V b0 = loadVector<V>(b + k * kPanelCols), b1 = loadVector<V>(b + k * kPanelCols + 8);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
      T value = a[r * lda + k];
      sums[r][0] += value * b0;
      sums[r][1] += value * b1;
    }
  }
  for (int r = 0; r < rows; ++r)
    std::memcpy(c + r * ldc, sums[r], sizeof sums[r]);
}

#ifdef __AVX2__
template <int rows>
void panel16(int64_t depth, const int16_t *a, int64_t lda, const int16_t *b, int32_t *c,
             int64_t ldc) {
  __m256i sums[rows][2];
  for (int r = 0; r < rows; ++r)
    sums[r][0] = sums[r][1] = _mm256_setzero_si256();
  for (int64_t k = 0; k < depth; k += 2) {
    const auto *row = reinterpret_cast<const __m256i *>(b + k * kPanelCols);
    __m256i b0 = _mm256_loadu_si256(row), b1 = _mm256_loadu_si256(row + 1);
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r) {
      int32_t pair;
      std::memcpy(&pair, a + r * lda + k, sizeof pair);
      __m256i value = _mm256_set1_epi32(pair);
      sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(value, b0));
      sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(value, b1));
    }
  }
  for (int r = 0; r < rows; ++r)
    std::memcpy(c + r * ldc, sums[r], sizeof sums[r]);
}
#else
template <int rows>
void panel16(int64_t depth, const int16_t *a, int64_t lda, const int16_t *b, int32_t *c,
             int64_t ldc) {
  uint32_t sums[rows][kPanelCols] = {};
  for (int64_t k = 0; k < depth; k += 2)
    for (int r = 0; r < rows; ++r)
      for (int64_t j = 0; j < kPanelCols; ++j)
        sums[r][j] += uint32_t(a[r * lda + k] * b[k * kPanelCols + 2 * j]) +
                      uint32_t(a[r * lda + k + 1] * b[k * kPanelCols + 2 * j + 1]);
  for (int r = 0; r < rows; ++r)
    std::memcpy(c + r * ldc, sums[r], sizeof sums[r]);
}
#endif

template <class T>
void dispatch(int64_t rows, int64_t depth, const T *a, int64_t lda, const T *b, T *c, int64_t ldc) {
  switch (rows) {
  case 1:
    return panel<T, 1>(depth, a, lda, b, c, ldc);
  case 2:
    return panel<T, 2>(depth, a, lda, b, c, ldc);
  case 3:
    return panel<T, 3>(depth, a, lda, b, c, ldc);
  case 4:
    return panel<T, 4>(depth, a, lda, b, c, ldc);
  case 5:
    return panel<T, 5>(depth, a, lda, b, c, ldc);
  default:
    return panel<T, 6>(depth, a, lda, b, c, ldc);
  }
}

} // namespace

void npucc::multiplyPanel(int64_t rows, int64_t depth, const float *a, int64_t lda, const float *b,
                          float *c, int64_t ldc) {
  dispatch(rows, depth, a, lda, b, c, ldc);
}

void npucc::multiplyPanel(int64_t rows, int64_t depth, const int32_t *a, int64_t lda,
                          const int32_t *b, int32_t *c, int64_t ldc) {
  dispatch(rows, depth, reinterpret_cast<const uint32_t *>(a), lda,
           reinterpret_cast<const uint32_t *>(b), reinterpret_cast<uint32_t *>(c), ldc);
}

void npucc::multiplyPanel(int64_t rows, int64_t depth, const int16_t *a, int64_t lda,
                          const int16_t *b, int32_t *c, int64_t ldc) {
  switch (rows) {
  case 1:
    return panel16<1>(depth, a, lda, b, c, ldc);
  case 2:
    return panel16<2>(depth, a, lda, b, c, ldc);
  case 3:
    return panel16<3>(depth, a, lda, b, c, ldc);
  case 4:
    return panel16<4>(depth, a, lda, b, c, ldc);
  case 5:
    return panel16<5>(depth, a, lda, b, c, ldc);
  default:
    return panel16<6>(depth, a, lda, b, c, ldc);
  }
}
