// Structural similarity of two pictures under an 11 x 11 Gaussian window, and its gradient.
//
// The window is a product, so means are taken down the columns first, a few rows at once with
// their sums in registers, and along the rows second. All four means of a place are at hand
// together: the similarity and its slopes are found there and then, and no mean is ever stored.
//
// With the difference d = x - y of the pictures, the two factors of SSIM are
//   (2 mean_x mean_y + C1) / (mean_x^2 + mean_y^2 + C1) = 1 - mean_d^2 / B1
//   (2 cov_xy + C2) / (var_x + var_y + C2) = 1 - var_d / B2.
// Written so, nothing cancels where the pictures are alike: equal ones give exactly one, and a
// gradient of exactly zero.
#include "kernels.h"
#include "simd.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

// exp(-d^2 / (2 * 1.5^2)) for d = -5 .. 5, divided by their sum.
constexpr float kWeights[kSsimReach + 1] = {
    0.00102838008f, 0.00759875814f, 0.0360007721f, 0.10936069f,    0.213005538f,  0.266011725f,
    0.213005538f,   0.10936069f,    0.0360007721f, 0.00759875814f, 0.00102838008f};
constexpr float kC1 = 0.01f * 0.01f, kC2 = 0.03f * 0.03f;  // stabilisers for pictures in [0, 1]

// Subtracted from all pixels: a variance is a small difference of large squares, and smaller
// squares lose less of it.
constexpr float kMiddle = 0.5f;

// Rows blurred at once: as many as have their sums, four each, in registers.
#if defined(__AVX512F__)
constexpr int kRows = 4;
#else
constexpr int kRows = 2;
#endif

// Between the blurs, a row of a tile; room for the window and for a vector that starts at its end.
constexpr int kStride = kSsimColumns + 32;
static_assert(kStride >= kSsimColumns + kSsimReach + kWidth, "a vector would not fit");
static_assert(kSsimRows % kRows == 0, "rows of two tiles would be blurred at once");

template <int maps>
struct Between {
  alignas(64) float rows[kRows][maps][kStride];
};

// Part of a grid that one task works on.
struct Tile {
  int channel, top, left, rows, columns;
};

PERSONA_INLINE Tile tile_of(int index, int width, int height) {
  const int across = tiles_along(width, kSsimColumns), down = tiles_along(height, kSsimRows);
  Tile t;
  t.channel = index / (across * down);
  t.top = index / across % down * kSsimRows;
  t.left = index % across * kSsimColumns;
  t.rows = height - t.top < kSsimRows ? height - t.top : kSsimRows;
  t.columns = width - t.left < kSsimColumns ? width - t.left : kSsimColumns;
  return t;
}

// The first `count` lanes, `kWidth` at most.
PERSONA_INLINE Vec fetch(const float* p, int count) {
  return count == kWidth ? read(p) : read_first(p, count);
}
PERSONA_INLINE void put(float* p, Vec v, int count) {
  if (count == kWidth) {
    write(p, v);
  } else {
    write_first(p, v, count);
  }
}

// Moments of two pictures, whose means under the window are wanted: x, d, x^2 + y^2 and d^2.
struct Moments {
  static constexpr int kMaps = 4;
  const float *picture, *target;
  int64_t stride;
};
PERSONA_INLINE void get(const Moments& m, int row, int column, int count, Vec* v) {
  const int64_t at = row * m.stride + column;
  const Vec x = fetch(m.picture + at, count), y = fetch(m.target + at, count);
  const Vec low_x = x - broadcast(kMiddle), low_y = y - broadcast(kMiddle), d = x - y;
  v[0] = low_x;
  v[1] = d;
  v[2] = low_x * low_x + low_y * low_y;
  v[3] = d * d;
}

// What the similarity of a place owes to its means: to that of x, and twice what it owes to those of
// d^2 and x^2 + y^2.
struct Slopes {
  static constexpr int kMaps = 3;
  const float* maps;
  int64_t stride, map_stride;
};
PERSONA_INLINE void get(const Slopes& s, int row, int column, int count, Vec* v) {
  for (int k = 0; k < Slopes::kMaps; ++k)
    v[k] = fetch(s.maps + k * s.map_stride + row * s.stride + column, count);
}

