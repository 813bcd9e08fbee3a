// 3D Gaussians to 2D ellipses by a pinhole camera's local affine map, and the way back.
//
// The arithmetic is double: conics of needles cancel, and memory, not arithmetic, sets the pace.
#include "kernels.h"
#include "simd.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

struct View {
  double r[9], t[3], fx, fy, cx, cy, min_x, max_x, min_y, max_y, eps, near;
};

PERSONA_INLINE View view_of(const persona_camera& c) {
  View v;
  for (int k = 0; k < 9; ++k) v.r[k] = c.rotation[k];
  for (int k = 0; k < 3; ++k) v.t[k] = c.translation[k];
  v.fx = c.focal[0], v.fy = c.focal[1], v.cx = c.center[0], v.cy = c.center[1];
  v.min_x = c.tan_min[0], v.max_x = c.tan_max[0], v.min_y = c.tan_min[1], v.max_y = c.tan_max[1];
  v.eps = c.eps2d, v.near = c.near;
  return v;
}

PERSONA_INLINE double clamp(double x, double low, double high) {
  return x < low ? low : (x > high ? high : x);
}

// A point seen by the camera, and the rows a, b of J R: how its pixel moves with the world.
struct Seen {
  bool visible;
  double z, inverse_z, u, v, clamped_u, clamped_v;
  double a[3], b[3];
};

PERSONA_INLINE Seen look(const View& view, const float* mean) {
  Seen s;
  const double px = mean[0], py = mean[1], pz = mean[2];
  const double x = view.r[0] * px + view.r[1] * py + view.r[2] * pz + view.t[0];
  const double y = view.r[3] * px + view.r[4] * py + view.r[5] * pz + view.t[1];
  s.z = view.r[6] * px + view.r[7] * py + view.r[8] * pz + view.t[2];
  s.visible = s.z > view.near;
  s.inverse_z = 1.0 / (s.visible ? s.z : 1.0);
  s.u = x * s.inverse_z, s.v = y * s.inverse_z;
  s.clamped_u = clamp(s.u, view.min_x, view.max_x);
  s.clamped_v = clamp(s.v, view.min_y, view.max_y);
  for (int k = 0; k < 3; ++k) {
    s.a[k] = view.fx * s.inverse_z * (view.r[k] - s.clamped_u * view.r[6 + k]);
    s.b[k] = view.fy * s.inverse_z * (view.r[3 + k] - s.clamped_v * view.r[6 + k]);
  }
  return s;
}

// Rotation matrix of a unit quaternion wxyz.
PERSONA_INLINE void rotation_of(const double* q, double* m) {
  const double w = q[0], x = q[1], y = q[2], z = q[3];
  m[0] = 1 - 2 * (y * y + z * z), m[1] = 2 * (x * y - w * z), m[2] = 2 * (x * z + w * y);
  m[3] = 2 * (x * y + w * z), m[4] = 1 - 2 * (x * x + z * z), m[5] = 2 * (y * z - w * x);
  m[6] = 2 * (x * z - w * y), m[7] = 2 * (y * z + w * x), m[8] = 1 - 2 * (x * x + y * y);
}

// A quaternion of any length, made unit; the length's inverse is returned.
PERSONA_INLINE double unit_quaternion(const float* raw, double* q) {
  const double w = raw[0], x = raw[1], y = raw[2], z = raw[3];
  const double length = __builtin_sqrt(w * w + x * x + y * y + z * z);
  const double inverse = 1.0 / (length > 1e-12 ? length : 1e-12);
  q[0] = w * inverse, q[1] = x * inverse, q[2] = y * inverse, q[3] = z * inverse;
  return inverse;
}

// Covariance as xx xy xz yy yz zz, read or built from rotation and scales.
template <bool kFromScales>
PERSONA_INLINE void covariance_of(const ProjectJob& job, int64_t i, double* rotation, double* s) {
  if constexpr (kFromScales) {
    double q[4];
    unit_quaternion(job.quats + 4 * i, q);
    rotation_of(q, rotation);
    double m[9];
    for (int r = 0; r < 3; ++r)
      for (int k = 0; k < 3; ++k) m[3 * r + k] = rotation[3 * r + k] * job.scales[3 * i + k];
    s[0] = m[0] * m[0] + m[1] * m[1] + m[2] * m[2];
    s[1] = m[0] * m[3] + m[1] * m[4] + m[2] * m[5];
    s[2] = m[0] * m[6] + m[1] * m[7] + m[2] * m[8];
    s[3] = m[3] * m[3] + m[4] * m[4] + m[5] * m[5];
    s[4] = m[3] * m[6] + m[4] * m[7] + m[5] * m[8];
    s[5] = m[6] * m[6] + m[7] * m[7] + m[8] * m[8];
  } else {
    for (int k = 0; k < 6; ++k) s[k] = job.covariances[6 * i + k];
  }
}

