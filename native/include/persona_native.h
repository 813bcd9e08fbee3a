/* The C ABI of persona's native core: plain pointers and numbers, no Python, no torch.
 *
 * Every function returns one of the persona_status values, touches only the memory it is handed,
 * and gives the same bits for any thread count. Arrays are C-contiguous float32 unless said
 * otherwise; callers check shapes before they come here.
 */
#ifndef PERSONA_NATIVE_H
#define PERSONA_NATIVE_H

#include <stdint.h>

#if defined(__GNUC__)
#define PERSONA_API __attribute__((visibility("default")))
#else
#define PERSONA_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever a signature below changes. */
#define PERSONA_ABI_VERSION 3

enum persona_status {
  PERSONA_OK = 0,
  PERSONA_OUT_OF_MEMORY = 1,
  PERSONA_TOO_MANY_ENTRIES = 2, /* more than 2^31 pairs of Gaussian and tile */
  PERSONA_UNKNOWN_ISA = 3,
  PERSONA_UNKNOWN_CHANNELS = 4,
  PERSONA_NO_FORWARD = 5, /* backward without the forward it belongs to */
  PERSONA_BAD_INDEX = 6,  /* a face names a vertex that is not there, a joint a later parent */
  PERSONA_BAD_WINDOW = 7, /* not inside the picture, or smaller than what slides over it */
};

/* Instruction sets, slowest first. */
enum persona_isa { PERSONA_BASELINE = 0, PERSONA_AVX2 = 1, PERSONA_AVX512 = 2 };

/* Most feature channels of one pass. */
#define PERSONA_MAX_CHANNELS 32

typedef struct persona_workspace persona_workspace;

/* A pinhole camera; a Gaussian's jacobian is taken no further off axis than the limits. */
typedef struct persona_camera {
  double rotation[9];    /* world to camera, row-major */
  double translation[3]; /* [m] */
  double focal[2];       /* [px] */
  double center[2];      /* [px] */
  double tan_min[2];     /* limits of x/z and y/z inside the jacobian [-] */
  double tan_max[2];
  double eps2d; /* added to both variances of the ellipse [px^2] */
  double near;  /* Gaussians at or before this depth draw nothing [m] */
} persona_camera;

/* How a body bends. Vertices come in blocks of 16, columns of 16 lanes, the last block filled up
 * with zeros. Joint bend_joints[k], for k in bend_begin[b] .. bend_begin[b+1] - 1, moves block b by
 * bends[k] (27,16): the changes of x, y, z for each entry of its rotation less the identity. */
typedef struct persona_body {
  int64_t vertex_count;
  int32_t joint_count, expression_count;
  const int32_t* parents;        /* (joints); -1 for a root, else an earlier joint */
  const float* rest_joints;      /* (joints,3) [m] */
  const float* joint_dirs;       /* (joints,3,expressions): change per expression [m] */
  const float* expression_dirs;  /* (blocks,3 expressions,16): x of each expression, then y, z */
  const int32_t *bend_begin, *bend_joints;
  const float* bends;
} persona_body;

/* Gaussians that hang on it, as in persona_pose_gaussians, and what they look like. */
typedef struct persona_rig {
  int64_t count;
  int32_t channels;
  const float* rest;
  const int32_t *corners, *share_begin, *share_bones;
  const float* shares;
  const float* opacities; /* (n) */
  const float* features;  /* (n,channels) */
} persona_rig;

/* One pose; the offsets may be NULL. */
typedef struct persona_pose {
  const float* rotations;        /* (joints,3) relative to the parent, axis-angle [rad] */
  const float* expression;       /* (expressions) */
  const float* vertex_offsets;   /* (vertices,3), added to the rest skin [m] */
  const float* gaussian_offsets; /* (n,3), added to the rest means [m] */
  float translation[3];          /* [m] */
  float max_stretch;
} persona_pose;

PERSONA_API int persona_abi_version(void);
PERSONA_API int persona_isa_runs(int isa); /* 1 when built in and this processor has it */

/* Works on the host's OpenMP threads from now on: the address of libgomp's GOMP_parallel, or NULL
 * for threads of our own. Not called: threads of our own. */
PERSONA_API void persona_use_team(void* gomp_parallel);

/* How many of `count` numbers are NaN or infinite; on the caller's thread alone. */
PERSONA_API int64_t persona_count_unfinite(int isa, int64_t count, const float* values);

PERSONA_API persona_workspace* persona_workspace_create(void);
PERSONA_API void persona_workspace_destroy(persona_workspace* workspace);
PERSONA_API int64_t persona_workspace_bytes(const persona_workspace* workspace);

