// What expression, bent joints and offsets add to the rest skin of a body.
//
// One vertex a lane. Joints come block by block, each with its changes in sixteen neighbours, so that
// rotations are broadcast, as bones are in posing.
#include "kernels.h"
#include "simd.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

typedef float RowVec __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

PERSONA_INLINE Vec read(const float* column) { return *(const RowVec*)column; }

// sum_i weights[i] * columns[i], a column being sixteen lanes of which we read kWidth.
PERSONA_INLINE Vec mix(const float* columns, const float* weights, int count) {
  Vec sum = {};
  for (int i = 0; i < count; ++i) sum += weights[i] * read(columns + kPoseBlock * i);
  return sum;
}

PERSONA_INLINE void bend_lanes(const FleshJob& job, int64_t first, int count) {
  const persona_body& body = *job.body;
  const int64_t block = first / kPoseBlock;
  const int lane = (int)(first % kPoseBlock), expressions = body.expression_count;
  const float* dirs = body.expression_dirs + block * 3 * expressions * kPoseBlock + lane;
  Vec sum[3];
  for (int axis = 0; axis < 3; ++axis)
    sum[axis] = mix(dirs + axis * expressions * kPoseBlock, job.expression, expressions);
  for (int32_t k = body.bend_begin[block]; k < body.bend_begin[block + 1]; ++k) {
    const float* turn = job.features + 9 * (int64_t)body.bend_joints[k];
    const float* columns = body.bends + (int64_t)27 * kPoseBlock * k + lane;
    for (int axis = 0; axis < 3; ++axis) sum[axis] += mix(columns + 9 * axis * kPoseBlock, turn, 9);
  }
  for (int i = 0; i < count; ++i)
    for (int axis = 0; axis < 3; ++axis) {
      const int64_t at = 3 * (first + i) + axis;
      job.flesh[at] = sum[axis][i] + (job.offsets != nullptr ? job.offsets[at] : 0.0f);
    }
}

}  // namespace

void bend_flesh(const FleshJob& job, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kWidth)
    bend_lanes(job, i, end - i < kWidth ? (int)(end - i) : kWidth);
}

}  // namespace PERSONA_ISA
}  // namespace persona
