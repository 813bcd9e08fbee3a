// A box of cells that know which triangles touch them, and the small vectors all cloth is made of.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace persona {

struct Vec {
  float x = 0.0f, y = 0.0f, z = 0.0f;
};

inline Vec operator+(const Vec& a, const Vec& b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec operator-(const Vec& a, const Vec& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec operator*(float s, const Vec& a) { return {s * a.x, s * a.y, s * a.z}; }
inline Vec& operator+=(Vec& a, const Vec& b) { return a = a + b; }
inline Vec& operator-=(Vec& a, const Vec& b) { return a = a - b; }
inline float dot(const Vec& a, const Vec& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline float length(const Vec& a) { return std::sqrt(dot(a, a)); }
inline Vec cross(const Vec& a, const Vec& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
// Zero stays zero.
inline Vec unit(const Vec& a) {
  const float size = length(a);
  return size > 0.0f ? (1.0f / size) * a : Vec{};
}

struct Box {
  float low[3], high[3];

  static Box nowhere();
  static Box around(const std::vector<Vec>& points, float margin);
  void include(const Vec& p);  // points that are lost, or not finite, are left out
  bool meets(const Box& other) const;
};

class TriangleGrid {
 public:
  // Sorts triangles into cells of about the given side [m]; numbers that are not finite do no harm.
  // Labels of vertices tell visitors whom to skip.
  void build(const Vec* points, const int32_t* faces, int64_t face_count, float side,
             const int32_t* labels = nullptr);

  // Calls visit(face) for the triangles that may be within `radius` of `at`; the same one may come
  // again. `radius` is read anew for each, so that a search may narrow as it finds.
  // Cells that hold nothing but the label of `skip` are passed over.
  template <class Visit>
  void visit(const Vec& at, const float& radius, Visit visit, uint32_t skip = 0) const {
    if (begin_.empty()) return;
    int low[3], high[3];
    const float center[3] = {at.x, at.y, at.z};
    for (int k = 0; k < 3; ++k) {
      low[k] = cell_of(center[k] - radius, k);
      high[k] = cell_of(center[k] + radius, k);
    }
    for (int z = low[2]; z <= high[2]; ++z)
      for (int y = low[1]; y <= high[1]; ++y)
        for (int x = low[0]; x <= high[0]; ++x) {
          const int64_t cell = (static_cast<int64_t>(z) * count_[1] + y) * count_[0] + x;
          if ((labels_[cell] & ~skip) == 0) continue;
          const float gaps[3] = {gap(at.x, x, 0), gap(at.y, y, 1), gap(at.z, z, 2)};
          const float away = gaps[0] * gaps[0] + gaps[1] * gaps[1] + gaps[2] * gaps[2];
          if (away > radius * radius) continue;
          for (uint32_t entry = begin_[cell]; entry < begin_[cell + 1]; ++entry) {
            const Ball& ball = balls_[entries_[entry]];
            const Vec way = at - ball.center;
            const float touching = radius + ball.radius;
            if (!(dot(way, way) > touching * touching)) visit(entries_[entry]);
          }
        }
  }
  // Calls visit(face, is_here) for the triangles in the cells that a ray along an axis passes;
  // is_here(value) tells whether a coordinate along it lies in the cell, so that who is in many
  // cells is met once.
  template <class Visit>
  void visit_along(const Vec& from, int axis, bool forward, Visit visit) const {
    if (begin_.empty()) return;
    const float start[3] = {from.x, from.y, from.z};
    int cell[3];
    for (int k = 0; k < 3; ++k) cell[k] = cell_of(start[k], k);
    for (; cell[axis] >= 0 && cell[axis] < count_[axis]; cell[axis] += forward ? 1 : -1) {
      const int64_t id =
          (static_cast<int64_t>(cell[2]) * count_[1] + cell[1]) * count_[0] + cell[0];
      const auto is_here = [&](float value) { return cell_of(value, axis) == cell[axis]; };
      for (uint32_t entry = begin_[id]; entry < begin_[id + 1]; ++entry)
        visit(entries_[entry], is_here);
    }
  }
  // What holds the triangle, where it was when the grid was built.
  const Box& box(int32_t face) const { return boxes_[face]; }
  static uint32_t bit(int32_t label) { return 1u << (label & 31); }
  int64_t bytes() const {
    const size_t words = begin_.capacity() + at_.capacity() + entries_.capacity() +
                         labels_.capacity();
    return static_cast<int64_t>(sizeof(uint32_t) * words + sizeof(Ball) * balls_.capacity() +
                                sizeof(Box) * boxes_.capacity());
  }

 private:
  // Holds a triangle: most of those in reach of the cells are ruled out by it.
  struct Ball {
    Vec center;
    float radius;
  };

  // Clamped to the grid; what is not a number lands in the first cell.
  int cell_of(float value, int axis) const {
    const float place = (value - low_[axis]) * inverse_side_;
    if (!(place > 0.0f)) return 0;
    const float last = static_cast<float>(count_[axis] - 1);
    return static_cast<int>(place < last ? place : last);
  }
  // Distance from a coordinate to a cell's range; outer cells reach to infinity.
  float gap(float value, int cell, int axis) const {
    const float begin = low_[axis] + static_cast<float>(cell) * side_;
    if (value < begin && cell > 0) return begin - value;
    if (value > begin + side_ && cell < count_[axis] - 1) return value - begin - side_;
    return 0.0f;
  }

  float low_[3] = {}, side_ = 1.0f, inverse_side_ = 1.0f;
  int count_[3] = {};
  std::vector<uint32_t> begin_, at_, labels_;  // labels: which are in a cell, a bit each
  std::vector<int32_t> entries_;
  std::vector<Ball> balls_;
  std::vector<Box> boxes_;
};

}  // namespace persona
