// From a pose to a picture: posing, projecting and preparing go hand in hand over a few Gaussians at
// a time, so that posed Gaussians never leave the nearest cache.
#include <new>

#include "binning.h"
#include "kernels.h"
#include "passes.h"
#include "skeleton.h"
#include "workspace.h"

namespace persona {
namespace {

constexpr int kPortion = 256;  // Gaussians posed at a time: 15 kB
static_assert(kGaussianChunk % kPortion == 0 && kPortion % kPoseBlock == 0,
              "a portion must not cut a block, nor a chunk a portion");

struct Portion {
  alignas(64) float means[3 * kPortion];
  alignas(64) float covariances[6 * kPortion];
  alignas(64) float means2d[2 * kPortion];
  alignas(64) float conics[3 * kPortion];
  alignas(64) float depths[kPortion];
};

struct Drawing {
  const KernelTable& kernels;
  const persona_camera* camera;
  const float* opacities;
  PoseJob pose;
  PrepareJob prepare;
  float* means;  // or null
};

BlockSummary prepare_portion(const Drawing& d, int64_t begin, int64_t end) {
  Portion portion;
  PoseJob pose = d.pose;
  pose.first = begin;
  pose.means = d.means != nullptr ? d.means + 3 * begin : portion.means;
  pose.covariances = portion.covariances;
  d.kernels.pose(pose, begin, end);
  ProjectJob project = {};
  project.camera = d.camera, project.means = pose.means;
  project.covariances = portion.covariances, project.means2d = portion.means2d;
  project.conics = portion.conics, project.depths = portion.depths;
  d.kernels.project_forward(project, 0, end - begin);
  PrepareJob prepare = d.prepare;
  prepare.means2d = portion.means2d, prepare.conics = portion.conics;
  prepare.depths = portion.depths, prepare.opacities = d.opacities + begin;
  prepare.prepared += kPreparedStride * begin, prepare.boxes += 4 * begin;
  prepare.keys += begin, prepare.tile_counts += begin;
  return d.kernels.prepare(prepare, 0, end - begin);
}

BlockSummary prepare_chunk(const Drawing& d, int64_t begin, int64_t end) {
  BlockSummary all = {0, 0, 0xffffffffu, 0};
  for (int64_t at = begin; at < end; at += kPortion) {
    const BlockSummary s = prepare_portion(d, at, std::min<int64_t>(end, at + kPortion));
    all.visible += s.visible, all.entries += s.entries;
    all.smallest_key = std::min(all.smallest_key, s.smallest_key);
    all.largest_key = std::max(all.largest_key, s.largest_key);
  }
  return all;
}

// Bones and flesh of the pose, into the workspace.
bool bend_body(persona_workspace& w, const KernelTable& kernels, int threads,
               const persona_body& body, const persona_pose& pose) {
  auto* bones = w.bones.hold<float>(16 * static_cast<size_t>(body.joint_count));
  auto* bends = w.bends.hold<float>(9 * static_cast<size_t>(body.joint_count));
  if (!bend_skeleton(body, pose, bones, bends)) return false;
  const FleshJob job = {&body, pose.expression, bends, pose.vertex_offsets,
                        w.flesh.hold<float>(3 * static_cast<size_t>(body.vertex_count))};
  over_gaussians(threads, body.vertex_count,
                 [&](int64_t begin, int64_t end) { kernels.bend_flesh(job, begin, end); });
  return true;
}

}  // namespace
}  // namespace persona

int persona_draw_posed(persona_workspace* workspace, int isa, int threads,
                       const persona_body* body, const persona_rig* rig, const persona_pose* pose,
                       const persona_camera* camera, int width, int height, float* means,
                       float* image, float* alpha) {
  using namespace persona;
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  if (rig->channels < 1 || rig->channels > PERSONA_MAX_CHANNELS) return PERSONA_UNKNOWN_CHANNELS;
  persona_workspace& w = *workspace;
  try {
    w.gaussian_count = -1;
    if (!bend_body(w, *kernels, threads, *body, *pose)) return PERSONA_BAD_INDEX;
    Drawing drawing = {*kernels, camera, rig->opacities, {}, {}, means};
    drawing.pose.rest = rig->rest, drawing.pose.corners = rig->corners;
    drawing.pose.share_begin = rig->share_begin, drawing.pose.share_bones = rig->share_bones;
    drawing.pose.shares = rig->shares, drawing.pose.flesh = w.flesh.get<float>();
    drawing.pose.bones = w.bones.get<float>(), drawing.pose.max_stretch = pose->max_stretch;
    drawing.pose.offsets = pose->gaussian_offsets, drawing.pose.slopes = pose->gaussian_slopes;
    drawing.prepare.width = width, drawing.prepare.height = height;
    BlockSummary* summaries = begin_binning(w, rig->count, drawing.prepare);
    over_gaussians(threads, rig->count, [&](int64_t begin, int64_t end) {
      summaries[begin / kGaussianChunk] = prepare_chunk(drawing, begin, end);
    });
    const int status = bin_gaussians(w, threads, rig->count);
    if (status != PERSONA_OK) return status;
    draw_tiles(w, *kernels, threads, rig->channels, rig->features, image, alpha);
    return PERSONA_OK;
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
}
