// One small step of cloth: move on, keep lengths, keep out of the body, see how fast that was.
#include <algorithm>

#include "cloth.h"
#include "thread_pool.h"

namespace persona {
namespace {

constexpr float kRounding = 1e-6f;  // [m]; of a distance

// Calls body(i) for i in [begin, end), in chunks of a fixed size.
template <class Body>
void over(int threads, int64_t begin, int64_t end, int size, Body body) {
  for_chunks(threads, static_cast<int>((end - begin + size - 1) / size), [&](int chunk, int) {
    const int64_t first = begin + static_cast<int64_t>(chunk) * size;
    const int64_t last = std::min<int64_t>(end, first + size);
    for (int64_t i = first; i < last; ++i) body(i);
  });
}

void move_on(persona_cloth& cloth, int64_t i, const persona_cloth_rules& rules, float seconds,
             float kept) {
  Vec& x = cloth.positions[i];
  cloth.previous[i] = x;
  const float w = cloth.inverse_masses[i];
  if (!(w > 0.0f)) {
    x = cloth.targets[i];
    return;
  }
  Vec v = cloth.velocities[i];
  v.y -= rules.gravity * seconds;
  x += (seconds * kept) * v;
  const float hold = cloth.holds[i] * w * seconds * seconds;
  if (hold > 0.0f) x += (hold / (1.0f + hold)) * (cloth.targets[i] - x);
}

void keep_length(persona_cloth& cloth, int64_t spring, float seconds, float damping) {
  const int32_t i = cloth.springs[2 * spring], j = cloth.springs[2 * spring + 1];
  const float wi = cloth.inverse_masses[i], wj = cloth.inverse_masses[j];
  const float w = wi + wj;
  const Vec way = cloth.positions[i] - cloth.positions[j];
  const float size = length(way);
  if (!(w > 0.0f) || !(size > 0.0f)) return;
  const Vec along = (1.0f / size) * way;
  const Vec change = (cloth.positions[i] - cloth.previous[i]) -
                     (cloth.positions[j] - cloth.previous[j]);
  const float soft = cloth.compliances[spring] / (seconds * seconds);
  const float error = (size - cloth.lengths[spring]) + damping * dot(along, change);
  const float push = -error / ((1.0f + damping) * w + soft);
  cloth.positions[i] += (wi * push) * along;
  cloth.positions[j] -= (wj * push) * along;
}

void limit_stretch(persona_cloth& cloth, int64_t spring, float limit) {
  const int32_t i = cloth.springs[2 * spring], j = cloth.springs[2 * spring + 1];
  const float wi = cloth.inverse_masses[i], wj = cloth.inverse_masses[j];
  const Vec way = cloth.positions[i] - cloth.positions[j];
  const float size = length(way), longest = limit * cloth.lengths[spring];
  if (!(size > longest) || !(wi + wj > 0.0f)) return;
  const float push = (longest - size) / ((wi + wj) * size);
  cloth.positions[i] += (wi * push) * way;
  cloth.positions[j] -= (wj * push) * way;
}

// Nobody is farther from what holds the cloth than the cloth reaches.
void stay_on_leash(persona_cloth& cloth, int64_t i, float limit) {
  const int32_t anchor = cloth.anchors[i];
  if (anchor < 0 || !(cloth.inverse_masses[i] > 0.0f)) return;
  const Vec& end = cloth.positions[anchor];
  const Vec way = cloth.positions[i] - end;
  const float size = length(way), longest = limit * cloth.anchor_lengths[i];
  if (size > longest) cloth.positions[i] = end + (longest / size) * way;
}

// `place` is that of one of the vertex's skins in cloth.near. In the first of several rounds the
// skin has moved on: it is followed, and measured in any case.
void keep_out(persona_cloth& cloth, int64_t i, int64_t place, const persona_cloth_rules& rules,
              bool first, bool walk) {
  int32_t& face = cloth.near[place];
  if (face < 0) return;
  Vec& x = cloth.positions[i];
  Leeway& leeway = cloth.leeways[place];
  // The distance to a face changes by no more than the way gone.
  if (!first && length(x - leeway.from) < leeway.way) return;
  Foot foot;
  if (first && walk)
    face = cloth.body.walk(x, face, foot);
  else
    foot = cloth.body.foot_on(face, x);
  Vec normal = cloth.body.normal_at(face, foot);
  const float away = std::sqrt(foot.distance2);
  const bool inside = dot(x - foot.point, normal) < 0.0f;
  const float distance = inside ? -away : away;
  leeway = {x, distance - cloth.thickness[i] - kRounding};
  // From deep inside the way out is the shortest; near the skin its smooth normal is steadier.
  if (inside && away > cloth.thickness[i]) normal = (1.0f / away) * (foot.point - x);
  const float depth = cloth.thickness[i] - distance;
  if (!(depth > 0.0f)) return;
  const float push = std::min(depth, rules.max_push);
  if (!(cloth.inverse_masses[i] > 0.0f)) {
    x += push * normal;
    return;
  }
  const Vec slid = (x - cloth.previous[i]) - cloth.body.moved(face, foot);
  const float parting = dot(slid, normal);
  const Vec sideways = slid - parting * normal;
  const float size = length(sideways);
  x += push * normal;
  if (size > 0.0f) x -= std::min(1.0f, rules.friction * push / size) * sideways;
  // A push may stop an approach; it must not throw.
  const float stopped = std::clamp(-parting, 0.0f, push);
  cloth.previous[i] += (push - stopped) * normal;
}

void find_velocity(persona_cloth& cloth, int64_t i, float seconds, float fastest) {
  Vec v = (1.0f / seconds) * (cloth.positions[i] - cloth.previous[i]);
  const float speed = length(v);
  if (speed > fastest) v = (fastest / speed) * v;
  cloth.velocities[i] = v;
}

}  // namespace

void cloth_substep(persona_cloth& cloth, int threads, const persona_cloth_rules& rules,
                   float seconds, bool walk) {
  const int64_t count = cloth.vertex_count;
  const float kept = std::exp(-rules.drag * seconds);
  over(threads, 0, count, kClothChunk,
       [&](int64_t i) { move_on(cloth, i, rules, seconds, kept); });
  const int colors = static_cast<int>(cloth.color_begin.size()) - 1;
  for (int color = 0; color < colors; ++color) {
    const float damping = color < cloth.edge_colors ? 0.0f : rules.bend_damping / seconds;
    over(threads, cloth.color_begin[color], cloth.color_begin[color + 1], kSpringChunk,
         [&](int64_t spring) { keep_length(cloth, spring, seconds, damping); });
  }
  over(threads, 0, count, kClothChunk,
       [&](int64_t i) { stay_on_leash(cloth, i, rules.stretch_limit); });
  part_pairs(cloth, rules);
  // Skin in every round: tension then pulls cloth along the skin, not into it.
  for (int sweep = 0; sweep < rules.stretch_sweeps; ++sweep) {
    for (int color = 0; color < cloth.edge_colors; ++color)
      over(threads, cloth.color_begin[color], cloth.color_begin[color + 1], kSpringChunk,
           [&](int64_t spring) { limit_stretch(cloth, spring, rules.stretch_limit); });
    if (!cloth.body.empty())
      over(threads, 0, count, kClothChunk,
           [&](int64_t i) {
             for (int64_t place = kSkins * i; place < kSkins * (i + 1); ++place)
               keep_out(cloth, i, place, rules, sweep == 0, walk);
           });
  }
  over(threads, 0, count, kClothChunk,
       [&](int64_t i) { find_velocity(cloth, i, seconds, rules.max_speed); });
}

}  // namespace persona
