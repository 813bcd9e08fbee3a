// Reads Gaussians that hang on a body, one a lane, and skins them: what posing and its way back share.
//
// Bones come block by block, each with its shares in sixteen neighbours, so that their transforms
// are broadcast; gathering them for each Gaussian would cost most of the time. Everything here is
// internal to its translation unit.
#pragma once

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

// Rows of an (n,3) array of Gaussians that exist, as columns; lanes beyond `count` are zero.
PERSONA_INLINE void read_rows(const float* rows, int64_t first, int count, Vec* columns) {
  alignas(64) float buffer[3][kWidth] = {};
  for (int lane = 0; lane < count; ++lane)
    for (int axis = 0; axis < 3; ++axis) buffer[axis][lane] = rows[3 * (first + lane) + axis];
  for (int axis = 0; axis < 3; ++axis) columns[axis] = read(buffer[axis]);
}

PERSONA_INLINE void cross(const Vec* a, const Vec* b, Vec* c) {
  for (int i = 0; i < 3; ++i) {
    const int j = (i + 1) % 3, k = (i + 2) % 3;
    c[i] = a[j] * b[k] - a[k] * b[j];
  }
}

PERSONA_INLINE Vec dot(const Vec* a, const Vec* b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// One Gaussian a lane, read and skinned.
struct PosedLanes {
  const float* rest;   // its first column
  int64_t block;
  int lane;            // of the block
  Vec x[3];            // at rest, moved by flesh and offset
  Vec mean[3], f[9];   // skinned, and the derivative of that
  Vec scales[3];
  Vec tangents[2][3];  // at rest, turned by the slope of the offsets
};

PERSONA_INLINE Vec rest_column(const PosedLanes& p, int k) { return read(p.rest + kPoseBlock * k); }

// Adds the slope of the offsets, times a tangent, to it; for lanes beyond `count`, nothing.
PERSONA_INLINE void turn_tangents(const PoseJob& job, int64_t first, int count, PosedLanes& p) {
  alignas(64) float columns[9][kWidth] = {};
  for (int lane = 0; lane < count; ++lane)
    for (int k = 0; k < 9; ++k) columns[k][lane] = job.slopes[9 * (first + lane) + k];
  for (int a = 0; a < 2; ++a) {
    Vec turned[3];
    for (int i = 0; i < 3; ++i) {
      const Vec row[3] = {read(columns[3 * i]), read(columns[3 * i + 1]), read(columns[3 * i + 2])};
      turned[i] = p.tangents[a][i] + dot(row, p.tangents[a]);
    }
    for (int i = 0; i < 3; ++i) p.tangents[a][i] = turned[i];
  }
}

PERSONA_INLINE void skin_lanes(const PoseJob& job, int64_t first, int count, PosedLanes& p) {
  p.block = first / kPoseBlock;
  p.lane = (int)(first % kPoseBlock);
  p.rest = job.rest + p.block * kPoseColumns * kPoseBlock + p.lane;
  for (int i = 0; i < 3; ++i) p.x[i] = rest_column(p, i);
  add_flesh(job, job.corners + p.block * 3 * kPoseBlock + p.lane, p.rest + 3 * kPoseBlock, p.x);
  if (job.offsets != nullptr) {
    Vec offset[3];
    read_rows(job.offsets, first, count, offset);
    for (int i = 0; i < 3; ++i) p.x[i] += offset[i];
  }
  for (int a = 0; a < 3; ++a) p.scales[a] = rest_column(p, 12 + a);
  if (job.scales != nullptr) read_rows(job.scales, first, count, p.scales);
  for (int k = 0; k < 6; ++k) p.tangents[k / 3][k % 3] = rest_column(p, 6 + k);
  if (job.slopes != nullptr) turn_tangents(job, first, count, p);
  skin(job, p.block, p.lane, p.x, p.mean, p.f);
}

// A tangent carried by the derivative, not yet held below the longest.
PERSONA_INLINE void carry_tangent(const PosedLanes& p, int a, Vec* carried) {
  for (int i = 0; i < 3; ++i) carried[i] = dot(p.f + 3 * i, p.tangents[a]);
}

// What it is multiplied by.
PERSONA_INLINE Vec hold_below(const Vec* carried, float max_stretch) {
  const Vec most = max_stretch / length(carried, kShortest);
  return most < broadcast(1.0f) ? most : broadcast(1.0f);
}

}  // namespace
}  // namespace PERSONA_ISA
}  // namespace persona
