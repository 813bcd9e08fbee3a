// Carries Gaussians along with a body: means, covariances that stretch with the skin, normals.
#include "pose_lanes.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

PERSONA_INLINE void pose_lanes(const PoseJob& job, int64_t first, int count) {
  PosedLanes p;
  skin_lanes(job, first, count, p);

  Vec axes[3][3];
  for (int a = 0; a < 2; ++a) {
    carry_tangent(p, a, axes[a]);
    const Vec factor = hold_below(axes[a], job.max_stretch);
    for (int i = 0; i < 3; ++i) axes[a][i] *= factor;
  }
  Vec* n = axes[2];
  cross(axes[0], axes[1], n);
  const Vec long_normal = length(n, kFlattest);
  for (int i = 0; i < 3; ++i) n[i] /= long_normal;
  const Vec normal[3] = {n[0], n[1], n[2]};

  for (int a = 0; a < 3; ++a)
    for (int i = 0; i < 3; ++i) axes[a][i] *= p.scales[a];
  Vec covariance[6];
  for (int i = 0, k = 0; i < 3; ++i)
    for (int j = i; j < 3; ++j, ++k)
      covariance[k] = axes[0][i] * axes[0][j] + axes[1][i] * axes[1][j] + axes[2][i] * axes[2][j];
  write_rows<3>(job.means, first - job.first, count, p.mean);
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
