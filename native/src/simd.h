// Sixteen float lanes, one per pixel of a 4x4 block, made of the widest vectors this compilation
// may use: one of 16, two of 8 or four of 4. Everything here is internal to its translation unit.
#pragma once

#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif
constexpr int kParts = 16 / kWidth;

#define PERSONA_INLINE static inline __attribute__((always_inline))

typedef float Vec __attribute__((vector_size(4 * kWidth)));
typedef int32_t IntVec __attribute__((vector_size(4 * kWidth)));

struct Lanes {
  Vec part[kParts];
};

// The compiler folds x - 0 to a bare broadcast; x + 0 would cost an addition.
PERSONA_INLINE Vec broadcast(float x) { return x - Vec{}; }

PERSONA_INLINE Lanes lanes(float x) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) r.part[k] = broadcast(x);
  return r;
}

// Vector by vector: a memcpy of the whole would go through memory in 16-byte pieces, and reading
// those back as one vector stalls. `p` is 64-byte aligned.
typedef Vec AliasVec __attribute__((may_alias));

PERSONA_INLINE Lanes load(const float* p) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) r.part[k] = *(const AliasVec*)(p + kWidth * k);
  return r;
}

PERSONA_INLINE void store(float* p, const Lanes& a) {
  for (int k = 0; k < kParts; ++k) *(AliasVec*)(p + kWidth * k) = a.part[k];
}

// One vector from or to anywhere.
typedef float RowVec __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

PERSONA_INLINE Vec read(const float* p) { return *(const RowVec*)p; }
PERSONA_INLINE void write(float* p, Vec v) { *(RowVec*)p = v; }

// The same for its first `count` lanes, touching no other memory; the others are read as zero.
PERSONA_INLINE Vec read_first(const float* p, int count) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
  Vec v = {};
  for (int i = 0; i < count; ++i) v[i] = p[i];
  return v;
#endif
}
PERSONA_INLINE void write_first(float* p, Vec v, int count) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#else
  for (int i = 0; i < count; ++i) p[i] = v[i];
#endif
}

#define PERSONA_LANE_OPERATOR(op)                                       \
  PERSONA_INLINE Lanes operator op(const Lanes& a, const Lanes& b) {    \
    Lanes r;                                                            \
    for (int k = 0; k < kParts; ++k) r.part[k] = a.part[k] op b.part[k]; \
    return r;                                                           \
  }                                                                     \
  PERSONA_INLINE Lanes operator op(const Lanes& a, float b) {           \
    Lanes r;                                                            \
    for (int k = 0; k < kParts; ++k) r.part[k] = a.part[k] op broadcast(b); \
    return r;                                                           \
  }                                                                     \
  PERSONA_INLINE Lanes operator op(float a, const Lanes& b) {           \
    Lanes r;                                                            \
    for (int k = 0; k < kParts; ++k) r.part[k] = broadcast(a) op b.part[k]; \
    return r;                                                           \
  }
PERSONA_LANE_OPERATOR(+)
PERSONA_LANE_OPERATOR(-)
PERSONA_LANE_OPERATOR(*)
PERSONA_LANE_OPERATOR(/)
#undef PERSONA_LANE_OPERATOR