// Symmetric matrix (xx xy xz yy yz zz) times vector.
PERSONA_INLINE void times(const double* s, const double* v, double* out) {
  out[0] = s[0] * v[0] + s[1] * v[1] + s[2] * v[2];
  out[1] = s[1] * v[0] + s[3] * v[1] + s[4] * v[2];
  out[2] = s[2] * v[0] + s[4] * v[1] + s[5] * v[2];
}

PERSONA_INLINE double dot(const double* a, const double* b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

template <bool kFromScales>
void forward(const ProjectJob& job, int64_t begin, int64_t end) {
  const View view = view_of(*job.camera);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const Seen seen = look(view, job.means + 3 * i);
    double rotation[9], s[6], sa[3], sb[3];
    covariance_of<kFromScales>(job, i, rotation, s);
    times(s, seen.a, sa);
    times(s, seen.b, sb);
    const double xx = dot(seen.a, sa) + view.eps, xy = dot(seen.a, sb);
    const double yy = dot(seen.b, sb) + view.eps;
    const double det = xx * yy - xy * xy;
    const bool draws = seen.visible && det > 0.0;
    const double inverse = draws ? 1.0 / det : 0.0;
    job.means2d[2 * i] = (float)(draws ? view.fx * seen.u + view.cx : 0.0);
    job.means2d[2 * i + 1] = (float)(draws ? view.fy * seen.v + view.cy : 0.0);
    job.conics[3 * i] = (float)(yy * inverse);
    job.conics[3 * i + 1] = (float)(-xy * inverse);
    job.conics[3 * i + 2] = (float)(xx * inverse);
    job.depths[i] = (float)seen.z;
  }
}

// Gradient of a rotation matrix with respect to the unit quaternion it was made from.
PERSONA_INLINE void rotation_gradient(const double* q, const double* g, double* out) {
  const double w = q[0], x = q[1], y = q[2], z = q[3];
  out[0] = 2 * (-z * g[1] + y * g[2] + z * g[3] - x * g[5] - y * g[6] + x * g[7]);
  out[1] = 2 * (y * g[1] + z * g[2] + y * g[3] - 2 * x * g[4] - w * g[5] + z * g[6] + w * g[7] -
                2 * x * g[8]);
  out[2] = 2 * (-2 * y * g[0] + x * g[1] + w * g[2] + x * g[3] + z * g[5] - w * g[6] + z * g[7] -
                2 * y * g[8]);
  out[3] = 2 * (-2 * z * g[0] - w * g[1] + x * g[2] + w * g[3] - 2 * z * g[4] + y * g[5] +
                x * g[6] + y * g[7]);
}

// From the gradient of the covariance (xx xy xz yy yz zz, off-diagonals counted once) to
// quaternion and scales, by way of M = R diag(scales), covariance = M M^T.
PERSONA_INLINE void scales_gradient(const ProjectJob& job, int64_t i, const double* rotation,
                                    const double* gs) {
  double gr[9];
  for (int k = 0; k < 3; ++k) {
    const double scale = job.scales[3 * i + k];
    const double r0 = rotation[k], r1 = rotation[3 + k], r2 = rotation[6 + k];
    const double m0 = (2 * gs[0] * r0 + gs[1] * r1 + gs[2] * r2) * scale;
    const double m1 = (gs[1] * r0 + 2 * gs[3] * r1 + gs[4] * r2) * scale;
    const double m2 = (gs[2] * r0 + gs[4] * r1 + 2 * gs[5] * r2) * scale;
    job.grad_scales[3 * i + k] = (float)(m0 * r0 + m1 * r1 + m2 * r2);
    gr[k] = m0 * scale, gr[3 + k] = m1 * scale, gr[6 + k] = m2 * scale;
  }
  double q[4], gq[4];
  const double inverse = unit_quaternion(job.quats + 4 * i, q);
  rotation_gradient(q, gr, gq);
  const double along = gq[0] * q[0] + gq[1] * q[1] + gq[2] * q[2] + gq[3] * q[3];
  for (int k = 0; k < 4; ++k) job.grad_quats[4 * i + k] = (float)((gq[k] - q[k] * along) * inverse);
}

