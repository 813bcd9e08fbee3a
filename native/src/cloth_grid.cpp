// Sorts triangles into the cells of a box, in the order of their numbers.
#include "cloth_grid.h"

namespace persona {
namespace {

constexpr int64_t kMostCells = 1 << 19;  // 2 MB; a person needs a third
constexpr float kFarthest = 1e4f;        // [m]; a point beyond is lost, and stretches no grid

}  // namespace

Box Box::nowhere() {
  return {{kFarthest, kFarthest, kFarthest}, {-kFarthest, -kFarthest, -kFarthest}};
}

Box Box::around(const std::vector<Vec>& points, float margin) {
  Box box = nowhere();
  for (const Vec& p : points) box.include(p);
  for (int k = 0; k < 3; ++k) box.low[k] -= margin, box.high[k] += margin;
  return box;
}

void Box::include(const Vec& p) {
  const float values[3] = {p.x, p.y, p.z};
  for (int k = 0; k < 3; ++k) {
    const float value = values[k];
    if (!(std::fabs(value) < kFarthest)) continue;
    low[k] = std::min(low[k], value);
    high[k] = std::max(high[k], value);
  }
}

bool Box::meets(const Box& other) const {
  for (int k = 0; k < 3; ++k)
    if (low[k] > other.high[k] || high[k] < other.low[k]) return false;
  return true;
}

void TriangleGrid::build(const Vec* points, const int32_t* faces, int64_t face_count,
                         float side, const int32_t* labels) {
  Box all = Box::nowhere();
  boxes_.resize(face_count);
  for (int64_t face = 0; face < face_count; ++face) {
    Box& box = boxes_[face] = Box::nowhere();
    for (int k = 0; k < 3; ++k) {
      box.include(points[faces[3 * face + k]]);
      all.include(points[faces[3 * face + k]]);
    }
  }
  balls_.resize(face_count);
  for (int64_t face = 0; face < face_count; ++face) {
    const int32_t* ids = faces + 3 * face;
    const Vec center = (1.0f / 3.0f) * (points[ids[0]] + points[ids[1]] + points[ids[2]]);
    float radius = 0.0f;
    for (int k = 0; k < 3; ++k) radius = std::max(radius, length(points[ids[k]] - center));
    balls_[face] = {center, 1.0001f * radius};  // for rounding
  }
  side_ = side;
  for (;;) {
    int64_t cells = 1;
    for (int k = 0; k < 3; ++k) {
      const float size = std::max(0.0f, all.high[k] - all.low[k]);
      low_[k] = all.low[k] < all.high[k] ? all.low[k] : 0.0f;
      count_[k] = static_cast<int>(std::min(size / side_, 1e4f)) + 1;
      cells *= count_[k];
    }
    if (cells <= kMostCells) break;
    side_ *= 1.5f;
  }
  inverse_side_ = 1.0f / side_;
  const int64_t cells = static_cast<int64_t>(count_[0]) * count_[1] * count_[2];
  begin_.assign(cells + 1, 0);
  labels_.assign(cells, 0);
  // Twice over the triangles: count, then write.
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t face = 0; face < face_count; ++face) {
      const Box& box = boxes_[face];
      if (box.low[0] > box.high[0]) continue;
      const uint32_t label = labels != nullptr ? bit(labels[faces[3 * face]]) : 1u;
      int low[3], high[3];
      for (int k = 0; k < 3; ++k) {
        low[k] = cell_of(box.low[k], k);
        high[k] = std::max(low[k], cell_of(box.high[k], k));
      }
      for (int z = low[2]; z <= high[2]; ++z)
        for (int y = low[1]; y <= high[1]; ++y)
          for (int x = low[0]; x <= high[0]; ++x) {
            const int64_t cell = (static_cast<int64_t>(z) * count_[1] + y) * count_[0] + x;
            if (pass == 0)
              ++begin_[cell + 1], labels_[cell] |= label;
            else
              entries_[at_[cell]++] = static_cast<int32_t>(face);
          }
    }
    if (pass == 1) break;
    for (int64_t cell = 0; cell < cells; ++cell) begin_[cell + 1] += begin_[cell];
    at_.assign(begin_.begin(), begin_.end() - 1);
    entries_.resize(begin_[cells]);
  }
}

}  // namespace persona
