// Draws one 16x16 tile, front to back, block by block with the accumulators in registers.
#include "block.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

constexpr int kBatch = 256;       // Gaussians packed at a time: 16 kB at 8 channels, inside L1
constexpr int kPrefetch = 8;      // entries ahead
constexpr int kPackedHead = 8;    // floats before the features

template <int channels>
struct Tile {
  static constexpr int kStride = kPackedHead + channels;
  alignas(64) float packed[kBatch * kStride];
  alignas(64) float sums[kBlocksPerTile][channels][16];
  alignas(64) float transmittance[kBlocksPerTile][16];
  alignas(64) float alive[kBlocksPerTile][16];
  alignas(64) float alpha[kBlocksPerTile][16];
  alignas(64) uint32_t list[kBatch + 16];  // entries of one block; room for a vector too many
  alignas(64) uint16_t hits[kBatch];       // blocks that each entry may touch
  uint32_t open;     // blocks with a living pixel
  uint32_t touched;  // blocks whose sums are set
};

template <int channels>
PERSONA_INLINE void begin_tile(const SplatJob& job, int tile_x, int tile_y, Tile<channels>& t) {
  t.open = t.touched = 0;
  memset(t.alive, 0, sizeof t.alive);
  for (int block = 0; block < kBlocksPerTile; ++block) {
    store(t.transmittance[block], lanes(1.0f));
    const BlockExtent in = extent_of(block, tile_x, tile_y, job.width, job.height);
    for (int r = 0; r < in.rows; ++r)
      for (int c = 0; c < in.columns; ++c) t.alive[block][4 * r + c] = 1.0f;
    if (in.rows > 0 && in.columns > 0) t.open |= 1u << block;
  }
}

// Copies a batch of Gaussians next to each other and marks the blocks that each may touch.
template <int channels>
PERSONA_INLINE void pack_batch(const SplatJob& job, int tile_x, int tile_y, uint32_t first,
                               uint32_t last, int count, Tile<channels>& t) {
  for (int e = 0; e < count; ++e) {
    const uint32_t g = job.entries[first + e];
    if (first + e + kPrefetch < last) {
      const size_t later = job.entries[first + e + kPrefetch];
      __builtin_prefetch(job.prepared + kPreparedStride * later);
      __builtin_prefetch(job.features + (size_t)job.channels * later);
    }
    float* packed = t.packed + e * Tile<channels>::kStride;
    memcpy(packed, job.prepared + kPreparedStride * (size_t)g, sizeof(float) * kPreparedStride);
    packed[0] -= (float)tile_x;
    packed[1] -= (float)tile_y;
    const float* features = job.features + (size_t)job.channels * g;
    if (job.channels == channels) {
      memcpy(packed + kPackedHead, features, sizeof(float) * channels);
    } else {
      for (int k = 0; k < channels; ++k)
        packed[kPackedHead + k] = k < job.channels ? features[k] : 0.0f;
    }
    t.hits[e] = (uint16_t)(blocks_near(packed) & t.open);
  }
  // The last vector of `list_bits` reads on.
  for (int e = count; e < kBatch && e % 16 != 0; ++e) t.hits[e] = 0;
}

// Adds the listed Gaussians of a batch to a block, until all its pixels are finished.
template <int channels>
PERSONA_INLINE void draw_block(int block, int length, Tile<channels>& t) {
  const Lanes x = block_x(block), y = block_y(block);
  Lanes transmittance = load(t.transmittance[block]);
  Mask alive = greater(load(t.alive[block]), 0.5f);
  // Runs on below the stop, so that no Gaussian waits for the comparison of the one before.
  Lanes running = or_zero(alive, transmittance);
  const bool fresh = ((t.touched >> block) & 1u) == 0;
  Lanes sums[channels];
#pragma GCC unroll 32
  for (int k = 0; k < channels; ++k) sums[k] = fresh ? lanes(0.0f) : load(t.sums[block][k]);
  const uint16_t bit = (uint16_t)(1u << block);
  int i = 0;
  while (i < length) {
    const uint32_t e = t.list[i++];
    const float* packed = t.packed + (size_t)e * Tile<channels>::kStride;
    const Exponent exponent = exponent_at(packed, x, y);
    const Mask inside = at_least(exponent.log2_alpha, kLog2AlphaMin);
    const Lanes alpha = or_zero(inside, smaller(exp2_lanes(exponent.log2_alpha), kAlphaMax));
    const Lanes taken = alpha * running;
    running = running - taken;
    alive = greater(running, kTransmittanceStop);
    const Lanes weight = or_zero(alive, taken);
    transmittance = select(alive, running, transmittance);
#pragma GCC unroll 32
    for (int k = 0; k < channels; ++k) sums[k] = sums[k] + weight * packed[kPackedHead + k];
    if (!any(alive)) break;
  }
  store(t.transmittance[block], transmittance);
  store(t.alive[block], or_zero(alive, lanes(1.0f)));
#pragma GCC unroll 32
  for (int k = 0; k < channels; ++k) store(t.sums[block][k], sums[k]);
  t.touched |= bit;
  if (any(alive)) return;
  t.open &= ~(1u << block);
  for (; i < length; ++i) t.hits[t.list[i]] &= (uint16_t)~bit;
}

