// The C ABI of cloth: takes in a mesh, moves it by a frame or by one step, keeps exceptions inside.
#include <algorithm>
#include <new>

#include "cloth.h"

namespace persona {
namespace {

constexpr float kWindow = 0.25f;  // [m]; around cloth, skin counts that it may meet within a frame

bool all_within(const int32_t* ids, int64_t count, int64_t low, int64_t high) {
  return std::all_of(ids, ids + count,
                     [=](int32_t id) { return id >= low && id < high; });
}

bool is_sound(const persona_cloth_mesh& mesh, const persona_cloth_body& body) {
  const int64_t n = mesh.vertex_count, colors = mesh.color_count;
  if (n < 0 || mesh.face_count < 0 || colors < 0 || mesh.edge_color_count < 0) return false;
  if (mesh.edge_color_count > colors || mesh.color_begin[0] != 0) return false;
  for (int64_t k = 0; k < colors; ++k)
    if (mesh.color_begin[k + 1] < mesh.color_begin[k]) return false;
  return all_within(mesh.faces, 3 * mesh.face_count, 0, n) &&
         all_within(mesh.springs, 2 * static_cast<int64_t>(mesh.color_begin[colors]), 0, n) &&
         all_within(mesh.anchors, n, -1, n) && body.vertex_count >= 0 && body.face_count >= 0 &&
         all_within(body.faces, 3 * body.face_count, 0, body.vertex_count);
}

// Springs of one colour are solved at the same time: they must not share a vertex.
bool colors_are_apart(const persona_cloth_mesh& mesh) {
  std::vector<int32_t> last(mesh.vertex_count, -1);
  for (int32_t color = 0; color < mesh.color_count; ++color)
    for (int64_t k = 2 * static_cast<int64_t>(mesh.color_begin[color]);
         k < 2 * static_cast<int64_t>(mesh.color_begin[color + 1]); ++k) {
      if (last[mesh.springs[k]] == color) return false;
      last[mesh.springs[k]] = color;
    }
  return true;
}

void take(std::vector<Vec>& into, const float* values) {
  for (size_t i = 0; i < into.size(); ++i)
    into[i] = {values[3 * i], values[3 * i + 1], values[3 * i + 2]};
}

void give(const std::vector<Vec>& from, float* values) {
  for (size_t i = 0; i < from.size(); ++i) {
    values[3 * i] = from[i].x;
    values[3 * i + 1] = from[i].y;
    values[3 * i + 2] = from[i].z;
  }
}

void fill(persona_cloth& cloth, const persona_cloth_mesh& mesh, const persona_cloth_body& body) {
  const int64_t n = mesh.vertex_count;
  const int64_t springs = mesh.color_begin[mesh.color_count];
  cloth.vertex_count = n;
  cloth.edge_colors = mesh.edge_color_count;
  cloth.faces.assign(mesh.faces, mesh.faces + 3 * mesh.face_count);
  cloth.layers.assign(mesh.layers, mesh.layers + n);
  cloth.garments.assign(mesh.garments, mesh.garments + n);
  cloth.anchors.assign(mesh.anchors, mesh.anchors + n);
  cloth.color_begin.assign(mesh.color_begin, mesh.color_begin + mesh.color_count + 1);
  cloth.springs.assign(mesh.springs, mesh.springs + 2 * springs);
  cloth.inverse_masses.assign(mesh.inverse_masses, mesh.inverse_masses + n);
  cloth.holds.assign(mesh.holds, mesh.holds + n);
  cloth.thickness.assign(mesh.thickness, mesh.thickness + n);
  cloth.anchor_lengths.assign(mesh.anchor_lengths, mesh.anchor_lengths + n);
  cloth.lengths.assign(mesh.lengths, mesh.lengths + springs);
  cloth.compliances.assign(mesh.compliances, mesh.compliances + springs);
  for (auto* vectors : {&cloth.rest, &cloth.positions, &cloth.velocities, &cloth.previous,
                        &cloth.targets, &cloth.normals})
    vectors->assign(n, Vec{});
  take(cloth.rest, mesh.rest);
  cloth.near.assign(kSkins * n, -1);
  cloth.leeways.assign(kSkins * n, Leeway{});
  cloth.pair_slots.assign(n * kPairsPerVertex, ClothPair{});
  cloth.pair_counts.assign(n, 0);
  cloth.body.set(body);
}

void show_targets(persona_cloth& cloth, const float* before, const float* after, float share) {
  for (size_t i = 0; i < cloth.targets.size(); ++i) {
    const Vec from = {before[3 * i], before[3 * i + 1], before[3 * i + 2]};
    const Vec to = {after[3 * i], after[3 * i + 1], after[3 * i + 2]};
    cloth.targets[i] = from + share * (to - from);
  }
}

bool makes_sense(const persona_cloth_rules& rules) {
  return rules.substeps >= 1 && rules.look_every >= 1 && rules.stretch_sweeps >= 1 &&
         rules.seconds > 0.0f && rules.body_reach >= 0.0f;
}

}  // namespace
}  // namespace persona

using namespace persona;

