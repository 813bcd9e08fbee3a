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

// Blocks of a tile that a box of pixels touches, one bit each.
PERSONA_INLINE uint32_t blocks_of(const int16_t* box, int tile_x, int tile_y) {
  const int x0 = box[0] - tile_x, x1 = box[1] - tile_x;
  const int y0 = box[2] - tile_y, y1 = box[3] - tile_y;
  const int bx0 = (x0 > 0 ? x0 : 0) >> 2, bx1 = (x1 < 15 ? x1 : 15) >> 2;
  const int by0 = (y0 > 0 ? y0 : 0) >> 2, by1 = (y1 < 15 ? y1 : 15) >> 2;
  const uint32_t columns = (2u << bx1) - (1u << bx0);
  const uint32_t rows = (0x10u << (4 * by1)) - (1u << (4 * by0));
  return columns * 0x1111u & rows;
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
