// 3D Gaussians to 2D ellipses by a pinhole camera's local affine map, and the way back.
//
// The arithmetic is double: conics of needles cancel, and memory, not arithmetic, sets the pace.
#include "double_lanes.h"
#include "kernels.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

// A point seen by the camera, and the rows a, b of J R: how its pixel moves with the world.
struct Seen {
  DoubleMask visible;
  Doubles z, inverse_z, u, v, clamped_u, clamped_v;
  Doubles a[3], b[3];
};

PERSONA_INLINE Seen look(const persona_camera& camera, const Doubles* mean) {
  const double* r = camera.rotation;
  const double* t = camera.translation;
  Seen s;
  const Doubles x = r[0] * mean[0] + r[1] * mean[1] + r[2] * mean[2] + t[0];
  const Doubles y = r[3] * mean[0] + r[4] * mean[1] + r[5] * mean[2] + t[1];
  s.z = r[6] * mean[0] + r[7] * mean[1] + r[8] * mean[2] + t[2];
  s.visible = s.z > camera.near;
  s.inverse_z = 1.0 / (s.visible ? s.z : doubles(1.0));
  s.u = x * s.inverse_z, s.v = y * s.inverse_z;
  s.clamped_u = clamp(s.u, camera.tan_min[0], camera.tan_max[0]);
  s.clamped_v = clamp(s.v, camera.tan_min[1], camera.tan_max[1]);
  const Doubles fx = camera.focal[0] * s.inverse_z, fy = camera.focal[1] * s.inverse_z;
  for (int k = 0; k < 3; ++k) {
    s.a[k] = fx * (r[k] - s.clamped_u * r[6 + k]);
    s.b[k] = fy * (r[3 + k] - s.clamped_v * r[6 + k]);
  }
  return s;
}

// Rotation matrix of a unit quaternion wxyz.
PERSONA_INLINE void rotation_of(const Doubles* q, Doubles* m) {
  const Doubles w = q[0], x = q[1], y = q[2], z = q[3];
  m[0] = 1.0 - 2.0 * (y * y + z * z), m[1] = 2.0 * (x * y - w * z), m[2] = 2.0 * (x * z + w * y);
  m[3] = 2.0 * (x * y + w * z), m[4] = 1.0 - 2.0 * (x * x + z * z), m[5] = 2.0 * (y * z - w * x);
  m[6] = 2.0 * (x * z - w * y), m[7] = 2.0 * (y * z + w * x), m[8] = 1.0 - 2.0 * (x * x + y * y);
}

// Where the shape of a Gaussian comes from: its covariance, or axes and scales.
struct Shape {
  Doubles s[6];         // covariance xx xy xz yy yz zz
  Doubles q[4];         // unit quaternion
  Doubles inverse;      // 1 / length of the quaternion given
  Doubles rotation[9];  // of the axes to the world
  Doubles scales[3];
};

