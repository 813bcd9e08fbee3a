// The C ABI: picks the instruction set, hands chunks of work to its kernels, keeps exceptions inside.
#include <new>

#include "binning.h"
#include "kernels.h"
#include "passes.h"
#include "workspace.h"

namespace persona {
PERSONA_DECLARE_KERNELS(baseline)
#if PERSONA_X86
PERSONA_DECLARE_KERNELS(avx2)
PERSONA_DECLARE_KERNELS(avx512)
#endif

const KernelTable* kernels_of(int isa) {
  if (!persona_isa_runs(isa)) return nullptr;
#if PERSONA_X86
  if (isa == PERSONA_AVX2) return &avx2::kernels;
  if (isa == PERSONA_AVX512) return &avx512::kernels;
#endif
  return &baseline::kernels;
}

namespace {

// The compared part of two pictures.
SsimJob ssim_job(int picture_width, int picture_height, const float* picture, const float* target,
                 int left, int top, int width, int height) {
  SsimJob job = {};
  job.row_stride = picture_width;
  job.plane_stride = static_cast<int64_t>(picture_width) * picture_height;
  const int64_t first = top * job.row_stride + left;
  job.width = width, job.height = height;
  job.picture = picture + first, job.target = target + first;
  return job;
}

int ssim_status(int channels, int picture_width, int picture_height, int left, int top, int width,
                int height) {
  if (channels < 1 || channels > PERSONA_MAX_CHANNELS) return PERSONA_UNKNOWN_CHANNELS;
  const bool inside = left >= 0 && top >= 0 && width <= picture_width - left &&
                      height <= picture_height - top;
  const bool fits = width > kSsimReach && height > kSsimReach;
  return inside && fits ? PERSONA_OK : PERSONA_BAD_WINDOW;
}

int64_t ssim_places(int channels, int width, int height) {
  return static_cast<int64_t>(channels) * (width - kSsimReach) * (height - kSsimReach);
}

}  // namespace
}  // namespace persona

using namespace persona;

int persona_abi_version(void) { return PERSONA_ABI_VERSION; }

int persona_isa_runs(int isa) {
  if (isa == PERSONA_BASELINE) return 1;
#if PERSONA_X86
  __builtin_cpu_init();
  if (isa == PERSONA_AVX2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  if (isa == PERSONA_AVX512)
    return persona_isa_runs(PERSONA_AVX2) && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#endif
  return 0;
}

void persona_use_team(void* gomp_parallel) {
  use_team(reinterpret_cast<TeamFunction>(gomp_parallel));
}

int64_t persona_count_unfinite(int isa, int64_t count, const float* values) {
  const KernelTable* kernels = kernels_of(isa);
  return (kernels != nullptr ? *kernels : baseline::kernels).count_unfinite(values, count);
}

persona_workspace* persona_workspace_create(void) { return new (std::nothrow) persona_workspace; }
void persona_workspace_destroy(persona_workspace* workspace) { delete workspace; }
int64_t persona_workspace_bytes(const persona_workspace* workspace) { return workspace->bytes(); }

int persona_project_forward(int isa, int threads, int64_t n, const persona_camera* camera,
                            const float* means, const float* covariances, const float* quats,
                            const float* scales, float* means2d, float* conics, float* depths) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  ProjectJob job = {};
  job.camera = camera, job.means = means, job.covariances = covariances, job.quats = quats;
  job.scales = scales, job.means2d = means2d, job.conics = conics, job.depths = depths;
  over_gaussians(threads, n,
                 [&](int64_t begin, int64_t end) { kernels->project_forward(job, begin, end); });
  return PERSONA_OK;
}

int persona_project_backward(int isa, int threads, int64_t n, const persona_camera* camera,
                             const float* means, const float* covariances, const float* quats,
                             const float* scales, const float* grad_means2d,
                             const float* grad_conics, const float* grad_depths,
                             float* grad_means, float* grad_covariances, float* grad_quats,
                             float* grad_scales) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  ProjectJob job = {};
  job.camera = camera, job.means = means, job.covariances = covariances, job.quats = quats;
  job.scales = scales, job.grad_means2d = grad_means2d, job.grad_conics = grad_conics;
  job.grad_depths = grad_depths, job.grad_means = grad_means;
  job.grad_covariances = grad_covariances, job.grad_quats = grad_quats;
  job.grad_scales = grad_scales;
  over_gaussians(threads, n,
                 [&](int64_t begin, int64_t end) { kernels->project_backward(job, begin, end); });
  return PERSONA_OK;
}

int persona_rasterize_forward(persona_workspace* workspace, int isa, int threads, int64_t n,
                              int channels, const float* means2d, const float* conics,
                              const float* opacities, const float* features, const float* depths,
                              int left, int top, int width, int height, float* image,
                              float* alpha) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  if (channels < 1 || channels > PERSONA_MAX_CHANNELS) return PERSONA_UNKNOWN_CHANNELS;
  persona_workspace& w = *workspace;
  try {
    w.gaussian_count = -1;  // until the pass is whole, there is nothing to differentiate
    PrepareJob prepare = {};
    prepare.means2d = means2d, prepare.conics = conics, prepare.opacities = opacities;
    prepare.depths = depths, prepare.left = left, prepare.top = top;
    prepare.width = width, prepare.height = height;
    BlockSummary* summaries = begin_binning(w, n, prepare);
    over_gaussians(threads, n, [&](int64_t begin, int64_t end) {
      summaries[begin / kGaussianChunk] = kernels->prepare(prepare, begin, end);
    });
    const int status = bin_gaussians(w, threads, n);
    if (status != PERSONA_OK) return status;
    draw_tiles(w, *kernels, threads, channels, features, image, alpha);
    w.gaussian_count = n;
    return PERSONA_OK;
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
}