/* 3D Gaussians to ellipses. covariances (n,6: xx xy xz yy yz zz), or NULL with quats (n,4 wxyz,
 * any length) and scales (n,3 standard deviations). Culled Gaussians get a zero conic. */
PERSONA_API int persona_project_forward(
    int isa, int threads, int64_t n, const persona_camera* camera, const float* means,
    const float* covariances, const float* quats, const float* scales, float* means2d,
    float* conics, float* depths);

/* Its vector-Jacobian product. Exactly the gradients of the inputs given are written. */
PERSONA_API int persona_project_backward(
    int isa, int threads, int64_t n, const persona_camera* camera, const float* means,
    const float* covariances, const float* quats, const float* scales, const float* grad_means2d,
    const float* grad_conics, const float* grad_depths, float* grad_means,
    float* grad_covariances, float* grad_quats, float* grad_scales);

/* Ellipses to an image (channels, height, width) and its alpha (height, width): the window
 * of the picture whose first pixel is (left, top). The workspace remembers the order for the
 * backward pass that follows. */
PERSONA_API int persona_rasterize_forward(
    persona_workspace* workspace, int isa, int threads, int64_t n, int channels,
    const float* means2d, const float* conics, const float* opacities, const float* features,
    const float* depths, int left, int top, int width, int height, float* image,
    float* alpha);

PERSONA_API int persona_rasterize_backward(
    persona_workspace* workspace, int isa, int threads, const float* opacities,
    const float* features, const float* image,
    const float* alpha, const float* grad_image, const float* grad_alpha,
    float* grad_means2d, float* grad_conics, float* grad_opacities, float* grad_features);

/* Nearest triangle of every pixel: face (height, width; -1 for none), perspective-correct
 * barycentric coordinates (height, width, 3) and depth (height, width; 0 for none). */
PERSONA_API int persona_rasterize_mesh(
    int threads, int64_t vertex_count, int64_t face_count, const float* vertices2d,
    const float* depths, const int32_t* faces, int width, int height, double near,
    int32_t* face_ids, float* barycentric, float* depth);

/* Gaussians of a body in a pose: means (n,3), covariances (n,6) and unit normals (n,3). The rest
 * state comes in blocks of 16 Gaussians, columns of 16 lanes, the last block filled up with zeros:
 * `rest` (blocks,15,16) holds mean xyz, shares of the triangle's corners, two unit tangents and
 * three standard deviations; `corners` (blocks,3,16) the corners' rows in `flesh` (vertices,3),
 * which is added to the means. The bones of block b are share_bones[share_begin[b] ..
 * share_begin[b+1] - 1], rows of `bones` (any,4,4); `shares` (any,4,16) holds each one's weight and
 * the weight's gradient xyz. Tangents are held below max_stretch. */
PERSONA_API int persona_pose_gaussians(
    int isa, int threads, int64_t n, const float* rest, const int32_t* corners,
    const int32_t* share_begin, const int32_t* share_bones, const float* shares,
    const float* flesh, const float* bones, float max_stretch, float* means, float* covariances,
    float* normals);

/* Mean structural similarity of two pictures (channels, picture_height, picture_width) in [0, 1],
 * over all places where an 11 x 11 Gaussian window (sigma 1.5) fits whole inside the compared part,
 * whose first pixel is (left, top). With `differentiate` the workspace remembers what the backward
 * pass needs. */
PERSONA_API int persona_ssim_forward(
    persona_workspace* workspace, int isa, int threads, int channels, int picture_width,
    int picture_height, const float* picture, const float* target, int left, int top, int width,
    int height, int differentiate, float* mean);

/* Its vector-Jacobian product for the picture, all arguments as before. Only the compared part of
 * grad_picture is written. */
PERSONA_API int persona_ssim_backward(
    persona_workspace* workspace, int isa, int threads, int channels, int picture_width,
    int picture_height, const float* picture, const float* target, int left, int top, int width,
    int height, const float* grad_mean, float* grad_picture);

/* From a pose to the picture at once: bends the body, poses, projects and draws its Gaussians.
 * Posed means (n,3) are written where they are asked for. No backward pass may follow. */
PERSONA_API int persona_draw_posed(
    persona_workspace* workspace, int isa, int threads, const persona_body* body,
    const persona_rig* rig, const persona_pose* pose, const persona_camera* camera, int width,
    int height, float* means, float* image, float* alpha);

#ifdef __cplusplus
}
#endif
#endif
