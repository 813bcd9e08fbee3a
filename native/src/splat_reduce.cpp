// Adds the slots of every Gaussian, tile after tile, and turns the sums into gradients.
#include "kernels.h"
#include "simd.h"

namespace persona {
namespace PERSONA_ISA {

void splat_reduce(const ReduceJob& job, int64_t begin, int64_t end) {
  const int count = kGeometrySums + job.channels;
  const float undo_scale = 1.38629436f;  // 2 ln 2: the factor L carries sqrt(log2(e) / 2)
  for (int64_t i = begin; i < end; ++i) {
    float sums[kGeometrySums + PERSONA_MAX_CHANNELS] = {};
    for (uint32_t s = job.slot_begin[i]; s < job.slot_begin[i + 1]; ++s) {
      if (!job.slot_used[s]) continue;
      const float* slot = job.slots + (size_t)s * job.slot_stride;
      for (int k = 0; k < count; ++k) sums[k] += slot[k];
    }
    const float* prepared = job.prepared + kPreparedStride * i;
    const float l11 = prepared[2], l21 = prepared[3], l22 = prepared[4];
    job.grad_means2d[2 * i] = undo_scale * l11 * sums[1];
    job.grad_means2d[2 * i + 1] = undo_scale * (l21 * sums[1] + l22 * l22 * sums[2]);
    job.grad_conics[3 * i] = -0.5f * sums[3];
    job.grad_conics[3 * i + 1] = -sums[4];
    job.grad_conics[3 * i + 2] = -0.5f * sums[5];
    job.grad_opacities[i] = sums[0] != 0.0f ? sums[0] / job.opacities[i] : 0.0f;
    for (int k = 0; k < job.channels; ++k)
      job.grad_features[(size_t)job.channels * i + k] = sums[kGeometrySums + k];
  }
}

}  // namespace PERSONA_ISA
}  // namespace persona
