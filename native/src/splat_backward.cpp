// Gradients of one 16x16 tile: walks front to back like the forward pass, one slot per Gaussian.
#include "block.h"

namespace persona {
namespace PERSONA_ISA {
namespace {

constexpr int kPrefetchGaussian = 16;  // entries ahead
constexpr int kPrefetchSlot = 6;

template <int channels>
struct TileGradients {
  alignas(64) float image[kBlocksPerTile][channels][16];
  alignas(64) float alpha[kBlocksPerTile][16];
  alignas(64) float transmittance[kBlocksPerTile][16];  // 0 once a pixel is finished
  alignas(64) float remaining[kBlocksPerTile][16];  // gradient . colour of everything behind
};

// The pixels of a block from one plane of an image; zero outside the image.
PERSONA_INLINE Lanes load_block(const float* plane, size_t at, int width, BlockExtent in) {
  alignas(64) float lanes_of[16];
  if (in.columns == kBlock && in.rows == kBlock) {
    for (int r = 0; r < kBlock; ++r)
      memcpy(lanes_of + 4 * r, plane + at + (size_t)r * width, sizeof(float) * kBlock);
  } else {
    for (int lane = 0; lane < 16; ++lane) {
      const int r = lane / kBlock, c = lane % kBlock;
      lanes_of[lane] = r < in.rows && c < in.columns ? plane[at + (size_t)r * width + c] : 0.0f;
    }
  }
  return load(lanes_of);
}

template <int channels>
PERSONA_INLINE void begin_tile(const SplatJob& job, int tile_x, int tile_y, uint32_t blocks,
                               TileGradients<channels>& t) {
  const size_t plane = (size_t)job.width * job.height;
  for (; blocks != 0; blocks &= blocks - 1) {
    const int block = __builtin_ctz(blocks);
    const BlockExtent in = extent_of(block, tile_x, tile_y, job.width, job.height);
    const size_t at = (size_t)(tile_y + (block / 4) * kBlock) * job.width + tile_x +
                      (block % 4) * kBlock;
    const Lanes grad_alpha = load_block(job.grad_alpha, at, job.width, in);
    Lanes remaining = grad_alpha * load_block(job.alpha, at, job.width, in);
    for (int k = 0; k < job.channels; ++k) {
      const Lanes gradient = load_block(job.grad_image + k * plane, at, job.width, in);
      remaining = remaining + gradient * load_block(job.image + k * plane, at, job.width, in);
      store(t.image[block][k], gradient);
    }
    for (int k = job.channels; k < channels; ++k) store(t.image[block][k], lanes(0.0f));
    store(t.alpha[block], grad_alpha);
    store(t.remaining[block], remaining);
    store(t.transmittance[block], lanes(1.0f));
    // Lanes outside the image are finished from the start.
    for (int lane = 0; lane < 16; ++lane)
      if (lane / kBlock >= in.rows || lane % kBlock >= in.columns)
        t.transmittance[block][lane] = 0.0f;
  }
}

// Sums over the pixels of the blocks in `hits`: dL/dp times 1, u, dy, dx^2, dx dy, dy^2 with p the
// logarithm of alpha, then the features.
template <int channels>
PERSONA_INLINE void add_entry(const float* packed, const float* features, uint32_t hits,
                              TileGradients<channels>& t, float* slot) {
  Lanes sums[kGeometrySums + channels];
#pragma GCC unroll 38
  for (int k = 0; k < kGeometrySums + channels; ++k) sums[k] = lanes(0.0f);
  for (; hits != 0; hits &= hits - 1) {
    const int block = __builtin_ctz(hits);
    // Read the Gaussian anew for every block: broadcasts come free with a load, while copies kept
    // over the loop would be spilled.
    asm("" : "+r"(packed), "+r"(features));
    const Exponent exponent = exponent_at(packed, block_x(block), block_y(block));
    const Mask inside = at_least(exponent.log2_alpha, kLog2AlphaMin);
    const Lanes raw = exp2_lanes(exponent.log2_alpha);
    const Lanes alpha = or_zero(inside, smaller(raw, kAlphaMax));
    const Lanes before = load(t.transmittance[block]);
    const Lanes next = before - alpha * before;
    const Mask alive = greater(next, kTransmittanceStop);
    const Lanes weight = or_zero(alive, alpha * before);
    store(t.transmittance[block], or_zero(alive, next));
    // Three chains, because one of twelve dependent additions would be waited for.
    Lanes values[3] = {load(t.alpha[block]), lanes(0.0f), lanes(0.0f)};
#pragma GCC unroll 32
    for (int k = 0; k < channels; ++k) {
      const Lanes gradient = load(t.image[block][k]);
      values[k % 3] = values[k % 3] + gradient * features[k];
      sums[kGeometrySums + k] = sums[kGeometrySums + k] + weight * gradient;
    }
    const Lanes value = values[0] + values[1] + values[2];
    const Lanes remaining = load(t.remaining[block]) - weight * value;
    store(t.remaining[block], remaining);
    // alpha dL/dalpha = alpha (T value - remaining / (1 - alpha)); no gradient at the 0.99 clamp,
    // none where alpha is zero.
    const Lanes share = alpha * reciprocal(1.0f - alpha);
    const Lanes dp = or_zero(less(alive, raw, kAlphaMax), weight * value - remaining * share);
    const Lanes px = dp * exponent.dx, py = dp * exponent.dy;
    sums[0] = sums[0] + dp;
    sums[1] = sums[1] + dp * exponent.u;
    sums[2] = sums[2] + py;
    sums[3] = sums[3] + px * exponent.dx;
    sums[4] = sums[4] + px * exponent.dy;
    sums[5] = sums[5] + py * exponent.dy;
  }
  sum_lanes<kGeometrySums + channels>(sums, slot);
}

// Where the sums of a Gaussian in this tile go: its slots follow the tiles of its box.
PERSONA_INLINE size_t slot_of(const SplatJob& job, size_t gaussian, int tile_column,
                              int tile_row) {
  const int16_t* box = job.boxes + 4 * gaussian;
  const int columns = (box[1] >> 4) - (box[0] >> 4) + 1;
  return job.slot_begin[gaussian] + (size_t)(tile_row - (box[2] >> 4)) * columns +
         (tile_column - (box[0] >> 4));
}

PERSONA_INLINE void prefetch(const SplatJob& job, uint32_t s, uint32_t end, int tile_column,
                             int tile_row) {
  if (s + kPrefetchGaussian < end) {
    const size_t later = job.entries[s + kPrefetchGaussian];
    __builtin_prefetch(job.prepared + kPreparedStride * later);
    __builtin_prefetch(job.boxes + 4 * later);
    __builtin_prefetch(job.features + (size_t)job.channels * later);
    __builtin_prefetch(job.slot_begin + later);
  }
  if (s + kPrefetchSlot < end) {
    const size_t slot = slot_of(job, job.entries[s + kPrefetchSlot], tile_column, tile_row);
    const float* out = job.slots + slot * job.slot_stride;
    __builtin_prefetch(out, 1);
    __builtin_prefetch(out + job.slot_stride - 1, 1);
    __builtin_prefetch(job.slot_used + slot, 1);
  }
}

template <int channels>
void differentiate_tile(const SplatJob& job, int tile) {
  const uint32_t begin = job.tile_start[tile], end = job.tile_start[tile + 1];
  const int tile_column = tile % job.tiles_x, tile_row = tile / job.tiles_x;
  const int tile_x = tile_column * kTile, tile_y = tile_row * kTile;
  uint32_t blocks = 0;
  for (uint32_t s = begin; s < end; ++s) blocks |= job.hits[s];
  TileGradients<channels> t;
  begin_tile(job, tile_x, tile_y, blocks, t);
  float features[channels] = {};
  float packed[kPreparedStride];
  float sums[kGeometrySums + channels];
  for (uint32_t s = begin; s < end; ++s) {
    const size_t g = job.entries[s];
    prefetch(job, s, end, tile_column, tile_row);
    const size_t slot = slot_of(job, g, tile_column, tile_row);
    const uint32_t hits = job.hits[s];
    job.slot_used[slot] = hits != 0;
    if (hits == 0) continue;
    memcpy(packed, job.prepared + kPreparedStride * g, sizeof packed);
    packed[0] -= (float)tile_x;
    packed[1] -= (float)tile_y;
    const float* own = job.features + (size_t)job.channels * g;
    float* out = job.slots + slot * job.slot_stride;
    if (job.channels == channels) {
      add_entry<channels>(packed, own, hits, t, out);
    } else {
      for (int k = 0; k < job.channels; ++k) features[k] = own[k];
      add_entry<channels>(packed, features, hits, t, sums);
      for (int k = 0; k < kGeometrySums + job.channels; ++k) out[k] = sums[k];
    }
  }
}

}  // namespace

void splat_backward(const SplatJob& job, int tile) {
  switch (padded_channels(job.channels)) {
    case 3: return differentiate_tile<3>(job, tile);
    case 4: return differentiate_tile<4>(job, tile);
    case 8: return differentiate_tile<8>(job, tile);
    case 12: return differentiate_tile<12>(job, tile);
    case 16: return differentiate_tile<16>(job, tile);
    case 24: return differentiate_tile<24>(job, tile);
    default: return differentiate_tile<32>(job, tile);
  }
}

}  // namespace PERSONA_ISA
}  // namespace persona