// A yes or no per lane.
#if defined(__AVX512F__)
struct Mask {
  __mmask16 bits;
};
PERSONA_INLINE Mask at_least(const Lanes& a, float b) {
  return {_mm512_cmp_ps_mask((__m512)a.part[0], _mm512_set1_ps(b), _CMP_GE_OQ)};
}
PERSONA_INLINE Mask greater(const Lanes& a, float b) {
  return {_mm512_cmp_ps_mask((__m512)a.part[0], _mm512_set1_ps(b), _CMP_GT_OQ)};
}
// The same for the lanes of `among`; no for the others.
PERSONA_INLINE Mask at_least(Mask among, const Lanes& a, float b) {
  return {_mm512_mask_cmp_ps_mask(among.bits, (__m512)a.part[0], _mm512_set1_ps(b), _CMP_GE_OQ)};
}
PERSONA_INLINE Mask greater(Mask among, const Lanes& a, float b) {
  return {_mm512_mask_cmp_ps_mask(among.bits, (__m512)a.part[0], _mm512_set1_ps(b), _CMP_GT_OQ)};
}
PERSONA_INLINE Mask less(Mask among, const Lanes& a, float b) {
  return {_mm512_mask_cmp_ps_mask(among.bits, (__m512)a.part[0], _mm512_set1_ps(b), _CMP_LT_OQ)};
}
PERSONA_INLINE bool any(Mask m) { return m.bits != 0; }
PERSONA_INLINE uint32_t bits_of(Mask m) { return m.bits; }
PERSONA_INLINE Lanes select(Mask m, const Lanes& yes, const Lanes& no) {
  Lanes r;
  r.part[0] = (Vec)_mm512_mask_blend_ps(m.bits, (__m512)no.part[0], (__m512)yes.part[0]);
  return r;
}
PERSONA_INLINE Lanes or_zero(Mask m, const Lanes& yes) {
  Lanes r;
  r.part[0] = (Vec)_mm512_maskz_mov_ps(m.bits, (__m512)yes.part[0]);
  return r;
}
#else
struct Mask {
  IntVec part[kParts];
};
PERSONA_INLINE Mask at_least(const Lanes& a, float b) {
  Mask r;
  for (int k = 0; k < kParts; ++k) r.part[k] = a.part[k] >= broadcast(b);
  return r;
}
PERSONA_INLINE Mask greater(const Lanes& a, float b) {
  Mask r;
  for (int k = 0; k < kParts; ++k) r.part[k] = a.part[k] > broadcast(b);
  return r;
}
PERSONA_INLINE Mask at_least(const Mask& among, const Lanes& a, float b) {
  Mask r = at_least(a, b);
  for (int k = 0; k < kParts; ++k) r.part[k] &= among.part[k];
  return r;
}
PERSONA_INLINE Mask greater(const Mask& among, const Lanes& a, float b) {
  Mask r = greater(a, b);
  for (int k = 0; k < kParts; ++k) r.part[k] &= among.part[k];
  return r;
}
PERSONA_INLINE Mask less(const Mask& among, const Lanes& a, float b) {
  Mask r;
  for (int k = 0; k < kParts; ++k) r.part[k] = (a.part[k] < broadcast(b)) & among.part[k];
  return r;
}
PERSONA_INLINE bool any(const Mask& m) {
  IntVec joined = m.part[0];
  for (int k = 1; k < kParts; ++k) joined |= m.part[k];
#if defined(__AVX2__)
  return _mm256_movemask_ps((__m256)joined) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_ps((__m128)joined) != 0;
#else
  int32_t sum = 0;
  for (int i = 0; i < kWidth; ++i) sum |= joined[i];
  return sum != 0;
#endif
}
// One bit a lane, the first lane lowest.
PERSONA_INLINE uint32_t bits_of(const Mask& m) {
  uint32_t bits = 0;
  for (int k = 0; k < kParts; ++k) {
#if defined(__AVX2__)
    bits |= (uint32_t)_mm256_movemask_ps((__m256)m.part[k]) << (kWidth * k);
#elif defined(__SSE2__)
    bits |= (uint32_t)_mm_movemask_ps((__m128)m.part[k]) << (kWidth * k);
#else
    for (int i = 0; i < kWidth; ++i) bits |= (m.part[k][i] & 1u) << (kWidth * k + i);
#endif
  }
  return bits;
}
PERSONA_INLINE Lanes select(const Mask& m, const Lanes& yes, const Lanes& no) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) r.part[k] = m.part[k] ? yes.part[k] : no.part[k];
  return r;
}
PERSONA_INLINE Lanes or_zero(const Mask& m, const Lanes& yes) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) r.part[k] = (Vec)(m.part[k] & (IntVec)yes.part[k]);
  return r;
}
#endif

PERSONA_INLINE Lanes smaller(const Lanes& a, float b) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) {
#if defined(__AVX512F__)
    r.part[k] = (Vec)_mm512_min_ps((__m512)a.part[k], _mm512_set1_ps(b));
#else
    const Vec limit = broadcast(b);
    r.part[k] = a.part[k] < limit ? a.part[k] : limit;
#endif
  }
  return r;
}

PERSONA_INLINE Lanes absolute(const Lanes& a) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) r.part[k] = (Vec)((IntVec)a.part[k] & 0x7fffffff);
  return r;
}

PERSONA_INLINE Lanes above_zero(const Lanes& a) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) {
#if defined(__AVX512F__)
    r.part[k] = (Vec)_mm512_max_ps((__m512)a.part[k], _mm512_setzero_ps());
#else
    r.part[k] = a.part[k] > Vec{} ? a.part[k] : Vec{};
#endif
  }
  return r;
}

// Lists the places, among the first `count`, whose word has the bit; returns how many. Words are
// read, and places written, up to the next multiple of sixteen.
PERSONA_INLINE int list_bits(const uint16_t* words, int count, int bit, uint32_t* places) {
  int length = 0;
#if defined(__AVX512F__)
  const __m512i wanted = _mm512_set1_epi32(1 << bit);
  __m512i here = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  for (int i = 0; i < count; i += 16) {
    const __m512i word = _mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i*)(words + i)));
    const __mmask16 has = _mm512_test_epi32_mask(word, wanted);
    // Compressing into a register and storing it whole: straight to memory is ten times slower
    // on some processors.
    _mm512_storeu_si512(places + length, _mm512_maskz_compress_epi32(has, here));
    length += __builtin_popcount(has);
    here = _mm512_add_epi32(here, _mm512_set1_epi32(16));
  }
#else
  for (int i = 0; i < count; ++i) {
    places[length] = (uint32_t)i;
    length += words[i] >> bit & 1;
  }
#endif
  return length;
}

