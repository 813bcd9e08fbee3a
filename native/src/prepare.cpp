// From the ellipse of a Gaussian to what the tile loops need: factored conic, exact box, tile count.
#include "kernels.h"
#include "simd.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

PERSONA_INLINE float clamp(float x, float low, float high) {
  return x < low ? low : (x > high ? high : x);
}

// log2 of a positive normal number to 1e-7 relative: exponent plus a series in (m-1)/(m+1).
PERSONA_INLINE float log2_positive(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  const uint32_t shifted = bits - 0x3f3504f3u;  // sqrt(1/2): mantissa into [sqrt(1/2), sqrt(2))
  const int32_t exponent = (int32_t)shifted >> 23;
  bits = (shifted & 0x007fffffu) + 0x3f3504f3u;
  float mantissa;
  memcpy(&mantissa, &bits, 4);
  const float s = (mantissa - 1.0f) / (mantissa + 1.0f), q = s * s;
  const float series = 1.0f + q * (1.0f / 3 + q * (1.0f / 5 + q * (1.0f / 7 + q * (1.0f / 9))));
  return (float)exponent + 2.0f * kLog2E * s * series;
}

PERSONA_INLINE uint32_t sortable(float depth) {
  depth += 0.0f;  // -0 sorts with +0
  uint32_t bits;
  memcpy(&bits, &depth, 4);
  return bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
}

}  // namespace

BlockSummary prepare(const PrepareJob& job, int64_t begin, int64_t end) {
  const float last_x = (float)(job.width - 1), last_y = (float)(job.height - 1);
  // sigma = (u^2 + v^2) with u = L11 dx + L21 dy, v = L22 dy, in units of log2.
  const float scale = 0.84932180f;  // sqrt(log2(e) / 2)
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const float x = job.means2d[2 * i] - (float)job.left;
    const float y = job.means2d[2 * i + 1] - (float)job.top;
    const float a = job.conics[3 * i], b = job.conics[3 * i + 1], c = job.conics[3 * i + 2];
    const float opacity = job.opacities[i], depth = job.depths[i];
    // The determinant of a needle cancels; double keeps it.
    const double det = (double)a * c - (double)b * b;
    const bool drawable = a > 0.0f && det > 0.0 && opacity >= 1.0f / 255.0f && x - x == 0.0f &&
                          y - y == 0.0f && depth - depth == 0.0f && c - c == 0.0f &&
                          a - a == 0.0f && opacity - opacity == 0.0f;
    const float safe_a = drawable ? a : 1.0f, safe_det = drawable ? (float)det : 1.0f;
    const float log2_opacity = log2_positive(drawable ? opacity : 1.0f);
    const float l11 = __builtin_sqrtf(safe_a);
    const float l22 = __builtin_sqrtf(safe_det / safe_a);
    // alpha >= 1/255 inside sigma <= ln(255 opacity); its half width is sqrt(2 sigma cov_xx).
    float reach = 2.0f / kLog2E * (log2_opacity - kLog2AlphaMin);
    reach = reach > 0.0f ? reach : 0.0f;
    // A thousandth of a pixel more, so that rounding cannot cut what the exact test would keep.
    const float rx = __builtin_sqrtf(reach * (drawable ? c : 1.0f) / safe_det) * 1.0001f + 1e-3f;
    const float ry = __builtin_sqrtf(reach * safe_a / safe_det) * 1.0001f + 1e-3f;
    // First and last pixel whose centre (i + 1/2) lies inside; clamped before the conversion.
    const float x0 = __builtin_ceilf(clamp(x - rx - 0.5f, 0.0f, last_x + 1.0f));
    const float x1 = __builtin_floorf(clamp(x + rx - 0.5f, -1.0f, last_x));
    const float y0 = __builtin_ceilf(clamp(y - ry - 0.5f, 0.0f, last_y + 1.0f));
    const float y1 = __builtin_floorf(clamp(y + ry - 0.5f, -1.0f, last_y));
    const int ix0 = (int)x0, ix1 = (int)x1, iy0 = (int)y0, iy1 = (int)y1;
    const bool seen = drawable && ix1 >= ix0 && iy1 >= iy0;
    job.boxes[4 * i] = (int16_t)ix0;
    job.boxes[4 * i + 1] = (int16_t)ix1;
    job.boxes[4 * i + 2] = (int16_t)iy0;
    job.boxes[4 * i + 3] = (int16_t)iy1;
    float* out = job.prepared + kPreparedStride * i;
    out[0] = x;
    out[1] = y;
    out[2] = scale * l11;
    out[3] = scale * (drawable ? b : 0.0f) / l11;
    out[4] = scale * l22;
    out[5] = log2_opacity;
    out[6] = 0.0f;
    out[7] = 0.0f;
    job.keys[i] = sortable(depth);
    const int tiles = ((ix1 >> 4) - (ix0 >> 4) + 1) * ((iy1 >> 4) - (iy0 >> 4) + 1);
    job.tile_counts[i] = seen ? (uint32_t)tiles : 0u;
  }
  BlockSummary summary = {0, 0, 0xffffffffu, 0};
  for (int64_t i = begin; i < end; ++i) {
    const uint32_t count = job.tile_counts[i], key = job.keys[i];
    if (count == 0) continue;
    summary.visible += 1;
    summary.entries += count;
    if (key < summary.smallest_key) summary.smallest_key = key;
    if (key > summary.largest_key) summary.largest_key = key;
  }
  return summary;
}

int64_t count_unfinite(const float* values, int64_t count) {
  int64_t found = 0;
#pragma omp simd reduction(+ : found)
  for (int64_t i = 0; i < count; ++i) {
    int32_t bits;
    memcpy(&bits, values + i, 4);
    found += (bits & 0x7f800000) == 0x7f800000;
  }
  return found;
}

}  // namespace PERSONA_ISA
}  // namespace persona
