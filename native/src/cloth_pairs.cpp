// Cloth against cloth: which vertices are near which faces, on which side, and how they part.
#include <algorithm>

#include "cloth.h"
#include "thread_pool.h"

namespace persona {
namespace {

constexpr float kCell = 0.02f;         // [m]
constexpr float kFacing = 0.5f;        // cosine: the vertex stands over the face, not beside it
constexpr float kTurnedAway = -0.3f;   // cosine between outsides that look at each other
constexpr float kLax = 1.001f;        // for rounding
constexpr float kGentle = 0.2f;        // of max_push: cloth gives way on both sides, in many steps

struct Corners {
  const int32_t* ids;
  Vec at[3];
};

Corners corners_of(const persona_cloth& cloth, int32_t face) {
  Corners c{cloth.faces.data() + 3 * static_cast<size_t>(face), {}};
  for (int k = 0; k < 3; ++k) c.at[k] = cloth.positions[c.ids[k]];
  return c;
}

Vec normal_of(const Corners& c) { return unit(cross(c.at[1] - c.at[0], c.at[2] - c.at[0])); }

// Whether they are neighbours in the cut itself.
bool belong_together(const persona_cloth& cloth, int64_t i, const int32_t* ids, float reach) {
  if (cloth.garments[i] != cloth.garments[ids[0]]) return false;
  for (int k = 0; k < 3; ++k) {
    const Vec way = cloth.rest[i] - cloth.rest[ids[k]];
    if (ids[k] == i || dot(way, way) < reach * reach) return true;
  }
  return false;
}

// Which side of the face the vertex must stay on; 0 when there is no telling.
float side_of(const persona_cloth& cloth, int64_t i, const Corners& c, const Foot& foot,
              const Vec& normal) {
  const int32_t layer = cloth.layers[i], other = cloth.layers[c.ids[0]];
  if (layer != other) {
    if (!foot.inside) return 0.0f;
    // Outsides that look at each other are a sleeve and a hip: both stay outside.
    if (dot(cloth.normals[i], normal) < kTurnedAway) return 1.0f;
    return layer > other ? 1.0f : -1.0f;
  }
  const float height = dot(cloth.positions[i] - foot.point, normal);
  if (std::fabs(height) < kFacing * std::sqrt(foot.distance2)) return 0.0f;
  return height < 0.0f ? -1.0f : 1.0f;
}

struct Found {
  ClothPair pair;
  float distance2;
};

// Those found so far, nearest first.
struct Nearest {
  Found found[kPairsPerVertex];
  int count = 0;

