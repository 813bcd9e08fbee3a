// What the parts of the cloth solver share: vectors, the cloth, the body it touches, contacts.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "cloth_grid.h"
#include "persona_native.h"

namespace persona {

constexpr int kClothChunk = 1024;    // vertices per task; fixed, so that threads change no bits
constexpr int kSpringChunk = 2048;   // springs per task; fewer do not repay waking a helper
constexpr int kPairsPerVertex = 6;   // nearest faces of other cloth that a vertex minds
constexpr int kSkins = 2;            // faces of the body that a vertex minds: two in a crease

// Where a point meets a triangle: the nearest point, and how it is made of the corners.
struct Foot {
  Vec point;
  float shares[3];
  float distance2;
  bool inside;  // not on an edge or corner
};

Foot nearest_on_triangle(const Vec& p, const Vec& a, const Vec& b, const Vec& c);

// Where a vertex was last measured against skin, and how far it may go from there untouched [m].
struct Leeway {
  Vec from;
  float way = 0.0f;
};

// A vertex and a face of cloth that must stay on one side of each other.
struct ClothPair {
  int32_t vertex, face;
  float side;  // +1: the vertex stays where the face's normal points; -1: behind it
};

// The skinned body: where it was when the substep began and where it is now.
class BodySurface {
 public:
  void set(const persona_cloth_body& body);
  bool empty() const { return faces_.empty(); }
  int64_t face_count() const { return static_cast<int64_t>(ignored_.size()); }
  // The motion of a frame, of which a substep shows a part; also finds what of the skin within the
  // window is buried in the body.
  void begin_frame(int threads, const float* before, const float* after, const Box& window);
  void show(int substep, int substeps);
  // One substep alone, with its normals.
  void show(const float* earlier, const float* now, const float* normals);

  void index();  // sorts the faces into the grid, where they are now
  // The faces that p minds. The first is the nearest that is not ignored, -1 when none is within
  // reach; `skins` holds those of before, or -1. In a crease the second is the other wall.
  void find(const Vec& p, float reach, int32_t* skins) const;
  // The nearest face among those around `face`, downhill until none is nearer, and p's foot on it.
  int32_t walk(const Vec& p, int32_t face, Foot& foot) const;
  Foot foot_on(int32_t face, const Vec& p) const;
  Vec normal_at(int32_t face, const Foot& foot) const;  // unit, or zero
  Vec moved(int32_t face, const Foot& foot) const;      // by the surface in this substep [m]
  int64_t bytes() const;

 private:
  struct Crossings {
    int winding;  // how often the surface goes around the point
    float first;  // distance to the first skin on the way [m]
  };

  int32_t nearest(const Vec& p, float reach, int32_t hint) const;
  int32_t nearest_from_inside(const Vec& p, float reach) const;
  int32_t other_wall(const Vec& p, int32_t face, bool in_both) const;
  bool is_behind(int32_t face, const Foot& foot, const Vec& p) const;
  // Along the coordinate axis nearest to `way`.
  Crossings look_along(const Vec& p, const Vec& way) const;
  void find_buried(int threads, const Box& window);

  int64_t vertex_count_ = 0;
  std::vector<int32_t> faces_, ring_begin_, ring_;
  std::vector<Vec> before_, after_, normals_before_, normals_after_;
  std::vector<Vec> earlier_, now_, normals_;
  std::vector<uint8_t> buried_, crowded_;    // of vertices
  std::vector<uint8_t> ignored_, creased_;  // of faces
  TriangleGrid grid_;
};

}  // namespace persona

// Cloth and the body it touches, with all that a step needs.
struct persona_cloth {
  // Of the mesh, as in persona_cloth_mesh.
  int64_t vertex_count = 0;
  int32_t edge_colors = 0;
  std::vector<int32_t> faces, layers, garments, anchors, color_begin, springs;
  std::vector<float> inverse_masses, holds, thickness, anchor_lengths, lengths, compliances;
  std::vector<persona::Vec> rest;

  persona::BodySurface body;
  std::vector<persona::Vec> positions, velocities, previous, targets;
  std::vector<persona::Leeway> leeways;  // as `near`
  std::vector<int32_t> near;  // faces of the body that each vertex minds, kSkins each, or -1
  std::vector<persona::ClothPair> pairs, pair_slots;
  std::vector<uint8_t> pair_counts;
  std::vector<persona::Vec> normals;  // of the vertices, for the order of layers
  persona::TriangleGrid grid;

  int64_t bytes() const;
};

namespace persona {

// One step of `seconds` with contacts as they are in `cloth.near` and `cloth.pairs`; with `walk`
// the nearest face of the body is followed.
void cloth_substep(persona_cloth& cloth, int threads, const persona_cloth_rules& rules,
                   float seconds, bool walk);
// Look for contacts anew.
void find_body_contacts(persona_cloth& cloth, int threads, float reach);
void find_cloth_pairs(persona_cloth& cloth, int threads, const persona_cloth_rules& rules);
// Keep the pairs of vertex and face apart, one after the other.
void part_pairs(persona_cloth& cloth, const persona_cloth_rules& rules);

}  // namespace persona
