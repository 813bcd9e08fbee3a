// The body as cloth meets it: nearest skin, its normal and motion, and what of it lies buried in
// other parts of itself.
#include <algorithm>

#include "cloth.h"
#include "thread_pool.h"

namespace persona {
namespace {

constexpr float kCell = 0.025f;          // [m]; a triangle of the torso fits
constexpr float kAbove = 5e-4f;     // [m]; skin is buried where a point so far above it is inside
constexpr float kCrowd = 0.06f;     // [m]; with other skin so near before it, skin is in a crease
constexpr float kWallReach = 0.02f; // [m]; as thin as toes are
constexpr float kTurned = 0.5f;     // cosine between the walls of a crease, at most
constexpr int kMostWalks = 6;       // triangles in a substep; a body is not faster
constexpr float kDeepest = 0.15f;   // [m]; from deeper inside nobody finds out
constexpr float kFar = 1e30f;

// The nearest point of the segment from a to b.
Vec nearest_on_segment(const Vec& p, const Vec& a, const Vec& b, float& along) {
  const Vec edge = b - a;
  const float size2 = dot(edge, edge);
  along = size2 > 0.0f ? std::clamp(dot(p - a, edge) / size2, 0.0f, 1.0f) : 0.0f;
  return a + along * edge;
}

std::vector<Vec> vectors(const float* values, int64_t count) {
  std::vector<Vec> result(count);
  for (int64_t i = 0; i < count; ++i)
    result[i] = {values[3 * i], values[3 * i + 1], values[3 * i + 2]};
  return result;
}

// Unit normals of vertices, the faces around weighted by area.
void find_normals(const std::vector<Vec>& points, const std::vector<int32_t>& faces,
                  std::vector<Vec>& normals) {
  normals.assign(points.size(), Vec{});
  for (size_t k = 0; k < faces.size(); k += 3) {
    const Vec& a = points[faces[k]];
    const Vec wide = cross(points[faces[k + 1]] - a, points[faces[k + 2]] - a);
    for (int corner = 0; corner < 3; ++corner) normals[faces[k + corner]] += wide;
  }
  for (Vec& normal : normals) normal = unit(normal);
}

}  // namespace

Foot nearest_on_triangle(const Vec& p, const Vec& a, const Vec& b, const Vec& c) {
  const Vec ab = b - a, ac = c - a, ap = p - a;
  const Vec wide = cross(ab, ac);
  const float area2 = dot(wide, wide);
  Foot foot;
  if (area2 > 0.0f) {
    const float of_b = dot(cross(ap, ac), wide) / area2, of_c = dot(cross(ab, ap), wide) / area2;
    if (of_b > 0.0f && of_c > 0.0f && of_b + of_c < 1.0f) {
      foot.shares[0] = 1.0f - of_b - of_c, foot.shares[1] = of_b, foot.shares[2] = of_c;
      foot.point = a + (of_b * ab + of_c * ac);
      const Vec away = p - foot.point;
      foot.distance2 = dot(away, away);
      foot.inside = true;
      return foot;
    }
  }
  const Vec* corners[3] = {&a, &b, &c};
  foot.inside = false;
  for (int k = 0; k < 3; ++k) {
    const int next = (k + 1) % 3;
    float along;
    const Vec point = nearest_on_segment(p, *corners[k], *corners[next], along);
    const Vec away = p - point;
    const float distance2 = dot(away, away);
    if (k > 0 && !(distance2 < foot.distance2)) continue;
    foot.distance2 = distance2;
    foot.point = point;
    foot.shares[k] = 1.0f - along, foot.shares[next] = along, foot.shares[(k + 2) % 3] = 0.0f;
  }
  return foot;
}

void BodySurface::set(const persona_cloth_body& body) {
  vertex_count_ = body.vertex_count;
  faces_.assign(body.faces, body.faces + 3 * body.face_count);
  ignored_.assign(body.face_count, 0);
  creased_.assign(body.face_count, 0);
  buried_.assign(body.vertex_count, 0);
  crowded_.assign(body.vertex_count, 0);
  ring_begin_.assign(body.vertex_count + 1, 0);
  for (int32_t vertex : faces_) ++ring_begin_[vertex + 1];
  for (int64_t i = 0; i < body.vertex_count; ++i) ring_begin_[i + 1] += ring_begin_[i];
  ring_.resize(faces_.size());
  std::vector<int32_t> at(ring_begin_.begin(), ring_begin_.end() - 1);
  for (size_t k = 0; k < faces_.size(); ++k)
    ring_[at[faces_[k]]++] = static_cast<int32_t>(k / 3);
}

void BodySurface::begin_frame(int threads, const float* before, const float* after,
                              const Box& window) {
  before_ = vectors(before, vertex_count_);
  after_ = vectors(after, vertex_count_);
  find_normals(before_, faces_, normals_before_);
  find_normals(after_, faces_, normals_after_);
  now_ = after_;
  normals_ = normals_after_;
  index();
  find_buried(threads, window);
}

void BodySurface::show(int substep, int substeps) {
  const float from = static_cast<float>(substep) / static_cast<float>(substeps);
  const float to = static_cast<float>(substep + 1) / static_cast<float>(substeps);
  earlier_.resize(before_.size());
  for (size_t i = 0; i < before_.size(); ++i) {
    const Vec way = after_[i] - before_[i];
    earlier_[i] = before_[i] + from * way;
    now_[i] = before_[i] + to * way;
    normals_[i] = normals_before_[i] + to * (normals_after_[i] - normals_before_[i]);
  }
}

void BodySurface::show(const float* earlier, const float* now, const float* normals) {
  earlier_ = vectors(earlier, vertex_count_);
  now_ = vectors(now, vertex_count_);
  normals_ = vectors(normals, vertex_count_);
}

void BodySurface::index() { grid_.build(now_.data(), faces_.data(), face_count(), kCell); }

Foot BodySurface::foot_on(int32_t face, const Vec& p) const {
  const int32_t* corner = faces_.data() + 3 * static_cast<size_t>(face);
  return nearest_on_triangle(p, now_[corner[0]], now_[corner[1]], now_[corner[2]]);
}

Vec BodySurface::normal_at(int32_t face, const Foot& foot) const {
  const int32_t* corner = faces_.data() + 3 * static_cast<size_t>(face);
  Vec sum;
  for (int k = 0; k < 3; ++k) sum += foot.shares[k] * normals_[corner[k]];
  return unit(sum);
}

Vec BodySurface::moved(int32_t face, const Foot& foot) const {
  const int32_t* corner = faces_.data() + 3 * static_cast<size_t>(face);
  Vec sum;
  for (int k = 0; k < 3; ++k) sum += foot.shares[k] * (now_[corner[k]] - earlier_[corner[k]]);
  return sum;
}

int32_t BodySurface::nearest(const Vec& p, float reach, int32_t hint) const {
  float radius = reach, best2 = reach * reach;
  int32_t best = -1;
  if (hint >= 0 && !ignored_[hint]) {
    const Foot foot = foot_on(hint, p);
    const bool inside = dot(p - foot.point, normal_at(hint, foot)) < 0.0f;
    // Who is deep inside must find out, however far the skin is.
    if (foot.distance2 < best2 || (inside && foot.distance2 < kDeepest * kDeepest)) {
      best2 = foot.distance2;
      best = hint;
      radius = std::sqrt(best2);
    }
  }
  grid_.visit(p, radius, [&](int32_t face) {
    if (ignored_[face] || face == hint) return;
    const Foot foot = foot_on(face, p);
    // Equal distances are common, at edges: the smaller number wins, whatever the order of cells.
    if (foot.distance2 < best2 || (foot.distance2 == best2 && face < best)) {
      best2 = foot.distance2;
      best = face;
      radius = std::sqrt(best2);
    }
  });
  return best;
}

bool BodySurface::is_behind(int32_t face, const Foot& foot, const Vec& p) const {
  return dot(p - foot.point, normal_at(face, foot)) < 0.0f;
}

int32_t BodySurface::nearest_from_inside(const Vec& p, float reach) const {
  float radius = reach, best2 = reach * reach;
  int32_t best = -1;
  grid_.visit(p, radius, [&](int32_t face) {
    if (ignored_[face]) return;
    const Foot foot = foot_on(face, p);
    const bool nearer =
        foot.distance2 < best2 || (foot.distance2 == best2 && face < best);
    if (!nearer || !is_behind(face, foot, p)) return;
    best2 = foot.distance2;
    best = face;
    radius = std::sqrt(best2);
  });
  return best;
}

int32_t BodySurface::other_wall(const Vec& p, int32_t face, bool in_both) const {
  const Vec normal = normal_at(face, foot_on(face, p));
  float radius = kWallReach, best2 = radius * radius;
  int32_t best = -1;
  grid_.visit(p, radius, [&](int32_t wall) {
    if (ignored_[wall]) return;
    const Foot foot = foot_on(wall, p);
    const bool nearer =
        foot.distance2 < best2 || (foot.distance2 == best2 && wall < best);
    if (!nearer || dot(normal_at(wall, foot), normal) > kTurned) return;
    // The far side of something thin is no wall.
    if (is_behind(wall, foot, p) != in_both) return;
    best2 = foot.distance2;
    best = wall;
    radius = std::sqrt(best2);
  });
  return best;
}

void BodySurface::find(const Vec& p, float reach, int32_t* skins) const {
  const bool lost = skins[0] >= 0 && ignored_[skins[0]];
  const int32_t face = nearest(p, lost ? kDeepest : reach, skins[0]);
  skins[0] = face;
  skins[1] = -1;
  if (face < 0 || !creased_[face]) return;
  const int winding = look_along(p, normal_at(face, foot_on(face, p))).winding;
  if (winding > 0) {
    const int32_t out = nearest_from_inside(p, kDeepest);
    if (out >= 0) skins[0] = out;
  }
  skins[1] = other_wall(p, skins[0], winding > 1);
}

int32_t BodySurface::walk(const Vec& p, int32_t face, Foot& foot) const {
  foot = foot_on(face, p);
  for (int step = 0; step < kMostWalks && !foot.inside; ++step) {
    const int32_t* corner = faces_.data() + 3 * static_cast<size_t>(face);
    const float* largest = std::max_element(foot.shares, foot.shares + 3);
    const int32_t around = corner[largest - foot.shares];
    int32_t next = face;
    for (int32_t k = ring_begin_[around]; k < ring_begin_[around + 1]; ++k) {
      if (ring_[k] == face || ignored_[ring_[k]]) continue;
      const Foot other = foot_on(ring_[k], p);
      if (other.distance2 < foot.distance2) {
        foot = other;
        next = ring_[k];
      }
    }
    if (next == face) break;
    face = next;
  }
  return face;
}

BodySurface::Crossings BodySurface::look_along(const Vec& p, const Vec& way) const {
  const float ways[3] = {way.x, way.y, way.z};
  int axis = 0;
  for (int k = 1; k < 3; ++k)
    if (std::fabs(ways[k]) > std::fabs(ways[axis])) axis = k;
  const bool forward = ways[axis] >= 0.0f;
  const int u = (axis + 1) % 3, v = (axis + 2) % 3;
  const auto part = [](const Vec& a, int k) -> double { return k == 0 ? a.x : k == 1 ? a.y : a.z; };
  Crossings found{0, kFar};
  const float at_u = u == 0 ? p.x : u == 1 ? p.y : p.z, at_v = v == 0 ? p.x : v == 1 ? p.y : p.z;
  grid_.visit_along(p, axis, forward, [&](int32_t face, const auto& is_here) {
    // Most of a cell's triangles lie beside the ray.
    const Box& box = grid_.box(face);
    if (at_u < box.low[u] || at_u > box.high[u] || at_v < box.low[v] || at_v > box.high[v]) return;
    const int32_t* corner = faces_.data() + 3 * static_cast<size_t>(face);
    double area[3];
    for (int k = 0; k < 3; ++k) {
      // Both faces of an edge must agree on which side the ray passes: ends in the order of ids.
      const int32_t i = corner[(k + 1) % 3], j = corner[(k + 2) % 3];
      const Vec &a = now_[std::min(i, j)], &b = now_[std::max(i, j)];
      const double twice = (part(a, u) - part(p, u)) * (part(b, v) - part(p, v)) -
                           (part(a, v) - part(p, v)) * (part(b, u) - part(p, u));
      area[k] = twice >= 0.0 ? std::max(twice, 1e-300) : twice;
      if (i > j) area[k] = -area[k];
    }
    if ((area[0] > 0.0) != (area[1] > 0.0) || (area[1] > 0.0) != (area[2] > 0.0)) return;
    double low = kFar, high = -kFar, at = 0.0;
    for (int k = 0; k < 3; ++k) {
      const double value = part(now_[corner[k]], axis);
      low = std::min(low, value), high = std::max(high, value);
      at += area[k] / (area[0] + area[1] + area[2]) * value;
    }
    at = std::clamp(at, low, high);
    if (!is_here(static_cast<float>(at))) return;
    const double way_to = forward ? at - part(p, axis) : part(p, axis) - at;
    if (!(way_to > 0.0)) return;
    found.winding += (area[0] > 0.0) == forward ? 1 : -1;
    found.first = std::min(found.first, static_cast<float>(way_to));
  });
  return found;
}

void BodySurface::find_buried(int threads, const Box& window) {
  for_chunks(threads, static_cast<int>((vertex_count_ + kClothChunk - 1) / kClothChunk),
             [&](int chunk, int) {
               const int64_t begin = static_cast<int64_t>(chunk) * kClothChunk;
               const int64_t end = std::min<int64_t>(vertex_count_, begin + kClothChunk);
               for (int64_t i = begin; i < end; ++i) {
                 Box place = Box::nowhere();
                 place.include(now_[i]);
                 buried_[i] = crowded_[i] = 0;
                 if (ring_begin_[i] == ring_begin_[i + 1] || !place.meets(window)) continue;
                 const Crossings met = look_along(now_[i] + kAbove * normals_[i], normals_[i]);
                 buried_[i] = met.winding > 0;
                 crowded_[i] = buried_[i] || met.first < kCrowd;
               }
             });
  for (size_t face = 0; face < ignored_.size(); ++face) {
    const int32_t* corner = faces_.data() + 3 * face;
    ignored_[face] = buried_[corner[0]] && buried_[corner[1]] && buried_[corner[2]];
    creased_[face] = crowded_[corner[0]] || crowded_[corner[1]] || crowded_[corner[2]];
  }
}

int64_t BodySurface::bytes() const {
  const size_t points = before_.capacity() + after_.capacity() + normals_before_.capacity() +
                        normals_after_.capacity() + earlier_.capacity() + now_.capacity() +
                        normals_.capacity();
  const size_t ids = faces_.capacity() + ring_begin_.capacity() + ring_.capacity();
  return static_cast<int64_t>(points * sizeof(Vec) + ids * sizeof(int32_t) + buried_.capacity() +
                              crowded_.capacity() + ignored_.capacity() + creased_.capacity()) +
         grid_.bytes();
}

void find_body_contacts(persona_cloth& cloth, int threads, float reach) {
  if (cloth.body.empty()) return;
  cloth.body.index();
  const int64_t count = cloth.vertex_count;
  for_chunks(threads, static_cast<int>((count + kClothChunk - 1) / kClothChunk),
             [&](int chunk, int) {
               const int64_t begin = static_cast<int64_t>(chunk) * kClothChunk;
               const int64_t end = std::min<int64_t>(count, begin + kClothChunk);
               for (int64_t i = begin; i < end; ++i)
                 cloth.body.find(cloth.positions[i], reach, cloth.near.data() + kSkins * i);
             });
}

}  // namespace persona