template <bool kFromScales>
PERSONA_INLINE Shape shape_of(const ProjectJob& job, int64_t i, int count) {
  Shape shape;
  if constexpr (!kFromScales) {
    load_rows<6>(job.covariances, i, count, shape.s);
    return shape;
  }
  Doubles* q = shape.q;
  load_rows<4>(job.quats, i, count, q);
  load_rows<3>(job.scales, i, count, shape.scales);
  const Doubles length = square_root(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
  shape.inverse = 1.0 / (length > 1e-12 ? length : doubles(1e-12));
  for (int k = 0; k < 4; ++k) q[k] = q[k] * shape.inverse;
  rotation_of(q, shape.rotation);
  Doubles m[9];
  for (int r = 0; r < 3; ++r)
    for (int k = 0; k < 3; ++k) m[3 * r + k] = shape.rotation[3 * r + k] * shape.scales[k];
  shape.s[0] = m[0] * m[0] + m[1] * m[1] + m[2] * m[2];
  shape.s[1] = m[0] * m[3] + m[1] * m[4] + m[2] * m[5];
  shape.s[2] = m[0] * m[6] + m[1] * m[7] + m[2] * m[8];
  shape.s[3] = m[3] * m[3] + m[4] * m[4] + m[5] * m[5];
  shape.s[4] = m[3] * m[6] + m[4] * m[7] + m[5] * m[8];
  shape.s[5] = m[6] * m[6] + m[7] * m[7] + m[8] * m[8];
  return shape;
}

// Symmetric matrix (xx xy xz yy yz zz) times vector.
PERSONA_INLINE void times(const Doubles* s, const Doubles* v, Doubles* out) {
  out[0] = s[0] * v[0] + s[1] * v[1] + s[2] * v[2];
  out[1] = s[1] * v[0] + s[3] * v[1] + s[4] * v[2];
  out[2] = s[2] * v[0] + s[4] * v[1] + s[5] * v[2];
}

PERSONA_INLINE Doubles dot(const Doubles* a, const Doubles* b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

// The ellipse: its inverse covariance, and whether it can be drawn.
struct Ellipse {
  Doubles sa[3], sb[3];  // covariance times a, times b
  DoubleMask draws;
  Doubles conic[3];
};

PERSONA_INLINE Ellipse ellipse_of(const Seen& seen, const Shape& shape, double eps2d) {
  Ellipse e;
  times(shape.s, seen.a, e.sa);
  times(shape.s, seen.b, e.sb);
  const Doubles xx = dot(seen.a, e.sa) + eps2d, xy = dot(seen.a, e.sb);
  const Doubles yy = dot(seen.b, e.sb) + eps2d;
  const Doubles det = xx * yy - xy * xy;
  e.draws = seen.visible & (det > 0.0);
  const Doubles inverse = e.draws ? 1.0 / det : doubles(0.0);
  e.conic[0] = yy * inverse, e.conic[1] = -xy * inverse, e.conic[2] = xx * inverse;
  return e;
}

template <bool kFromScales>
void forward(const ProjectJob& job, int64_t begin, int64_t end) {
  const persona_camera camera = *job.camera;
  for (int64_t i = begin; i < end; i += kDoubles) {
    const int count = end - i < kDoubles ? (int)(end - i) : kDoubles;
    Doubles mean[3];
    load_rows<3>(job.means, i, count, mean);
    const Seen seen = look(camera, mean);
    const Shape shape = shape_of<kFromScales>(job, i, count);
    const Ellipse e = ellipse_of(seen, shape, camera.eps2d);
    const Doubles x = camera.focal[0] * seen.u + camera.center[0];
    const Doubles y = camera.focal[1] * seen.v + camera.center[1];
    const Doubles pixel[2] = {e.draws ? x : doubles(0.0), e.draws ? y : doubles(0.0)};
    store_rows<2>(job.means2d, i, count, pixel);
    store_rows<3>(job.conics, i, count, e.conic);
    store_rows<1>(job.depths, i, count, &seen.z);
  }
}

// Gradient of a rotation matrix with respect to the unit quaternion it was made from.
PERSONA_INLINE void rotation_gradient(const Doubles* q, const Doubles* g, Doubles* out) {
  const Doubles w = q[0], x = q[1], y = q[2], z = q[3];
  out[0] = 2.0 * (z * (g[3] - g[1]) + y * (g[2] - g[6]) + x * (g[7] - g[5]));
  out[1] = 2.0 * (y * (g[1] + g[3]) + z * (g[2] + g[6]) + w * (g[7] - g[5]) -
                  2.0 * x * (g[4] + g[8]));
  out[2] = 2.0 * (x * (g[1] + g[3]) + z * (g[5] + g[7]) + w * (g[2] - g[6]) -
                  2.0 * y * (g[0] + g[8]));
  out[3] = 2.0 * (x * (g[2] + g[6]) + y * (g[5] + g[7]) + w * (g[3] - g[1]) -
                  2.0 * z * (g[0] + g[4]));
}

// From the gradient of the covariance (xx xy xz yy yz zz, off-diagonals counted once) to
// quaternion and scales, by way of M = R diag(scales), covariance = M M^T.
PERSONA_INLINE void store_scales_gradient(const ProjectJob& job, int64_t i, int count,
                                          const Shape& shape, const Doubles* gs) {
  Doubles gr[9], g_scales[3], gq[4];
  for (int k = 0; k < 3; ++k) {
    const Doubles scale = shape.scales[k];
    const Doubles r0 = shape.rotation[k], r1 = shape.rotation[3 + k], r2 = shape.rotation[6 + k];
    const Doubles m0 = (2.0 * gs[0] * r0 + gs[1] * r1 + gs[2] * r2) * scale;
    const Doubles m1 = (gs[1] * r0 + 2.0 * gs[3] * r1 + gs[4] * r2) * scale;
    const Doubles m2 = (gs[2] * r0 + gs[4] * r1 + 2.0 * gs[5] * r2) * scale;
    g_scales[k] = m0 * r0 + m1 * r1 + m2 * r2;
    gr[k] = m0 * scale, gr[3 + k] = m1 * scale, gr[6 + k] = m2 * scale;
  }
  rotation_gradient(shape.q, gr, gq);
  const Doubles* q = shape.q;
  const Doubles along = gq[0] * q[0] + gq[1] * q[1] + gq[2] * q[2] + gq[3] * q[3];
  for (int k = 0; k < 4; ++k) gq[k] = (gq[k] - q[k] * along) * shape.inverse;
  store_rows<4>(job.grad_quats, i, count, gq);
  store_rows<3>(job.grad_scales, i, count, g_scales);
}

// Gradient of the ellipse's covariance xx, xy, yy: -conic G conic, with G symmetric from the
// gradients of the three conic numbers.
PERSONA_INLINE void flat_gradient(const Doubles* conic, const Doubles* grad, Doubles* out) {
  const Doubles g0 = grad[0], g1 = 0.5 * grad[1], g2 = grad[2];
  const Doubles e00 = conic[0] * g0 + conic[1] * g1, e01 = conic[0] * g1 + conic[1] * g2;
  const Doubles e10 = conic[1] * g0 + conic[2] * g1, e11 = conic[1] * g1 + conic[2] * g2;
  out[0] = -(e00 * conic[0] + e01 * conic[1]);
  out[1] = -2.0 * (e00 * conic[1] + e01 * conic[2]);
  out[2] = -(e10 * conic[1] + e11 * conic[2]);
}

template <bool kFromScales>
PERSONA_INLINE void store_shape_gradient(const ProjectJob& job, int64_t i, int count,
                                         const Seen& seen, const Shape& shape,
                                         const Doubles* flat) {
  const Doubles *a = seen.a, *b = seen.b;
  const Doubles xx = flat[0], xy = flat[1], yy = flat[2];
  Doubles gs[6];
  gs[0] = xx * a[0] * a[0] + xy * a[0] * b[0] + yy * b[0] * b[0];
  gs[3] = xx * a[1] * a[1] + xy * a[1] * b[1] + yy * b[1] * b[1];
  gs[5] = xx * a[2] * a[2] + xy * a[2] * b[2] + yy * b[2] * b[2];
  gs[1] = 2.0 * (xx * a[0] * a[1] + yy * b[0] * b[1]) + xy * (a[0] * b[1] + a[1] * b[0]);
  gs[2] = 2.0 * (xx * a[0] * a[2] + yy * b[0] * b[2]) + xy * (a[0] * b[2] + a[2] * b[0]);
  gs[4] = 2.0 * (xx * a[1] * a[2] + yy * b[1] * b[2]) + xy * (a[1] * b[2] + a[2] * b[1]);
  if constexpr (kFromScales) {
    store_scales_gradient(job, i, count, shape, gs);
  } else {
    store_rows<6>(job.grad_covariances, i, count, gs);
  }
}

template <bool kFromScales>
void backward(const ProjectJob& job, int64_t begin, int64_t end) {
  const persona_camera camera = *job.camera;
  const double* r = camera.rotation;
  for (int64_t i = begin; i < end; i += kDoubles) {
    const int count = end - i < kDoubles ? (int)(end - i) : kDoubles;
    Doubles mean[3], grad_pixel[2], grad_conic[3], grad_depth[1], flat[3], ga[3], gb[3];
    load_rows<3>(job.means, i, count, mean);
    load_rows<2>(job.grad_means2d, i, count, grad_pixel);
    load_rows<3>(job.grad_conics, i, count, grad_conic);
    load_rows<1>(job.grad_depths, i, count, grad_depth);
    const Seen seen = look(camera, mean);
    const Shape shape = shape_of<kFromScales>(job, i, count);
    const Ellipse e = ellipse_of(seen, shape, camera.eps2d);
    flat_gradient(e.conic, grad_conic, flat);
    store_shape_gradient<kFromScales>(job, i, count, seen, shape, flat);
    // Through a = fx/z (R0 - u R2), b = fy/z (R1 - v R2), u = x/z, v = y/z.
    for (int k = 0; k < 3; ++k) {
      ga[k] = 2.0 * flat[0] * e.sa[k] + flat[1] * e.sb[k];
      gb[k] = 2.0 * flat[2] * e.sb[k] + flat[1] * e.sa[k];
    }
    const Doubles turn_u = ga[0] * r[6] + ga[1] * r[7] + ga[2] * r[8];
    const Doubles turn_v = gb[0] * r[6] + gb[1] * r[7] + gb[2] * r[8];
    const Doubles zero = doubles(0.0);
    const Doubles gu = camera.focal[0] * (grad_pixel[0] - (seen.clamped_u == seen.u
                                                               ? turn_u * seen.inverse_z : zero));
    const Doubles gv = camera.focal[1] * (grad_pixel[1] - (seen.clamped_v == seen.v
                                                               ? turn_v * seen.inverse_z : zero));
    const Doubles gx = e.draws ? gu * seen.inverse_z : zero;
    const Doubles gy = e.draws ? gv * seen.inverse_z : zero;
    const Doubles along = dot(ga, seen.a) + dot(gb, seen.b) + gu * seen.u + gv * seen.v;
    const Doubles gz = (e.draws ? -seen.inverse_z * along : zero) + grad_depth[0];
    Doubles grad_mean[3];
    for (int k = 0; k < 3; ++k) grad_mean[k] = r[k] * gx + r[3 + k] * gy + r[6 + k] * gz;
    store_rows<3>(job.grad_means, i, count, grad_mean);
  }
}

}  // namespace

void project_forward(const ProjectJob& job, int64_t begin, int64_t end) {
  if (job.covariances != nullptr) return forward<false>(job, begin, end);
  forward<true>(job, begin, end);
}

void project_backward(const ProjectJob& job, int64_t begin, int64_t end) {
  if (job.covariances != nullptr) return backward<false>(job, begin, end);
  backward<true>(job, begin, end);
}

}  // namespace PERSONA_ISA
}  // namespace persona
