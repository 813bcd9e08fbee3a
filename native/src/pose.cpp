// Carries Gaussians along with a body: means, covariances that stretch with the skin, normals.
//
// One Gaussian a lane. Bones come block by block, each with its shares in sixteen neighbours, so
// that their transforms are broadcast; gathering them for each Gaussian would cost most of the time.
#include "kernels.h"
#include "simd.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

constexpr float kShortest = 1e-9f;   // length of a tangent that is divided by [-]
constexpr float kFlattest = 1e-12f;  // length of a normal that is divided by [-]

PERSONA_INLINE Vec root(Vec x) {
#if defined(__AVX512F__)
  return (Vec)_mm512_sqrt_ps((__m512)x);
#elif defined(__AVX2__)
  return (Vec)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__)
  return (Vec)_mm_sqrt_ps((__m128)x);
#else
  for (int i = 0; i < kWidth; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

PERSONA_INLINE Vec length(const Vec* v, float least) {
  const Vec l = root(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  return l > broadcast(least) ? l : broadcast(least);
}

// What expression and pose add to the rest skin, read at a place on a triangle.
PERSONA_INLINE void add_flesh(const PoseJob& job, const int32_t* corners, const float* shares,
                              Vec* x) {
  for (int corner = 0; corner < 3; ++corner) {
    alignas(64) float columns[3][kWidth];
    for (int lane = 0; lane < kWidth; ++lane) {
      const float* v = job.flesh + 3 * (int64_t)corners[kPoseBlock * corner + lane];
      for (int axis = 0; axis < 3; ++axis) columns[axis][lane] = v[axis];
    }
    const Vec share = read(shares + kPoseBlock * corner);
    for (int axis = 0; axis < 3; ++axis) x[axis] += share * read(columns[axis]);
  }
}

// The skinned point, and the derivative (row-major) of skinning along the rest surface:
// F = sum_k w_k A_k + (T_k x) (grad w_k)^T.
PERSONA_INLINE void skin(const PoseJob& job, int64_t block, int first_lane, const Vec* x,
                         Vec* mean, Vec* f) {
  for (int i = 0; i < 3; ++i) mean[i] = Vec{};
  for (int i = 0; i < 9; ++i) f[i] = Vec{};
  for (int32_t s = job.share_begin[block]; s < job.share_begin[block + 1]; ++s) {
    const float* t = job.bones + 16 * (int64_t)job.share_bones[s];
    const float* share = job.shares + (int64_t)4 * kPoseBlock * s + first_lane;
    const Vec w = read(share);
    for (int i = 0; i < 3; ++i) {
      const float* row = t + 4 * i;
      const Vec carried = row[0] * x[0] + row[1] * x[1] + row[2] * x[2] + row[3];
      mean[i] += w * carried;
      for (int j = 0; j < 3; ++j)
        f[3 * i + j] += w * row[j] + carried * read(share + kPoseBlock * (1 + j));
    }
  }
}

// Columns of `count` lanes to the rows of an (n, columns) array.
template <int columns>
PERSONA_INLINE void write_rows(float* rows, int64_t first, int count, const Vec* values) {
  alignas(64) float buffer[columns][kWidth];
  memcpy(buffer, values, sizeof buffer);
  float* p = rows + columns * first;
  for (int lane = 0; lane < count; ++lane)
    for (int k = 0; k < columns; ++k) p[columns * lane + k] = buffer[k][lane];
}

// Offsets of Gaussians that exist; lanes beyond `count` stay where they are.
PERSONA_INLINE void add_offsets(const PoseJob& job, int64_t first, int count, Vec* x) {
  alignas(64) float columns[3][kWidth] = {};
  for (int lane = 0; lane < count; ++lane)
    for (int axis = 0; axis < 3; ++axis)
      columns[axis][lane] = job.offsets[3 * (first + lane) + axis];
  for (int axis = 0; axis < 3; ++axis) x[axis] += read(columns[axis]);
}

// The slope of the offsets, row by row; of lanes beyond `count`, none.
PERSONA_INLINE void read_slopes(const PoseJob& job, int64_t first, int count, Vec* slope) {
  alignas(64) float columns[9][kWidth] = {};
  for (int lane = 0; lane < count; ++lane)
    for (int k = 0; k < 9; ++k) columns[k][lane] = job.slopes[9 * (first + lane) + k];
  for (int k = 0; k < 9; ++k) slope[k] = read(columns[k]);
}

PERSONA_INLINE void pose_lanes(const PoseJob& job, int64_t first, int count) {
  const int64_t block = first / kPoseBlock;
  const int lane = (int)(first % kPoseBlock);
  const float* rest = job.rest + block * kPoseColumns * kPoseBlock + lane;
  const auto column = [rest](int k) { return read(rest + kPoseBlock * k); };

  Vec x[3] = {column(0), column(1), column(2)};
  add_flesh(job, job.corners + block * 3 * kPoseBlock + lane, rest + 3 * kPoseBlock, x);
  if (job.offsets != nullptr) add_offsets(job, first, count, x);
  Vec mean[3], f[9];
  skin(job, block, lane, x, mean, f);

  Vec slope[9];
  if (job.slopes != nullptr) read_slopes(job, first, count, slope);
  Vec axes[3][3];
  for (int a = 0; a < 2; ++a) {
    Vec t[3] = {column(6 + 3 * a), column(7 + 3 * a), column(8 + 3 * a)};
    if (job.slopes != nullptr) {
      Vec turned[3];
      for (int i = 0; i < 3; ++i)
        turned[i] = t[i] + slope[3 * i] * t[0] + slope[3 * i + 1] * t[1] + slope[3 * i + 2] * t[2];
      memcpy(t, turned, sizeof t);
    }
    for (int i = 0; i < 3; ++i)
      axes[a][i] = f[3 * i] * t[0] + f[3 * i + 1] * t[1] + f[3 * i + 2] * t[2];
    const Vec most = job.max_stretch / length(axes[a], kShortest);
    const Vec factor = most < broadcast(1.0f) ? most : broadcast(1.0f);
    for (int i = 0; i < 3; ++i) axes[a][i] *= factor;
  }
  Vec* n = axes[2];
  for (int i = 0; i < 3; ++i) {
    const int j = (i + 1) % 3, k = (i + 2) % 3;
    n[i] = axes[0][j] * axes[1][k] - axes[0][k] * axes[1][j];
  }
  const Vec long_normal = length(n, kFlattest);
  for (int i = 0; i < 3; ++i) n[i] /= long_normal;
  const Vec normal[3] = {n[0], n[1], n[2]};

  for (int a = 0; a < 3; ++a)
    for (int i = 0; i < 3; ++i) axes[a][i] *= column(12 + a);
  Vec covariance[6];
  for (int i = 0, k = 0; i < 3; ++i)
    for (int j = i; j < 3; ++j, ++k)
      covariance[k] = axes[0][i] * axes[0][j] + axes[1][i] * axes[1][j] + axes[2][i] * axes[2][j];
  write_rows<3>(job.means, first - job.first, count, mean);
  write_rows<6>(job.covariances, first - job.first, count, covariance);
  if (job.normals != nullptr) write_rows<3>(job.normals, first - job.first, count, normal);
}

}  // namespace

void pose(const PoseJob& job, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kWidth)
    pose_lanes(job, i, end - i < kWidth ? (int)(end - i) : kWidth);
}

}  // namespace PERSONA_ISA
}  // namespace persona
