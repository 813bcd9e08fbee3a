// A vector of doubles as wide as this compilation may use, and rows of floats in and out of it.
#pragma once

#include "simd.h"

namespace {

constexpr int kDoubles = kWidth / 2;
typedef double Doubles __attribute__((vector_size(8 * kDoubles)));
typedef int64_t DoubleMask __attribute__((vector_size(8 * kDoubles)));

PERSONA_INLINE Doubles doubles(double x) { return x - Doubles{}; }

PERSONA_INLINE Doubles clamp(Doubles x, double low, double high) {
  x = x < low ? doubles(low) : x;
  return x > high ? doubles(high) : x;
}

PERSONA_INLINE Doubles square_root(Doubles x) {
#if defined(__AVX512F__)
  return (Doubles)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
  return (Doubles)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__)
  return (Doubles)_mm_sqrt_pd((__m128d)x);
#else
  for (int i = 0; i < kDoubles; ++i) x[i] = __builtin_sqrt(x[i]);
  return x;
#endif
}

// Columns of the rows `first` .. `first + count - 1` of an (n, columns) array; lanes beyond `count`
// repeat the last row.
template <int columns>
PERSONA_INLINE void load_rows(const float* rows, int64_t first, int count, Doubles* out) {
  alignas(64) double buffer[columns][kDoubles];
  const float* p = rows + columns * first;
  if (count == kDoubles) {
    for (int k = 0; k < columns; ++k)
      for (int l = 0; l < kDoubles; ++l) buffer[k][l] = p[columns * l + k];
  } else {
    for (int k = 0; k < columns; ++k)
      for (int l = 0; l < kDoubles; ++l) buffer[k][l] = p[columns * (l < count ? l : count - 1) + k];
  }
  memcpy(out, buffer, sizeof buffer);
}

template <int columns>
PERSONA_INLINE void store_rows(float* rows, int64_t first, int count, const Doubles* values) {
  alignas(64) double buffer[columns][kDoubles];
  memcpy(buffer, values, sizeof buffer);
  float* p = rows + columns * first;
  if (count == kDoubles) {
    for (int l = 0; l < kDoubles; ++l)
      for (int k = 0; k < columns; ++k) p[columns * l + k] = (float)buffer[k][l];
  } else {
    for (int l = 0; l < count; ++l)
      for (int k = 0; k < columns; ++k) p[columns * l + k] = (float)buffer[k][l];
  }
}

}  // namespace
