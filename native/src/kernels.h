// What the per-instruction-set kernels are handed, and the table they are called through.
//
// Kernel sources are compiled once per instruction set with PERSONA_ISA as their namespace. They
// must not use anything with external linkage from the standard library: the linker would keep one
// copy, maybe the one with instructions this processor lacks.
#pragma once

#include <stdint.h>

#include "persona_native.h"

namespace persona {

constexpr int kTile = 16;         // tile side [px]
constexpr int kBlock = 4;         // block side [px]; a block is one 16-lane vector
constexpr int kBlocksPerTile = 16;
constexpr int kPreparedStride = 8;  // floats per prepared Gaussian
constexpr int kGeometrySums = 6;    // sums per slot before the features
constexpr int kGaussianChunk = 1024;  // Gaussians per task; fixed, so that threads change no bits

// Drawing rules, those of gsplat.
constexpr float kAlphaMax = 0.99f;
constexpr float kTransmittanceStop = 1e-4f;
constexpr float kLog2AlphaMin = -7.99435344f;  // log2(1/255)
constexpr float kLog2E = 1.44269504f;

struct ProjectJob {
  const persona_camera* camera;
  const float *means, *covariances, *quats, *scales;
  float *means2d, *conics, *depths;
  const float *grad_means2d, *grad_conics, *grad_depths;
  float *grad_means, *grad_covariances, *grad_quats, *grad_scales;
};

struct BlockSummary {
  uint32_t visible, entries, smallest_key, largest_key;
};

struct PrepareJob {
  const float *means2d, *conics, *opacities, *depths;
  int left, top, width, height;
  float* prepared;       // (n,8): mean in the window, L11, L21, L22, log2 opacity, 0, 0
  int16_t* boxes;        // (n,4): x0, x1, y0, y1 of the pixels it may touch, inclusive
  uint32_t* keys;        // (n): depth as a sortable integer
  uint32_t* tile_counts; // (n): tiles the box touches, 0 draws nothing
};

struct SplatJob {
  int channels, width, height, tiles_x;
  const float* prepared;
  const int16_t* boxes;
  const float* features;
  const uint32_t* tile_start;  // (tiles + 1)
  const uint32_t* entries;     // Gaussian of each entry
  uint16_t* hits;              // blocks each entry coloured
  float *image, *alpha;
  // Backward only.
  const float *grad_image, *grad_alpha;
  const uint32_t* slot_begin;  // (n + 1)
  float* slots;
  uint8_t* slot_used;
  int slot_stride;
};

struct ReduceJob {
  int channels, slot_stride;
  const float *prepared, *opacities;
  const uint32_t* slot_begin;
  const float* slots;
  const uint8_t* slot_used;
  float *grad_means2d, *grad_conics, *grad_opacities, *grad_features;
};

constexpr int kPoseBlock = 16;    // Gaussians of a posing block, whatever the vectors' width
constexpr int kPoseColumns = 15;  // mean, corner shares, two tangents, scales

// Arrays as in persona_pose_gaussians.
struct PoseJob {
  const float* rest;
  const int32_t *corners, *share_begin, *share_bones;
  const float *shares, *flesh, *bones;
  float max_stretch;
  const float *offsets, *scales, *slopes;  // (n,3), (n,3), (n,3,3); or null
  float *means, *covariances, *normals;  // of the Gaussians from `first`; normals may be null
  int64_t first;
};

// The way back: what was posed, without results, and gradients (n,3), (n,6), (n,3).
struct PoseUnjob {
  PoseJob job;
  const float *grad_means, *grad_covariances, *grad_normals;
  float *grad_offsets, *grad_scales;
};

// Arrays as in persona_body and persona_pose; features (joints,9) are rotations less the identity.
struct FleshJob {
  const persona_body* body;
  const float *expression, *features, *offsets;  // no offsets: null
  float* flesh;                                  // (vertices,3)
};

constexpr int kSsimReach = 10;     // pixels between the ends of the 11 x 11 window
constexpr int kSsimRows = 32;      // of a tile
constexpr int kSsimColumns = 256;  // of a tile; what a tile keeps between two blurs fits in L1

// A place of the window is named after its first pixel: there are width - 10 by height - 10.
struct SsimJob {
  int width, height;                 // of the compared part [px]
  int64_t row_stride, plane_stride;  // of the whole pictures [floats]
  const float *picture, *target;     // first compared pixel of the first channel
  float* slopes;                     // (channels, 3, places); forward: NULL when nobody asks
  double* sums;                      // forward only: SSIM summed over each tile of places
  // Backward only.
  float scale;          // from slopes to the gradient
  float* grad_picture;  // its first compared pixel, strides as above
};

struct KernelTable {
  void (*project_forward)(const ProjectJob&, int64_t begin, int64_t end);
  void (*project_backward)(const ProjectJob&, int64_t begin, int64_t end);
  BlockSummary (*prepare)(const PrepareJob&, int64_t begin, int64_t end);
  void (*splat_forward)(const SplatJob&, int tile);
  void (*splat_backward)(const SplatJob&, int tile);
  void (*splat_reduce)(const ReduceJob&, int64_t begin, int64_t end);
  int64_t (*count_unfinite)(const float* values, int64_t count);
  void (*pose)(const PoseJob&, int64_t begin, int64_t end);
  void (*unpose)(const PoseUnjob&, int64_t begin, int64_t end);
  void (*ssim_forward)(const SsimJob&, int tile);
  void (*ssim_backward)(const SsimJob&, int tile);
  void (*bend_flesh)(const FleshJob&, int64_t begin, int64_t end);  // vertices
};

#define PERSONA_DECLARE_KERNELS(isa)                                    \
  namespace isa {                                                       \
  void project_forward(const ProjectJob&, int64_t, int64_t);            \
  void project_backward(const ProjectJob&, int64_t, int64_t);           \
  BlockSummary prepare(const PrepareJob&, int64_t, int64_t);            \
  void splat_forward(const SplatJob&, int);                             \
  void splat_backward(const SplatJob&, int);                            \
  void splat_reduce(const ReduceJob&, int64_t, int64_t);                \
  int64_t count_unfinite(const float*, int64_t);                        \
  void pose(const PoseJob&, int64_t, int64_t);                          \
  void unpose(const PoseUnjob&, int64_t, int64_t);                      \
  void ssim_forward(const SsimJob&, int);                               \
  void ssim_backward(const SsimJob&, int);                              \
  void bend_flesh(const FleshJob&, int64_t, int64_t);                   \
  constexpr KernelTable kernels = {project_forward, project_backward, prepare, \
                                   splat_forward,   splat_backward,   splat_reduce, \
                                   count_unfinite,  pose,             unpose, \
                                   ssim_forward,    ssim_backward,    bend_flesh}; \
  }

constexpr int tiles_along(int length, int side) { return (length + side - 1) / side; }

// The kernels of an instruction set; null where they cannot run.
const KernelTable* kernels_of(int isa);

// Smallest compiled channel count that holds `channels`.
constexpr int padded_channels(int channels) {
  constexpr int sizes[] = {3, 4, 8, 12, 16, 24, 32};
  for (int size : sizes)
    if (channels <= size) return size;
  return 0;
}

}  // namespace persona
