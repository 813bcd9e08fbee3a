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
#define PERSONA_ABI_VERSION 6

enum persona_status {
  PERSONA_OK = 0,
  PERSONA_OUT_OF_MEMORY = 1,
  PERSONA_TOO_MANY_ENTRIES = 2, /* more than 2^31 pairs of Gaussian and tile */
  PERSONA_UNKNOWN_ISA = 3,
  PERSONA_UNKNOWN_CHANNELS = 4,
  PERSONA_NO_FORWARD = 5, /* backward without the forward it belongs to */
  PERSONA_BAD_INDEX = 6,  /* a face names a vertex that is not there, a joint a later parent */
  PERSONA_BAD_WINDOW = 7, /* not inside the picture, or smaller than what slides over it */
  PERSONA_BAD_COLORS = 8, /* springs of one colour share a vertex */
  PERSONA_BAD_RULES = 9,  /* no substeps, or no time */
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

/* One pose; offsets and slopes may be NULL. */
typedef struct persona_pose {
  const float* rotations;        /* (joints,3) relative to the parent, axis-angle [rad] */
  const float* expression;       /* (expressions) */
  const float* vertex_offsets;   /* (vertices,3), added to the rest skin [m] */
  const float* gaussian_offsets; /* (n,3), added to the rest means [m] */
  const float* gaussian_slopes;  /* (n,3,3), added to the identity: turn the tangents [-] */
  float translation[3];          /* [m] */
  float max_stretch;
} persona_pose;

/* Cloth: vertices, springs between them, and who holds it. Springs are sorted by colour; those of
 * colour k, color_begin[k] .. color_begin[k+1] - 1, share no vertex. The first edge_color_count
 * colours are the edges of the faces, which may not stretch; the others resist bending. */
typedef struct persona_cloth_mesh {
  int64_t vertex_count, face_count;
  int32_t color_count, edge_color_count;
  const int32_t* faces;         /* (faces,3) */
  const float* rest;            /* (vertices,3) as it was cut [m] */
  const float* inverse_masses;  /* (vertices) [1/kg]; 0 goes where its target goes, or out of the skin */
  const float* holds;           /* (vertices) stiffness of the pull to the target [N/m]; 0 is free */
  const float* thickness;       /* (vertices) least distance from the skin and from other cloth [m] */
  const int32_t* layers;        /* (vertices) 0 is innermost */
  const int32_t* garments;      /* (vertices) which piece */
  const int32_t* anchors;       /* (vertices) the held vertex it hangs on, or -1 */
  const float* anchor_lengths;  /* (vertices) cloth between the two [m] */
  const int32_t* color_begin;   /* (colours + 1) */
  const int32_t* springs;       /* (springs,2) */
  const float* lengths;         /* (springs) [m] */
  const float* compliances;     /* (springs) [m/N] */
} persona_cloth_mesh;

/* The skin that cloth meets. What of it lies inside the body, where limbs pass into each other, stops
 * nothing. */
typedef struct persona_cloth_body {
  int64_t vertex_count, face_count;
  const int32_t* faces; /* (faces,3), counter-clockwise seen from outside */
} persona_cloth_body;

typedef struct persona_cloth_rules {
  int32_t substeps;       /* of a frame */
  int32_t look_every;     /* substeps between two searches for contacts */
  int32_t stretch_sweeps; /* over long edges and the skin, after the springs; 1 or more */
  float seconds;          /* of a frame [s] */
  float gravity;          /* downwards, along -y [m/s^2] */
  float drag;             /* of the air [1/s] */
  float bend_damping;     /* time over which bending dies away [s] */
  float stretch_limit;    /* longest edge, of its length [-] */
  float friction;         /* with the skin [-] */
  float cloth_friction;   /* with cloth [-] */
  float max_push;         /* farthest that skin pushes in a substep [m] */
  float max_speed;        /* [m/s] */
  float body_reach;       /* skin farther away is not looked for [m] */
  float cloth_reach;      /* likewise, cloth of the same layer; 0 lets cloth pass through cloth [m] */
  float layer_reach;      /* likewise, cloth of another layer [m] */
} persona_cloth_rules;

typedef struct persona_cloth persona_cloth;

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
 * which is added to the means, as are the `offsets` (n,3) where there are any; `scales` (n,3) stand
 * for the packed deviations where they are given, and `slopes` (n,3,3), added to the identity, turn the
 * tangents. The bones of block b are share_bones[share_begin[b] ..
 * share_begin[b+1] - 1], rows of `bones` (any,4,4); `shares` (any,4,16) holds each one's weight and
 * the weight's gradient xyz. Tangents are held below max_stretch. */
PERSONA_API int persona_pose_gaussians(
    int isa, int threads, int64_t n, const float* rest, const int32_t* corners,
    const int32_t* share_begin, const int32_t* share_bones, const float* shares,
    const float* flesh, const float* bones, const float* offsets, const float* scales,
    const float* slopes, float max_stretch, float* means, float* covariances, float* normals);

/* Its vector-Jacobian product for offsets and scales, both (n,3); all arguments as before. */
PERSONA_API int persona_pose_gaussians_backward(
    int isa, int threads, int64_t n, const float* rest, const int32_t* corners,
    const int32_t* share_begin, const int32_t* share_bones, const float* shares,
    const float* flesh, const float* bones, const float* offsets, const float* scales,
    const float* slopes, float max_stretch, const float* grad_means, const float* grad_covariances,
    const float* grad_normals, float* grad_offsets, float* grad_scales);

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

/* Copies what it is handed. `cloth` is NULL unless the status is PERSONA_OK. */
PERSONA_API int persona_cloth_create(
    const persona_cloth_mesh* mesh, const persona_cloth_body* body, persona_cloth** cloth);
PERSONA_API void persona_cloth_destroy(persona_cloth* cloth);
PERSONA_API int64_t persona_cloth_bytes(const persona_cloth* cloth);

/* Moves cloth on by a frame, in which the skin (body vertices,3) and the targets (vertices,3) go
 * from before to after at constant speed. Positions [m] and velocities [m/s] (vertices,3) are read
 * and written. */
PERSONA_API int persona_cloth_frame(
    persona_cloth* cloth, int threads, const persona_cloth_rules* rules, const float* body_before,
    const float* body_after, const float* targets_before, const float* targets_after,
    float* positions, float* velocities);

/* One substep with the contacts given: for every vertex the two faces of the body (vertices,2) that
 * it minds, or -1; and pairs (n,2) of a vertex and a face of cloth, with the side, +1 or -1, where it must stay. */
PERSONA_API int persona_cloth_substep(
    persona_cloth* cloth, int threads, const persona_cloth_rules* rules, const float* body_earlier,
    const float* body_now, const float* body_normals, const float* targets, const int32_t* near,
    int64_t pair_count, const int32_t* pairs, const float* sides, float* positions,
    float* velocities);

/* The faces of the body (vertices,2) that each of the cloth's vertices at `points` minds: the nearest,
 * -1 where none is within reach, and in a crease the other wall, or -1. Skin buried in the body does
 * not count. */
PERSONA_API int persona_cloth_nearest(
    persona_cloth* cloth, int threads, float reach, const float* body, const float* points,
    int32_t* near);

#ifdef __cplusplus
}
#endif
#endif
