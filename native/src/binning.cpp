// Who touches which tile, nearest first: one radix sort of the depths, then a stable counting
// scatter into the tiles. Work is cut into chunks of a size that ignores the thread count, so the
// order, and with it every bit of the image, is the same for any number of threads.
#include "binning.h"

#include <algorithm>
#include <cstring>

#include "thread_pool.h"

namespace persona {
namespace {

constexpr int kDigitBits = 11;
constexpr int kDigits = 1 << kDigitBits;
constexpr int kScatterChunks = 8;  // at most; histograms are chunks x tiles
constexpr int64_t kSmallestChunk = 4096;

struct Chunks {
  int64_t size;
  int count;
  int64_t begin(int chunk) const { return size * chunk; }
  int64_t end(int chunk, int64_t total) const { return std::min(total, size * (chunk + 1)); }
};

Chunks split(int64_t total) {
  const int64_t size =
      std::max(kSmallestChunk, (total + kScatterChunks - 1) / kScatterChunks);
  return {size, static_cast<int>((total + size - 1) / size)};
}

// Visible Gaussians in index order, with their keys counted from the smallest; slots numbered.
void compact(persona_workspace& w, int threads, int64_t n, uint32_t smallest_key) {
  const int blocks = static_cast<int>((n + kGaussianChunk - 1) / kGaussianChunk);
  const auto* summaries = w.block_summary.get<BlockSummary>();
  const auto* counts = w.tile_counts.get<uint32_t>();
  const auto* keys = w.keys.get<uint32_t>();
  auto* slot_begin = w.slot_begin.get<uint32_t>();
  auto* out_keys = w.sort_keys[0].get<uint32_t>();
  auto* out_ids = w.sort_ids[0].get<uint32_t>();
  for_chunks(threads, blocks, [=](int block, int) {
    uint32_t at = 0, slot = 0;
    for (int b = 0; b < block; ++b) at += summaries[b].visible, slot += summaries[b].entries;
    const int64_t end = std::min<int64_t>(n, static_cast<int64_t>(block + 1) * kGaussianChunk);
    for (int64_t i = static_cast<int64_t>(block) * kGaussianChunk; i < end; ++i) {
      slot_begin[i] = slot;
      if (counts[i] == 0) continue;
      slot += counts[i];
      out_keys[at] = keys[i] - smallest_key;
      out_ids[at++] = static_cast<uint32_t>(i);
    }
  });
}

// Stable least-significant-digit radix sort; only the digits that differ are sorted.
const uint32_t* sort_by_key(persona_workspace& w, int threads, int64_t visible,
                            uint32_t largest_key) {
  const Chunks chunks = split(visible);
  auto* counts = w.digit_counts.hold<uint32_t>(static_cast<size_t>(chunks.count) * kDigits);
  int from = 0;
  for (int shift = 0; shift < 32 && (largest_key >> shift) != 0; shift += kDigitBits, from ^= 1) {
    const auto* keys = w.sort_keys[from].get<uint32_t>();
    const auto* ids = w.sort_ids[from].get<uint32_t>();
    auto* out_keys = w.sort_keys[from ^ 1].get<uint32_t>();
    auto* out_ids = w.sort_ids[from ^ 1].get<uint32_t>();
    for_chunks(threads, chunks.count, [=](int chunk, int) {
      uint32_t* own = counts + static_cast<size_t>(chunk) * kDigits;
      std::memset(own, 0, sizeof(uint32_t) * kDigits);
      for (int64_t i = chunks.begin(chunk); i < chunks.end(chunk, visible); ++i)
        ++own[(keys[i] >> shift) & (kDigits - 1)];
    });
    uint32_t sum = 0;
    for (int digit = 0; digit < kDigits; ++digit)
      for (int chunk = 0; chunk < chunks.count; ++chunk) {
        uint32_t& count = counts[static_cast<size_t>(chunk) * kDigits + digit];
        const uint32_t here = count;
        count = sum;
        sum += here;
      }
    for_chunks(threads, chunks.count, [=](int chunk, int) {
      uint32_t* next = counts + static_cast<size_t>(chunk) * kDigits;
      for (int64_t i = chunks.begin(chunk); i < chunks.end(chunk, visible); ++i) {
        const uint32_t to = next[(keys[i] >> shift) & (kDigits - 1)]++;
        out_keys[to] = keys[i];
        out_ids[to] = ids[i];
      }
    });
  }
  return w.sort_ids[from].get<uint32_t>();
}

constexpr int kPrefetch = 16;  // Gaussians ahead; boxes are read in depth order, that is at random

// Calls visit(tile) for every tile a Gaussian's box touches.
template <class Visit>
inline void each_tile(const int16_t* box, int tiles_x, Visit visit) {
  const int x0 = box[0] >> 4, x1 = box[1] >> 4, y0 = box[2] >> 4, y1 = box[3] >> 4;
  for (int y = y0; y <= y1; ++y)
    for (int x = x0; x <= x1; ++x) visit(y * tiles_x + x);
}

void scatter_to_tiles(persona_workspace& w, int threads) {
  const int64_t visible = w.visible_count;
  const int tiles = w.tiles_x * w.tiles_y, tiles_x = w.tiles_x;
  const Chunks chunks = split(visible);
  const uint32_t* order = w.order;
  const auto* boxes = w.boxes.get<int16_t>();
  auto* histogram = w.tile_histogram.hold<uint32_t>(static_cast<size_t>(chunks.count) * tiles);
  auto* tile_start = w.tile_start.hold<uint32_t>(tiles + 1);
  auto* entries = w.entries.hold<uint32_t>(w.entry_count);
  for_chunks(threads, chunks.count, [=](int chunk, int) {
    uint32_t* own = histogram + static_cast<size_t>(chunk) * tiles;
    std::memset(own, 0, sizeof(uint32_t) * tiles);
    const int64_t end = chunks.end(chunk, visible);
    for (int64_t k = chunks.begin(chunk); k < end; ++k) {
      __builtin_prefetch(boxes + 4 * static_cast<size_t>(order[std::min(k + kPrefetch, end - 1)]));
      each_tile(boxes + 4 * static_cast<size_t>(order[k]), tiles_x, [&](int t) { ++own[t]; });
    }
  });
  uint32_t sum = 0;
  for (int tile = 0; tile < tiles; ++tile) {
    tile_start[tile] = sum;
    for (int chunk = 0; chunk < chunks.count; ++chunk) {
      uint32_t& count = histogram[static_cast<size_t>(chunk) * tiles + tile];
      const uint32_t here = count;
      count = sum;
      sum += here;
    }
  }
  tile_start[tiles] = sum;
  for_chunks(threads, chunks.count, [=](int chunk, int) {
    uint32_t* next = histogram + static_cast<size_t>(chunk) * tiles;
    const int64_t end = chunks.end(chunk, visible);
    for (int64_t k = chunks.begin(chunk); k < end; ++k) {
      __builtin_prefetch(boxes + 4 * static_cast<size_t>(order[std::min(k + kPrefetch, end - 1)]));
      const uint32_t g = order[k];
      each_tile(boxes + 4 * static_cast<size_t>(g), tiles_x,
                [&](int t) { entries[next[t]++] = g; });
    }
  });
}

}  // namespace

int bin_gaussians(persona_workspace& w, const KernelTable& kernels, int threads, PrepareJob job,
                  int64_t n) {
  w.tiles_x = (job.width + kTile - 1) / kTile;
  w.tiles_y = (job.height + kTile - 1) / kTile;
  job.prepared = w.prepared.hold<float>(kPreparedStride * n);
  job.boxes = w.boxes.hold<int16_t>(4 * n);
  job.keys = w.keys.hold<uint32_t>(n);
  job.tile_counts = w.tile_counts.hold<uint32_t>(n);
  auto* slot_begin = w.slot_begin.hold<uint32_t>(n + 1);
  for (int side = 0; side < 2; ++side) {
    w.sort_keys[side].hold<uint32_t>(n);
    w.sort_ids[side].hold<uint32_t>(n);
  }
  const int blocks = static_cast<int>((n + kGaussianChunk - 1) / kGaussianChunk);
  auto* summaries = w.block_summary.hold<BlockSummary>(blocks);
  for_chunks(threads, blocks, [=, &kernels](int block, int) {
    const int64_t begin = static_cast<int64_t>(block) * kGaussianChunk;
    summaries[block] = kernels.prepare(job, begin, std::min<int64_t>(n, begin + kGaussianChunk));
  });
  uint32_t smallest = 0xffffffffu, largest = 0;
  w.visible_count = 0;
  w.entry_count = 0;
  for (int block = 0; block < blocks; ++block) {
    w.visible_count += summaries[block].visible;
    w.entry_count += summaries[block].entries;
    smallest = std::min(smallest, summaries[block].smallest_key);
    largest = std::max(largest, summaries[block].largest_key);
  }
  if (w.entry_count > 0x7fffffff) return PERSONA_TOO_MANY_ENTRIES;
  slot_begin[n] = static_cast<uint32_t>(w.entry_count);
  if (w.visible_count == 0) smallest = largest = 0;
  compact(w, threads, n, smallest);
  w.order = sort_by_key(w, threads, w.visible_count, largest - smallest);
  scatter_to_tiles(w, threads);
  w.hits.hold<uint16_t>(w.entry_count);
  return PERSONA_OK;
}

}  // namespace persona
