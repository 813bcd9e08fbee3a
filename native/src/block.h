// One Gaussian over one block of 4x4 pixels: the arithmetic that forward and backward must share.
#pragma once

#include "kernels.h"
#include "simd.h"

namespace {

// Pixel centres of the blocks of a tile, relative to the tile's corner.
struct BlockGrid {
  alignas(64) float x[4][16], y[4][16];  // by the block's column, and by its row
};
constexpr BlockGrid make_grid() {
  BlockGrid grid{};
  for (int place = 0; place < 4; ++place)
    for (int lane = 0; lane < 16; ++lane) {
      grid.x[place][lane] = (float)(place * persona::kBlock + lane % persona::kBlock) + 0.5f;
      grid.y[place][lane] = (float)(place * persona::kBlock + lane / persona::kBlock) + 0.5f;
    }
  return grid;
}
constexpr BlockGrid kGrid = make_grid();

PERSONA_INLINE Lanes block_x(int block) { return load(kGrid.x[block % 4]); }
PERSONA_INLINE Lanes block_y(int block) { return load(kGrid.y[block / 4]); }

// The exponent of a Gaussian at every pixel of a block.
struct Exponent {
  Lanes dx, dy, u, log2_alpha;
};

// `packed` starts with: mean relative to the tile, L11, L21, L22, log2 opacity. Written through
// the factor L instead of the conic, because the conic's terms cancel along a needle.
PERSONA_INLINE Exponent exponent_at(const float* packed, const Lanes& x, const Lanes& y) {
  Exponent e;
  e.dx = x - packed[0];
  e.dy = y - packed[1];
  e.u = e.dx * packed[2] + e.dy * packed[3];
  const Lanes v = e.dy * packed[4];
  e.log2_alpha = lanes(packed[5]) - v * v - e.u * e.u;
  return e;
}

// Middles of the blocks of a tile, one a lane.
struct BlockMiddles {
  alignas(64) float x[16], y[16];
};
constexpr BlockMiddles make_middles() {
  BlockMiddles middles{};
  for (int block = 0; block < 16; ++block) {
    middles.x[block] = (float)(block % 4 * persona::kBlock + persona::kBlock / 2);
    middles.y[block] = (float)(block / 4 * persona::kBlock + persona::kBlock / 2);
  }
  return middles;
}
constexpr BlockMiddles kMiddles = make_middles();

// Blocks of a tile where a Gaussian may be at least as dense as the cut-off, one bit each. From
// the middle of a block to its pixels u and v change by no more than 1.5 times their slopes; few
// blocks are named in vain (3 % for round Gaussians), none is missed.
PERSONA_INLINE uint32_t blocks_near(const float* packed) {
  const float reach = 0.5f * (persona::kBlock - 1);
  const float slack_u = reach * (__builtin_fabsf(packed[2]) + __builtin_fabsf(packed[3]));
  const float slack_v = reach * __builtin_fabsf(packed[4]);
  const Exponent e = exponent_at(packed, load(kMiddles.x), load(kMiddles.y));
  const Lanes u = above_zero(absolute(e.u) - slack_u);
  const Lanes v = above_zero(absolute(e.dy * packed[4]) - slack_v);
  // A little less, so that rounding cannot cut what the exact test would keep.
  return bits_of(at_least(lanes(packed[5]) - u * u - v * v, persona::kLog2AlphaMin - 1e-3f));
}

// Pixels of a block that lie in the image: columns and rows.
struct BlockExtent {
  int columns, rows;
};
PERSONA_INLINE BlockExtent extent_of(int block, int tile_x, int tile_y, int width, int height) {
  const int columns = width - (tile_x + (block % 4) * persona::kBlock);
  const int rows = height - (tile_y + (block / 4) * persona::kBlock);
  return {columns < 4 ? columns : 4, rows < 4 ? rows : 4};
}

}  // namespace