int persona_rasterize_backward(persona_workspace* workspace, int isa, int threads,
                               const float* opacities, const float* features, const float* image,
                               const float* alpha,
                               const float* grad_image, const float* grad_alpha,
                               float* grad_means2d, float* grad_conics, float* grad_opacities,
                               float* grad_features) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  persona_workspace& w = *workspace;
  if (w.gaussian_count < 0) return PERSONA_NO_FORWARD;
  try {
    SplatJob job = splat_job(w, features);
    // Inputs only: the kernels that differentiate write neither.
    job.image = const_cast<float*>(image);
    job.alpha = const_cast<float*>(alpha);
    job.grad_image = grad_image, job.grad_alpha = grad_alpha;
    job.slot_stride = (kGeometrySums + w.channels + 3) / 4 * 4;
    job.slots = w.slots.hold<float>(static_cast<size_t>(w.entry_count) * job.slot_stride);
    job.slot_used = w.slot_used.hold<uint8_t>(w.entry_count);
    for_chunks(threads, w.tiles_x * w.tiles_y,
               [&](int tile, int) { kernels->splat_backward(job, tile); });
    ReduceJob reduce = {w.channels,     job.slot_stride, job.prepared,   opacities,
                        job.slot_begin, job.slots,       job.slot_used,  grad_means2d,
                        grad_conics,    grad_opacities,  grad_features};
    over_gaussians(threads, w.gaussian_count, [&](int64_t begin, int64_t end) {
      kernels->splat_reduce(reduce, begin, end);
    });
    return PERSONA_OK;
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
}

int persona_pose_gaussians(int isa, int threads, int64_t n, const float* rest,
                           const int32_t* corners, const int32_t* share_begin,
                           const int32_t* share_bones, const float* shares, const float* flesh,
                           const float* bones, const float* offsets, const float* scales,
                           const float* slopes, float max_stretch, float* means, float* covariances, float* normals) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  const PoseJob job = {rest,    corners, share_begin, share_bones, shares,      flesh,   bones,
                       max_stretch, offsets, scales, slopes, means, covariances, normals, 0};
  over_gaussians(threads, n, [&](int64_t begin, int64_t end) { kernels->pose(job, begin, end); });
  return PERSONA_OK;
}

int persona_pose_gaussians_backward(int isa, int threads, int64_t n, const float* rest,
                                    const int32_t* corners, const int32_t* share_begin,
                                    const int32_t* share_bones, const float* shares,
                                    const float* flesh, const float* bones, const float* offsets,
                                    const float* scales, const float* slopes, float max_stretch,
                                    const float* grad_means, const float* grad_covariances,
                                    const float* grad_normals, float* grad_offsets,
                                    float* grad_scales) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  const PoseUnjob way = {{rest, corners, share_begin, share_bones, shares, flesh, bones,
                          max_stretch, offsets, scales, slopes, nullptr, nullptr, nullptr, 0},
                         grad_means, grad_covariances, grad_normals, grad_offsets, grad_scales};
  over_gaussians(threads, n, [&](int64_t begin, int64_t end) { kernels->unpose(way, begin, end); });
  return PERSONA_OK;
}

int persona_ssim_forward(persona_workspace* workspace, int isa, int threads, int channels,
                         int picture_width, int picture_height, const float* picture,
                         const float* target, int left, int top, int width, int height,
                         int differentiate, float* mean) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  const int status =
      ssim_status(channels, picture_width, picture_height, left, top, width, height);
  if (status != PERSONA_OK) return status;
  persona_workspace& w = *workspace;
  try {
    w.ssim_places = 0;
    const int64_t places = ssim_places(channels, width, height);
    const int tiles = channels * tiles_along(width - kSsimReach, kSsimColumns) *
                      tiles_along(height - kSsimReach, kSsimRows);
    SsimJob job =
        ssim_job(picture_width, picture_height, picture, target, left, top, width, height);
    job.sums = w.ssim_sums.hold<double>(tiles);
    if (differentiate) job.slopes = w.ssim_slopes.hold<float>(3 * places);
    for_chunks(threads, tiles, [&](int tile, int) { kernels->ssim_forward(job, tile); });
    double sum = 0.0;
    for (int tile = 0; tile < tiles; ++tile) sum += job.sums[tile];
    *mean = static_cast<float>(sum / static_cast<double>(places));
    if (differentiate) w.ssim_places = places;
    return PERSONA_OK;
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
}

int persona_ssim_backward(persona_workspace* workspace, int isa, int threads, int channels,
                          int picture_width, int picture_height, const float* picture,
                          const float* target, int left, int top, int width, int height,
                          const float* grad_mean, float* grad_picture) {
  const KernelTable* kernels = kernels_of(isa);
  if (kernels == nullptr) return PERSONA_UNKNOWN_ISA;
  const int status =
      ssim_status(channels, picture_width, picture_height, left, top, width, height);
  if (status != PERSONA_OK) return status;
  const int64_t places = ssim_places(channels, width, height);
  if (workspace->ssim_places != places) return PERSONA_NO_FORWARD;
  SsimJob job = ssim_job(picture_width, picture_height, picture, target, left, top, width, height);
  job.slopes = workspace->ssim_slopes.get<float>();
  job.scale = static_cast<float>(*grad_mean / static_cast<double>(places));
  job.grad_picture = grad_picture + top * job.row_stride + left;
  for_chunks(threads, channels * tiles_along(width, kSsimColumns) * tiles_along(height, kSsimRows),
             [&](int tile, int) { kernels->ssim_backward(job, tile); });
  return PERSONA_OK;
}