// The lanes of one row of a block, to or from an image.
PERSONA_INLINE void copy_row(float* to, const float* from, int columns) {
  if (columns == kBlock) {
    memcpy(to, from, sizeof(float) * kBlock);
  } else {
    for (int c = 0; c < columns; ++c) to[c] = from[c];
  }
}

template <int channels>
PERSONA_INLINE void write_tile(const SplatJob& job, int tile_x, int tile_y, Tile<channels>& t) {
  const size_t plane = (size_t)job.width * job.height;
  for (int block = 0; block < kBlocksPerTile; ++block) {
    const BlockExtent in = extent_of(block, tile_x, tile_y, job.width, job.height);
    if (in.columns <= 0) continue;
    if (((t.touched >> block) & 1u) == 0) memset(t.sums[block], 0, sizeof t.sums[block]);
    store(t.alpha[block], 1.0f - load(t.transmittance[block]));
    for (int r = 0; r < in.rows; ++r) {
      const size_t at = (size_t)(tile_y + (block / 4) * kBlock + r) * job.width + tile_x +
                        (block % 4) * kBlock;
      copy_row(job.alpha + at, t.alpha[block] + 4 * r, in.columns);
      for (int k = 0; k < job.channels; ++k)
        copy_row(job.image + k * plane + at, t.sums[block][k] + 4 * r, in.columns);
    }
  }
}

// A call of memset would take longer than writing these few.
PERSONA_INLINE void clear_row(float* row, int columns) {
  const Lanes zero = lanes(0.0f);
  if (columns == kTile) {
    memcpy(row, &zero, sizeof zero);
  } else {
    memset(row, 0, sizeof(float) * columns);
  }
}

void write_empty(const SplatJob& job, int tile_x, int tile_y) {
  const size_t plane = (size_t)job.width * job.height;
  const int columns = job.width - tile_x < kTile ? job.width - tile_x : kTile;
  const int rows = job.height - tile_y < kTile ? job.height - tile_y : kTile;
  for (int r = 0; r < rows; ++r) {
    const size_t at = (size_t)(tile_y + r) * job.width + tile_x;
    clear_row(job.alpha + at, columns);
    for (int k = 0; k < job.channels; ++k) clear_row(job.image + k * plane + at, columns);
  }
}

template <int channels>
void draw_tile(const SplatJob& job, int tile) {
  const int tile_x = (tile % job.tiles_x) * kTile, tile_y = (tile / job.tiles_x) * kTile;
  const uint32_t begin = job.tile_start[tile], end = job.tile_start[tile + 1];
  if (begin == end) return write_empty(job, tile_x, tile_y);
  Tile<channels> t;
  begin_tile(job, tile_x, tile_y, t);
  uint32_t first = begin;
  for (; first < end && t.open; first += kBatch) {
    const int count = (int)(end - first < (uint32_t)kBatch ? end - first : (uint32_t)kBatch);
    pack_batch(job, tile_x, tile_y, first, end, count, t);
    for (uint32_t blocks = t.open; blocks != 0; blocks &= blocks - 1) {
      const int block = __builtin_ctz(blocks);
      const int length = list_bits(t.hits, count, block, t.list);
      if (length != 0) draw_block(block, length, t);
    }
    memcpy(job.hits + first, t.hits, sizeof(uint16_t) * count);
  }
  if (first < end) memset(job.hits + first, 0, sizeof(uint16_t) * (end - first));
  write_tile(job, tile_x, tile_y, t);
}

}  // namespace

void splat_forward(const SplatJob& job, int tile) {
  switch (padded_channels(job.channels)) {
    case 3: return draw_tile<3>(job, tile);
    case 4: return draw_tile<4>(job, tile);
    case 8: return draw_tile<8>(job, tile);
    case 12: return draw_tile<12>(job, tile);
    case 16: return draw_tile<16>(job, tile);
    case 24: return draw_tile<24>(job, tile);
    default: return draw_tile<32>(job, tile);
  }
}

}  // namespace PERSONA_ISA
}  // namespace persona