template <bool kFromScales>
void backward(const ProjectJob& job, int64_t begin, int64_t end) {
  const View view = view_of(*job.camera);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    const Seen seen = look(view, job.means + 3 * i);
    double rotation[9], s[6], sa[3], sb[3];
    covariance_of<kFromScales>(job, i, rotation, s);
    times(s, seen.a, sa);
    times(s, seen.b, sb);
    const double xx = dot(seen.a, sa) + view.eps, xy = dot(seen.a, sb);
    const double yy = dot(seen.b, sb) + view.eps;
    const double det = xx * yy - xy * xy;
    const bool draws = seen.visible && det > 0.0;
    const double inverse = draws ? 1.0 / det : 0.0;
    // dL/dcov = -conic G conic, with G symmetric from the three numbers.
    const double ca = yy * inverse, cb = -xy * inverse, cc = xx * inverse;
    const double g0 = job.grad_conics[3 * i], g1 = 0.5 * job.grad_conics[3 * i + 1];
    const double g2 = job.grad_conics[3 * i + 2];
    const double e00 = ca * g0 + cb * g1, e01 = ca * g1 + cb * g2;
    const double e10 = cb * g0 + cc * g1, e11 = cb * g1 + cc * g2;
    const double gxx = -(e00 * ca + e01 * cb), gxy = -2 * (e00 * cb + e01 * cc);
    const double gyy = -(e10 * cb + e11 * cc);
    const double *a = seen.a, *b = seen.b;
    double gs[6];
    gs[0] = gxx * a[0] * a[0] + gxy * a[0] * b[0] + gyy * b[0] * b[0];
    gs[3] = gxx * a[1] * a[1] + gxy * a[1] * b[1] + gyy * b[1] * b[1];
    gs[5] = gxx * a[2] * a[2] + gxy * a[2] * b[2] + gyy * b[2] * b[2];
    gs[1] = 2 * gxx * a[0] * a[1] + gxy * (a[0] * b[1] + a[1] * b[0]) + 2 * gyy * b[0] * b[1];
    gs[2] = 2 * gxx * a[0] * a[2] + gxy * (a[0] * b[2] + a[2] * b[0]) + 2 * gyy * b[0] * b[2];
    gs[4] = 2 * gxx * a[1] * a[2] + gxy * (a[1] * b[2] + a[2] * b[1]) + 2 * gyy * b[1] * b[2];
    if constexpr (kFromScales) {
      scales_gradient(job, i, rotation, gs);
    } else {
      for (int k = 0; k < 6; ++k) job.grad_covariances[6 * i + k] = (float)gs[k];
    }
    // Through a = fx/z (R0 - u R2), b = fy/z (R1 - v R2), u = x/z, v = y/z.
    double ga[3], gb[3];
    for (int k = 0; k < 3; ++k) {
      ga[k] = 2 * gxx * sa[k] + gxy * sb[k];
      gb[k] = 2 * gyy * sb[k] + gxy * sa[k];
    }
    const double* depth_row = view.r + 6;
    const double turn_u = -view.fx * seen.inverse_z * dot(ga, depth_row);
    const double turn_v = -view.fy * seen.inverse_z * dot(gb, depth_row);
    const double gu = (draws ? view.fx * (double)job.grad_means2d[2 * i] : 0.0) +
                      (seen.clamped_u == seen.u ? turn_u : 0.0);
    const double gv = (draws ? view.fy * (double)job.grad_means2d[2 * i + 1] : 0.0) +
                      (seen.clamped_v == seen.v ? turn_v : 0.0);
    const double gx = gu * seen.inverse_z, gy = gv * seen.inverse_z;
    const double scaled = dot(ga, a) + dot(gb, b);
    const double gz = -seen.inverse_z * (scaled + gu * seen.u + gv * seen.v);
    const double gz_total = (draws ? gz : 0.0) + (double)job.grad_depths[i];
    for (int k = 0; k < 3; ++k)
      job.grad_means[3 * i + k] =
          (float)(view.r[k] * (draws ? gx : 0.0) + view.r[3 + k] * (draws ? gy : 0.0) +
                  view.r[6 + k] * gz_total);
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