int64_t persona_cloth::bytes() const {
  const size_t vectors = rest.capacity() + positions.capacity() + velocities.capacity() +
                         previous.capacity() + targets.capacity() + normals.capacity();
  const size_t words = faces.capacity() + layers.capacity() + garments.capacity() +
                       anchors.capacity() + color_begin.capacity() + springs.capacity() +
                       inverse_masses.capacity() + holds.capacity() + thickness.capacity() +
                       anchor_lengths.capacity() + lengths.capacity() + compliances.capacity() +
                       near.capacity();
  const size_t found = pairs.capacity() + pair_slots.capacity();
  const size_t ways = leeways.capacity();
  return static_cast<int64_t>(vectors * sizeof(Vec) + words * 4 + found * sizeof(ClothPair) +
                              ways * sizeof(Leeway)) +
         body.bytes() + grid.bytes();
}

int persona_cloth_create(const persona_cloth_mesh* mesh, const persona_cloth_body* body,
                         persona_cloth** cloth) {
  *cloth = nullptr;
  if (!is_sound(*mesh, *body)) return PERSONA_BAD_INDEX;
  try {
    if (!colors_are_apart(*mesh)) return PERSONA_BAD_COLORS;
    *cloth = new persona_cloth;
    fill(**cloth, *mesh, *body);
  } catch (const std::bad_alloc&) {
    delete *cloth;
    *cloth = nullptr;
    return PERSONA_OUT_OF_MEMORY;
  }
  return PERSONA_OK;
}

void persona_cloth_destroy(persona_cloth* cloth) { delete cloth; }
int64_t persona_cloth_bytes(const persona_cloth* cloth) { return cloth->bytes(); }

int persona_cloth_frame(persona_cloth* cloth, int threads, const persona_cloth_rules* rules,
                        const float* body_before, const float* body_after,
                        const float* targets_before, const float* targets_after,
                        float* positions, float* velocities) {
  if (!makes_sense(*rules)) return PERSONA_BAD_RULES;
  persona_cloth& c = *cloth;
  try {
    take(c.positions, positions);
    take(c.velocities, velocities);
    if (!c.body.empty())
      c.body.begin_frame(threads, body_before, body_after, Box::around(c.positions, kWindow));
    const float seconds = rules->seconds / static_cast<float>(rules->substeps);
    for (int substep = 0; substep < rules->substeps; ++substep) {
      const float share = static_cast<float>(substep + 1) / static_cast<float>(rules->substeps);
      show_targets(c, targets_before, targets_after, share);
      if (!c.body.empty()) c.body.show(substep, rules->substeps);
      if (substep % rules->look_every == 0) {
        find_body_contacts(c, threads, rules->body_reach);
        find_cloth_pairs(c, threads, *rules);
      }
      cloth_substep(c, threads, *rules, seconds, true);
    }
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
  give(c.positions, positions);
  give(c.velocities, velocities);
  return PERSONA_OK;
}

int persona_cloth_substep(persona_cloth* cloth, int threads, const persona_cloth_rules* rules,
                          const float* body_earlier, const float* body_now,
                          const float* body_normals, const float* targets, const int32_t* near,
                          int64_t pair_count, const int32_t* pairs, const float* sides,
                          float* positions, float* velocities) {
  if (!makes_sense(*rules)) return PERSONA_BAD_RULES;
  persona_cloth& c = *cloth;
  const int64_t faces = static_cast<int64_t>(c.faces.size() / 3);
  if (!all_within(near, kSkins * c.vertex_count, -1, c.body.face_count())) return PERSONA_BAD_INDEX;
  for (int64_t k = 0; k < pair_count; ++k)
    if (!all_within(pairs + 2 * k, 1, 0, c.vertex_count) ||
        !all_within(pairs + 2 * k + 1, 1, 0, faces))
      return PERSONA_BAD_INDEX;
  try {
    take(c.positions, positions);
    take(c.velocities, velocities);
    take(c.targets, targets);
    if (!c.body.empty()) c.body.show(body_earlier, body_now, body_normals);
    c.near.assign(near, near + kSkins * c.vertex_count);
    c.pairs.clear();
    for (int64_t k = 0; k < pair_count; ++k)
      c.pairs.push_back({pairs[2 * k], pairs[2 * k + 1], sides[k]});
    cloth_substep(c, threads, *rules, rules->seconds / static_cast<float>(rules->substeps), false);
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
  give(c.positions, positions);
  give(c.velocities, velocities);
  return PERSONA_OK;
}

int persona_cloth_nearest(persona_cloth* cloth, int threads, float reach, const float* body,
                          const float* points, int32_t* near) {
  persona_cloth& c = *cloth;
  try {
    std::fill(c.near.begin(), c.near.end(), -1);
    take(c.positions, points);
    if (!c.body.empty()) {
      c.body.begin_frame(threads, body, body, Box::around(c.positions, kWindow));
      c.body.show(0, 1);
      find_body_contacts(c, threads, reach);
    }
  } catch (const std::bad_alloc&) {
    return PERSONA_OUT_OF_MEMORY;
  }
  std::copy(c.near.begin(), c.near.end(), near);
  return PERSONA_OK;
}