  void add(const Found& one) {
    int place = count;
    for (int k = 0; k < count; ++k) {
      if (found[k].pair.face == one.pair.face) return;  // seen in another cell
      const bool nearer =
          one.distance2 < found[k].distance2 ||
          (one.distance2 == found[k].distance2 && one.pair.face < found[k].pair.face);
      if (nearer && place == count) place = k;
    }
    if (place == kPairsPerVertex) return;
    if (count < kPairsPerVertex) ++count;
    for (int k = count - 1; k > place; --k) found[k] = found[k - 1];
    found[place] = one;
  }
};

// `radius` is where the search has come to, at most `reach`: no farther face makes it to the list.
void consider(const persona_cloth& cloth, int64_t i, int32_t face, float reach, float& radius,
              Nearest& nearest) {
  const Corners c = corners_of(cloth, face);
  if (belong_together(cloth, i, c.ids, 1.5f * reach)) return;
  const Vec& p = cloth.positions[i];
  const Vec normal = normal_of(c);
  if (std::fabs(dot(p - c.at[0], normal)) > kLax * radius) return;
  const Foot foot = nearest_on_triangle(p, c.at[0], c.at[1], c.at[2]);
  if (!(foot.distance2 < reach * reach) || foot.distance2 > kLax * radius * radius) return;
  const float side = side_of(cloth, i, c, foot, normal);
  if (side == 0.0f) return;
  nearest.add({{static_cast<int32_t>(i), face, side}, foot.distance2});
  if (nearest.count == kPairsPerVertex)
    radius = std::min(radius, std::sqrt(nearest.found[kPairsPerVertex - 1].distance2));
}

// The nearest faces that vertex i must mind. Other layers are looked for farther away: cells that
// hold nothing but its own are passed over.
int find_pairs_of(persona_cloth& cloth, int64_t i, const persona_cloth_rules& rules) {
  Nearest nearest;
  const Vec p = cloth.positions[i];
  const int32_t own = cloth.layers[i];
  const auto layer_of = [&](int32_t face) { return cloth.layers[cloth.faces[3 * face]]; };
  float radius = rules.cloth_reach;
  cloth.grid.visit(p, radius, [&](int32_t face) {
    if (layer_of(face) == own) consider(cloth, i, face, rules.cloth_reach, radius, nearest);
  });
  radius = nearest.count == kPairsPerVertex ? std::min(radius, rules.layer_reach)
                                            : rules.layer_reach;
  cloth.grid.visit(
      p, radius,
      [&](int32_t face) {
        if (layer_of(face) != own) consider(cloth, i, face, rules.layer_reach, radius, nearest);
      },
      TriangleGrid::bit(own));
  for (int k = 0; k < nearest.count; ++k)
    cloth.pair_slots[i * kPairsPerVertex + k] = nearest.found[k].pair;
  return nearest.count;
}

void find_vertex_normals(persona_cloth& cloth) {
  std::fill(cloth.normals.begin(), cloth.normals.end(), Vec{});
  for (size_t face = 0; 3 * face < cloth.faces.size(); ++face) {
    const Corners c = corners_of(cloth, static_cast<int32_t>(face));
    const Vec wide = cross(c.at[1] - c.at[0], c.at[2] - c.at[0]);
    for (int k = 0; k < 3; ++k) cloth.normals[c.ids[k]] += wide;
  }
  for (Vec& normal : cloth.normals) normal = unit(normal);
}

void part_pair(persona_cloth& cloth, const ClothPair& pair, const persona_cloth_rules& rules) {
  const Corners c = corners_of(cloth, pair.face);
  const int32_t i = pair.vertex;
  const float gap = 0.5f * (cloth.thickness[i] + cloth.thickness[c.ids[0]]);
  // Most stand far enough from the face's plane: no need to know where on it they would meet.
  const Vec wide = cross(c.at[1] - c.at[0], c.at[2] - c.at[0]);
  const float height = pair.side * dot(cloth.positions[i] - c.at[0], wide);
  if (height > 0.0f && height * height > kLax * gap * gap * dot(wide, wide)) return;
  const Foot foot = nearest_on_triangle(cloth.positions[i], c.at[0], c.at[1], c.at[2]);
  const Vec away = cloth.positions[i] - foot.point;
  Vec normal = pair.side * unit(wide);
  float distance = dot(away, normal);
  if (!foot.inside) {
    if (distance <= 0.0f) return;  // round the edge: no telling
    distance = std::sqrt(foot.distance2);
    normal = unit(away);
  }
  if (!(distance < gap)) return;
  const float push = std::min(gap - distance, kGentle * rules.max_push);
  float weight = cloth.inverse_masses[i], w[3];
  Vec slid = cloth.positions[i] - cloth.previous[i];
  for (int k = 0; k < 3; ++k) {
    w[k] = foot.shares[k] * cloth.inverse_masses[c.ids[k]];
    weight += foot.shares[k] * w[k];
    slid -= foot.shares[k] * (c.at[k] - cloth.previous[c.ids[k]]);
  }
  if (!(weight > 0.0f)) return;
  const float parting = dot(slid, normal);
  const Vec sideways = slid - parting * normal;
  const float size = length(sideways);
  const float grip = size > 0.0f ? std::min(1.0f, rules.cloth_friction * push / size) : 0.0f;
  // As with the body: a push may stop an approach, and must not throw.
  const float stopped = std::clamp(-parting, 0.0f, push);
  const Vec shift = (push / weight) * normal - (grip / weight) * sideways;
  const Vec forgiven = ((push - stopped) / weight) * normal;
  cloth.positions[i] += cloth.inverse_masses[i] * shift;
  cloth.previous[i] += cloth.inverse_masses[i] * forgiven;
  for (int k = 0; k < 3; ++k) {
    cloth.positions[c.ids[k]] -= w[k] * shift;
    cloth.previous[c.ids[k]] -= w[k] * forgiven;
  }
}

}  // namespace

void find_cloth_pairs(persona_cloth& cloth, int threads, const persona_cloth_rules& rules) {
  cloth.pairs.clear();
  const int64_t count = cloth.vertex_count;
  if (!(rules.cloth_reach > 0.0f)) return;
  cloth.grid.build(cloth.positions.data(), cloth.faces.data(),
                   static_cast<int64_t>(cloth.faces.size() / 3), kCell, cloth.layers.data());
  find_vertex_normals(cloth);
  for_chunks(threads, static_cast<int>((count + kClothChunk - 1) / kClothChunk),
             [&](int chunk, int) {
               const int64_t begin = static_cast<int64_t>(chunk) * kClothChunk;
               const int64_t end = std::min<int64_t>(count, begin + kClothChunk);
               for (int64_t i = begin; i < end; ++i)
                 cloth.pair_counts[i] = static_cast<uint8_t>(find_pairs_of(cloth, i, rules));
             });
  for (int64_t i = 0; i < count; ++i)
    for (int k = 0; k < cloth.pair_counts[i]; ++k)
      cloth.pairs.push_back(cloth.pair_slots[i * kPairsPerVertex + k]);
}

void part_pairs(persona_cloth& cloth, const persona_cloth_rules& rules) {
  for (const ClothPair& pair : cloth.pairs) part_pair(cloth, pair, rules);
}

}  // namespace persona