// Down the columns: row i of the result is the window's mean of the source's rows `row` + i and the
// ten below, for `count` columns. Rows outside [0, height) count as zero.
template <class Source>
PERSONA_INLINE void blur_down(const Source& source, int row, int height, int column, int count,
                              int place, Between<Source::kMaps>& out) {
  constexpr int maps = Source::kMaps;
  Vec sums[kRows][maps] = {};
#pragma GCC unroll 16
  for (int r = 0; r < kRows + kSsimReach; ++r) {
    if (row + r < 0 || row + r >= height) continue;
    Vec v[maps];
    get(source, row + r, column, count, v);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; ++i) {
      if (r < i || r > i + kSsimReach) continue;
#pragma GCC unroll 4
      for (int k = 0; k < maps; ++k) sums[i][k] += kWeights[r - i] * v[k];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 4
    for (int k = 0; k < maps; ++k) write(&out.rows[i][k][place], sums[i][k]);
}

// The same for any number of columns, from `column` on, to the result's `place`.
template <class Source>
PERSONA_INLINE void blur_strip(const Source& source, int row, int height, int column, int columns,
                               int place, Between<Source::kMaps>& out) {
  int c = 0;
  for (; c + kWidth <= columns; c += kWidth)
    blur_down(source, row, height, column + c, kWidth, place + c, out);
  if (c < columns) blur_down(source, row, height, column + c, columns - c, place + c, out);
}

template <int maps>
PERSONA_INLINE void blur_along(const float (*row)[kStride], int column, Vec* means) {
#pragma GCC unroll 4
  for (int k = 0; k < maps; ++k) means[k] = Vec{};
#pragma GCC unroll 16
  for (int d = 0; d <= kSsimReach; ++d)
#pragma GCC unroll 4
    for (int k = 0; k < maps; ++k) means[k] += kWeights[d] * read(&row[k][column + d]);
}

// The similarity of one place, and its slopes.
PERSONA_INLINE Vec similarity(const Vec* means, Vec* slopes) {
  const Vec low_x = means[0], d = means[1], low_y = low_x - d;
  const Vec x = low_x + broadcast(kMiddle), y = low_y + broadcast(kMiddle);
  // Far outside [0, 1] rounding may take a variance below zero; the quotient must stay finite.
  Vec variances = means[2] - low_x * low_x - low_y * low_y;
  variances = variances > Vec{} ? variances : Vec{};
  const Vec b1 = x * x + y * y + kC1, b2 = variances + kC2;
  const Vec inverse = broadcast(1.0f) / (b1 * b2), over_b1 = b2 * inverse, over_b2 = b1 * inverse;
  const Vec shift = d * over_b1, loss = (means[3] - d * d) * over_b2;
  const Vec luminance = 1.0f - d * shift, contrast = 1.0f - loss;
  slopes[1] = -2.0f * luminance * over_b2;
  slopes[2] = -loss * slopes[1];
  slopes[0] = 2.0f * contrast * shift * (x * shift - 1.0f) - d * slopes[1] - low_x * slopes[2];
  return luminance * contrast;
}

// Similarities of one row of a tile, summed in lanes.
template <bool differentiate>
PERSONA_INLINE Vec compare_row(const float (*means)[kStride], int columns, float* slopes,
                               int64_t map_stride) {
  alignas(64) float last[kWidth];
  Vec sum = {};
  for (int c = 0; c < columns; c += kWidth) {
    const int count = columns - c < kWidth ? columns - c : kWidth;
    Vec m[4], slope[3];
    blur_along<4>(means, c, m);
    Vec s = similarity(m, slope);
    if (count < kWidth) write(last, s), s = read_first(last, count);
    sum += s;
    if (differentiate)
      for (int k = 0; k < 3; ++k) put(slopes + k * map_stride + c, slope[k], count);
  }
  return sum;
}

template <bool differentiate>
PERSONA_INLINE double compare_tile(const SsimJob& job, const Tile& t) {
  const int64_t plane = t.channel * job.plane_stride;
  const Moments moments = {job.picture + plane, job.target + plane, job.row_stride};
  const int64_t places_x = job.width - kSsimReach;
  const int64_t places = places_x * (job.height - kSsimReach);
  Between<4> between;
  memset(&between, 0, sizeof between);
  double total = 0.0;
  for (int row = 0; row < t.rows; row += kRows) {
    blur_strip(moments, t.top + row, job.height, t.left, t.columns + kSsimReach, 0, between);
    for (int i = 0; i < kRows && row + i < t.rows; ++i) {
      const int64_t at = 3 * t.channel * places + (t.top + row + i) * places_x + t.left;
      const Vec sum = compare_row<differentiate>(
          between.rows[i], t.columns, differentiate ? job.slopes + at : nullptr, places);
      for (int lane = 0; lane < kWidth; ++lane) total += (double)sum[lane];
    }
  }
  return total;
}

PERSONA_INLINE void differentiate_row(const SsimJob& job, const float (*slopes)[kStride],
                                      int columns, int64_t at) {
  for (int c = 0; c < columns; c += kWidth) {
    const int count = columns - c < kWidth ? columns - c : kWidth;
    Vec m[3];
    blur_along<3>(slopes, c, m);
    const Vec x = fetch(job.picture + at + c, count), y = fetch(job.target + at + c, count);
    const Vec slope = m[0] + (x - y) * m[1] + (x - broadcast(kMiddle)) * m[2];
    put(job.grad_picture + at + c, job.scale * slope, count);
  }
}

// The gradient at a pixel: the slopes of all places whose window holds it, by their weights there.
// The window is symmetric, so that this is a blur again.
PERSONA_INLINE void differentiate_tile(const SsimJob& job, const Tile& t) {
  const int places_x = job.width - kSsimReach, places_y = job.height - kSsimReach;
  const int64_t places = (int64_t)places_x * places_y;
  const Slopes slopes = {job.slopes + 3 * t.channel * places, places_x, places};
  // Columns of places that reach the tile; left and right of them there is nothing but zeros.
  const int missing = t.left < kSsimReach ? kSsimReach - t.left : 0;
  const int first = t.left - kSsimReach + missing;
  const int last = t.left + t.columns < places_x ? t.left + t.columns : places_x;
  Between<3> between;
  memset(&between, 0, sizeof between);
  for (int row = 0; row < t.rows; row += kRows) {
    const int top = t.top + row;
    blur_strip(slopes, top - kSsimReach, places_y, first, last - first, missing, between);
    for (int i = 0; i < kRows && row + i < t.rows; ++i)
      differentiate_row(job, between.rows[i], t.columns,
                        t.channel * job.plane_stride + (top + i) * job.row_stride + t.left);
  }
}

}  // namespace

void ssim_forward(const SsimJob& job, int tile) {
  const Tile t = tile_of(tile, job.width - kSsimReach, job.height - kSsimReach);
  job.sums[tile] = job.slopes != nullptr ? compare_tile<true>(job, t) : compare_tile<false>(job, t);
}

void ssim_backward(const SsimJob& job, int tile) {
  differentiate_tile(job, tile_of(tile, job.width, job.height));
}

}  // namespace PERSONA_ISA
}  // namespace persona