// 1 / x to 3e-7 relative for ordinary x: an estimate and one step of Newton's, a third of the time
// of a division.
PERSONA_INLINE Lanes reciprocal(const Lanes& x) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) {
#if defined(__AVX512F__)
    const Vec guess = (Vec)_mm512_rcp14_ps((__m512)x.part[k]);
#elif defined(__AVX2__)
    const Vec guess = (Vec)_mm256_rcp_ps((__m256)x.part[k]);
#elif defined(__SSE2__)
    const Vec guess = (Vec)_mm_rcp_ps((__m128)x.part[k]);
#else
    r.part[k] = broadcast(1.0f) / x.part[k];
    continue;
#endif
#if defined(__SSE2__)
    r.part[k] = guess + guess * (broadcast(1.0f) - x.part[k] * guess);
#endif
  }
  return r;
}

// 2^x to 3e-7 relative for -126 < x < 127; anything else gives garbage without harm.
PERSONA_INLINE Lanes exp2_lanes(const Lanes& x) {
  Lanes r;
  for (int k = 0; k < kParts; ++k) {
#if defined(__AVX512F__)
    const Vec whole = (Vec)_mm512_roundscale_ps((__m512)x.part[k], 8);
#else
    // Adding 1.5 * 2^23 leaves the rounded integer in the low bits of the mantissa.
    const Vec shifted = x.part[k] + broadcast(12582912.0f);
    const Vec whole = shifted - broadcast(12582912.0f);
#endif
    const Vec f = x.part[k] - whole;
    // Smallest largest relative error over |f| <= 1/2, by linear programming: 7e-8.
    Vec p = f * broadcast(1.3291766e-3f) + broadcast(9.6756248e-3f);
    p = p * f + broadcast(5.5506539e-2f);
    p = p * f + broadcast(2.4022120e-1f);
    p = p * f + broadcast(6.9314700e-1f);
    p = p * f + broadcast(1.0f);
#if defined(__AVX512F__)
    r.part[k] = (Vec)_mm512_scalef_ps((__m512)p, (__m512)whole);
#else
    r.part[k] = (Vec)((IntVec)p + ((IntVec)shifted << 23));
#endif
  }
  return r;
}

// One level of the transposing sum: lane i of the result holds a[i] + a[i ^ d] where bit d of i is
// clear, and b[i] + b[i ^ d] where it is set.
#if defined(__clang__) || __GNUC__ >= 12
template <int d>
PERSONA_INLINE Vec fold_pair(Vec a, Vec b) {
#if defined(__AVX512F__)
#define PERSONA_PICK(i) (((i) & d) ? (i) + 16 : (i))
#define PERSONA_SWAP(i) (((i) & d) ? ((i) ^ d) + 16 : ((i) ^ d))
#define PERSONA_ALL(f)                                                                         \
  f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), \
      f(15)
#elif defined(__AVX2__)
#define PERSONA_PICK(i) (((i) & d) ? (i) + 8 : (i))
#define PERSONA_SWAP(i) (((i) & d) ? ((i) ^ d) + 8 : ((i) ^ d))
#define PERSONA_ALL(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define PERSONA_PICK(i) (((i) & d) ? (i) + 4 : (i))
#define PERSONA_SWAP(i) (((i) & d) ? ((i) ^ d) + 4 : ((i) ^ d))
#define PERSONA_ALL(f) f(0), f(1), f(2), f(3)
#endif
  return __builtin_shufflevector(a, b, PERSONA_ALL(PERSONA_PICK)) +
         __builtin_shufflevector(a, b, PERSONA_ALL(PERSONA_SWAP));
#undef PERSONA_PICK
#undef PERSONA_SWAP
#undef PERSONA_ALL
}
#else
template <int d>
PERSONA_INLINE Vec fold_pair(Vec a, Vec b) {
  Vec r;
  for (int i = 0; i < kWidth; ++i) r[i] = (i & d) ? b[i] + b[i ^ d] : a[i] + a[i ^ d];
  return r;
}
#endif

template <int count, int d>
PERSONA_INLINE Vec fold_level(const Vec* v) {
  if constexpr (d == kWidth) {
    return v[0];
  } else {
    constexpr int half = (count + 1) / 2;
    Vec next[half];
    for (int i = 0; i < count / 2; ++i) next[i] = fold_pair<d>(v[2 * i], v[2 * i + 1]);
    if constexpr (count % 2 == 1) next[half - 1] = fold_pair<d>(v[count - 1], v[count - 1]);
    return fold_level<half, 2 * d>(next);
  }
}

template <int count, int total>
PERSONA_INLINE void sum_group(const Lanes* v, float* sums) {
  Vec joined[count];
  for (int i = 0; i < count; ++i) {
    joined[i] = v[i].part[0];
    for (int k = 1; k < kParts; ++k) joined[i] += v[i].part[k];
  }
  const Vec r = fold_level<count, 1>(joined);
  memcpy(sums, &r, sizeof(float) * count);
  if constexpr (total > count) {
    constexpr int rest = total - count;
    sum_group<(rest < kWidth ? rest : kWidth), rest>(v + count, sums + count);
  }
}

// sums[i] = sum over the lanes of v[i], for all i < count, in a fixed order.
template <int count>
PERSONA_INLINE void sum_lanes(const Lanes* v, float* sums) {
  sum_group<(count < kWidth ? count : kWidth), count>(v, sums);
}

}  // namespace
