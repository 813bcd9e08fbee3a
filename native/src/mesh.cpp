// Nearest triangle of every pixel: a z-buffer over bands of rows.
#include <algorithm>
#include <cmath>

#include "kernels.h"
#include "thread_pool.h"

namespace persona {
namespace {

constexpr int kBandRows = 32;  // rows per task

struct MeshJob {
  int64_t face_count;
  const float *vertices, *depths;
  const int32_t* faces;
  int width, height;
  double near;
  int32_t* face_ids;
  float *barycentric, *depth;
};

// First pixel whose centre is at or after `x`, kept inside [0, end].
int first_pixel(double x, int end) {
  return static_cast<int>(std::ceil(std::clamp(x - 0.5, 0.0, static_cast<double>(end))));
}
// One past the last pixel whose centre is at or before `x`, kept inside [0, end].
int past_pixel(double x, int end) {
  return static_cast<int>(std::floor(std::clamp(x - 0.5, -1.0, static_cast<double>(end - 1)))) + 1;
}

struct Triangle {
  double x[3], y[3], inverse_z[3], inverse_area;
};

// False when the triangle draws nothing: at the camera, without area, or not a number.
bool setup(const MeshJob& job, int64_t face, Triangle& t) {
  for (int k = 0; k < 3; ++k) {
    const int64_t v = job.faces[3 * face + k];
    t.x[k] = job.vertices[2 * v];
    t.y[k] = job.vertices[2 * v + 1];
    const double z = job.depths[v];
    if (!(z > job.near) || !std::isfinite(t.x[k]) || !std::isfinite(t.y[k])) return false;
    t.inverse_z[k] = 1.0 / z;
  }
  const double area = (t.x[1] - t.x[0]) * (t.y[2] - t.y[0]) - (t.x[2] - t.x[0]) * (t.y[1] - t.y[0]);
  if (area == 0.0 || !std::isfinite(area)) return false;
  t.inverse_area = 1.0 / area;
  return true;
}

void draw_triangle(const MeshJob& job, int64_t face, const Triangle& t, int row0, int row1) {
  const int x0 = first_pixel(std::min({t.x[0], t.x[1], t.x[2]}), job.width);
  const int x1 = past_pixel(std::max({t.x[0], t.x[1], t.x[2]}), job.width);
  const int y0 = std::max(row0, first_pixel(std::min({t.y[0], t.y[1], t.y[2]}), job.height));
  const int y1 = std::min(row1, past_pixel(std::max({t.y[0], t.y[1], t.y[2]}), job.height));
  for (int row = y0; row < y1; ++row) {
    const double py = row + 0.5;
    for (int column = x0; column < x1; ++column) {
      const double px = column + 0.5;
      // Each weight from its own edge, so that both triangles of an edge see the same number.
      double w[3];
      for (int k = 0; k < 3; ++k) {
        const int i = (k + 1) % 3, j = (k + 2) % 3;
        w[k] = ((t.x[i] - px) * (t.y[j] - py) - (t.x[j] - px) * (t.y[i] - py)) * t.inverse_area;
      }
      if (!(w[0] >= 0.0 && w[1] >= 0.0 && w[2] >= 0.0)) continue;
      const double p[3] = {w[0] * t.inverse_z[0], w[1] * t.inverse_z[1], w[2] * t.inverse_z[2]};
      const double sum = p[0] + p[1] + p[2];
      const float z = static_cast<float>((w[0] + w[1] + w[2]) / sum);
      const size_t at = static_cast<size_t>(row) * job.width + column;
      // Faces come in order: at equal depth the first one stays.
      if (job.face_ids[at] >= 0 && !(z < job.depth[at])) continue;
      job.face_ids[at] = static_cast<int32_t>(face);
      job.depth[at] = z;
      for (int k = 0; k < 3; ++k) job.barycentric[3 * at + k] = static_cast<float>(p[k] / sum);
    }
  }
}

void draw_band(const MeshJob& job, int row0, int row1) {
  const size_t begin = static_cast<size_t>(row0) * job.width;
  const size_t end = static_cast<size_t>(row1) * job.width;
  std::fill(job.face_ids + begin, job.face_ids + end, -1);
  std::fill(job.depth + begin, job.depth + end, 0.0f);
  std::fill(job.barycentric + 3 * begin, job.barycentric + 3 * end, 0.0f);
  for (int64_t face = 0; face < job.face_count; ++face) {
    const int32_t* v = job.faces + 3 * face;
    const float y0 = job.vertices[2 * static_cast<size_t>(v[0]) + 1];
    const float y1 = job.vertices[2 * static_cast<size_t>(v[1]) + 1];
    const float y2 = job.vertices[2 * static_cast<size_t>(v[2]) + 1];
    if (std::max({y0, y1, y2}) < static_cast<float>(row0)) continue;
    if (std::min({y0, y1, y2}) > static_cast<float>(row1)) continue;
    Triangle t;
    if (setup(job, face, t)) draw_triangle(job, face, t, row0, row1);
  }
}

}  // namespace
}  // namespace persona

int persona_rasterize_mesh(int threads, int64_t vertex_count, int64_t face_count,
                           const float* vertices2d, const float* depths, const int32_t* faces,
                           int width, int height, double near, int32_t* face_ids,
                           float* barycentric, float* depth) {
  using namespace persona;
  for (int64_t k = 0; k < 3 * face_count; ++k)
    if (faces[k] < 0 || faces[k] >= vertex_count) return PERSONA_BAD_INDEX;
  const MeshJob job = {face_count, vertices2d, depths, faces,       width,
                       height,     near,       face_ids, barycentric, depth};
  for_chunks(threads, (height + kBandRows - 1) / kBandRows, [&](int band, int) {
    draw_band(job, band * kBandRows, std::min(height, (band + 1) * kBandRows));
  });
  return PERSONA_OK;
}
