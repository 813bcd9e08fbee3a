// The way back of posing: from means, covariances and normals to offsets and scales.
#include "pose_lanes.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

// Gradient of a row of covariances, as the symmetric matrix (row-major) that it multiplies.
PERSONA_INLINE void read_covariance_gradient(const float* rows, int64_t first, int count,
                                             Vec* full) {
  constexpr int kPlaces[6][2] = {{0, 0}, {0, 1}, {0, 2}, {1, 1}, {1, 2}, {2, 2}};
  alignas(64) float buffer[6][kWidth] = {};
  for (int lane = 0; lane < count; ++lane)
    for (int k = 0; k < 6; ++k) buffer[k][lane] = rows[6 * (first + lane) + k];
  for (int k = 0; k < 6; ++k) {
    const int i = kPlaces[k][0], j = kPlaces[k][1];
    // Off the diagonal one number stands at two places.
    const Vec g = read(buffer[k]) * (i == j ? 1.0f : 0.5f);
    full[3 * i + j] = g, full[3 * j + i] = g;
  }
}

// Through v / |v|: `unit` is that, `size` is |v|.
PERSONA_INLINE void through_unit(const Vec* unit, Vec size, const Vec* grad, Vec* out) {
  const Vec along = dot(unit, grad);
  for (int i = 0; i < 3; ++i) out[i] = (grad[i] - unit[i] * along) / size;
}

// From the gradients of the skinned point and of the derivative F to that of the point at rest:
// each bone's carried point enters the mean by its share, and F by the change of its share.
PERSONA_INLINE void unskin(const PoseJob& job, const PosedLanes& p, const Vec* grad_mean,
                           const Vec* grad_f, Vec* grad_x) {
  for (int i = 0; i < 3; ++i) grad_x[i] = Vec{};
  for (int32_t s = job.share_begin[p.block]; s < job.share_begin[p.block + 1]; ++s) {
    const float* t = job.bones + 16 * (int64_t)job.share_bones[s];
    const float* share = job.shares + (int64_t)4 * kPoseBlock * s + p.lane;
    const Vec w = read(share);
    const Vec change[3] = {read(share + kPoseBlock), read(share + 2 * kPoseBlock),
                           read(share + 3 * kPoseBlock)};
    for (int i = 0; i < 3; ++i) {
      const Vec carried = w * grad_mean[i] + dot(grad_f + 3 * i, change);
      for (int j = 0; j < 3; ++j) grad_x[j] += t[4 * i + j] * carried;
    }
  }
}

PERSONA_INLINE void unpose_lanes(const PoseUnjob& way, int64_t first, int count) {
  const PoseJob& job = way.job;
  PosedLanes p;
  skin_lanes(job, first, count, p);
  Vec free[2][3], axes[3][3], factor[2];
  for (int a = 0; a < 2; ++a) {
    carry_tangent(p, a, free[a]);
    factor[a] = hold_below(free[a], job.max_stretch);
    for (int i = 0; i < 3; ++i) axes[a][i] = free[a][i] * factor[a];
  }
  cross(axes[0], axes[1], axes[2]);
  const Vec long_normal = length(axes[2], kFlattest);
  for (int i = 0; i < 3; ++i) axes[2][i] /= long_normal;

  Vec full[9], grad_axes[3][3], grad_scales[3];
  read_covariance_gradient(way.grad_covariances, first, count, full);
  for (int a = 0; a < 3; ++a) {
    // The covariance is the sum of s^2 v v^T over the axes v.
    Vec turned[3];
    for (int i = 0; i < 3; ++i) turned[i] = dot(full + 3 * i, axes[a]);
    grad_scales[a] = 2.0f * p.scales[a] * dot(axes[a], turned);
    for (int i = 0; i < 3; ++i) grad_axes[a][i] = 2.0f * p.scales[a] * p.scales[a] * turned[i];
  }
  Vec grad_normal[3], grad_cross[3];
  read_rows(way.grad_normals, first, count, grad_normal);
  for (int i = 0; i < 3; ++i) grad_normal[i] += grad_axes[2][i];
  through_unit(axes[2], long_normal, grad_normal, grad_cross);
  Vec to_first[3], to_second[3];
  cross(axes[1], grad_cross, to_first);
  cross(grad_cross, axes[0], to_second);
  for (int i = 0; i < 3; ++i) grad_axes[0][i] += to_first[i], grad_axes[1][i] += to_second[i];

  Vec grad_f[9];
  for (int i = 0; i < 9; ++i) grad_f[i] = Vec{};
  for (int a = 0; a < 2; ++a) {
    // A tangent that is held keeps its length: only what turns it goes on.
    const Vec size = length(free[a], kShortest);
    Vec unit[3];
    for (int i = 0; i < 3; ++i) unit[i] = free[a][i] / size;
    const IntVec held = factor[a] < broadcast(1.0f);
    const Vec along = held ? dot(unit, grad_axes[a]) : Vec{};
    for (int i = 0; i < 3; ++i) {
      const Vec back = factor[a] * (grad_axes[a][i] - unit[i] * along);
      for (int j = 0; j < 3; ++j) grad_f[3 * i + j] += back * p.tangents[a][j];
    }
  }
  Vec grad_mean[3], grad_x[3];
  read_rows(way.grad_means, first, count, grad_mean);
  unskin(job, p, grad_mean, grad_f, grad_x);
  write_rows<3>(way.grad_offsets, first, count, grad_x);
  write_rows<3>(way.grad_scales, first, count, grad_scales);
}

}  // namespace

void unpose(const PoseUnjob& way, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kWidth)
    unpose_lanes(way, i, end - i < kWidth ? (int)(end - i) : kWidth);
}

}  // namespace PERSONA_ISA
}  // namespace persona
