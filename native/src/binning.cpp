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

// Calls visit(tile, touched) for every tile a Gaussian's box touches. Most touch no more than two by
// two; these are visited without a branch on how many, which no processor would predict.
template <class Visit>
inline void each_tile(const int16_t* box, int tiles_x, Visit visit) {
  const int x0 = box[0] >> 4, x1 = box[1] >> 4, y0 = box[2] >> 4, y1 = box[3] >> 4;
  if (x1 - x0 > 1 || y1 - y0 > 1) {
    for (int y = y0; y <= y1; ++y)
      for (int x = x0; x <= x1; ++x) visit(y * tiles_x + x, true);
    return;
  }
  const bool wide = x1 > x0, high = y1 > y0;
  const int left = y0 * tiles_x, below = y1 * tiles_x;
  visit(left + x0, true);
  visit(left + x1, wide);
  visit(below + x0, high);
  visit(below + x1, wide && high);
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
      each_tile(boxes + 4 * static_cast<size_t>(order[k]), tiles_x, [&](int t, bool touched) { own[t] += touched; });
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
    uint32_t nowhere;
    const int64_t end = chunks.end(chunk, visible);
    for (int64_t k = chunks.begin(chunk); k < end; ++k) {
      __builtin_prefetch(boxes + 4 * static_cast<size_t>(order[std::min(k + kPrefetch, end - 1)]));
      const uint32_t g = order[k];
      each_tile(boxes + 4 * static_cast<size_t>(g), tiles_x,
                [&](int t, bool touched) {
                  *(touched ? entries + next[t] : &nowhere) = g;
                  next[t] += touched;
                });
    }
  });
}

}  // namespace

BlockSummary* begin_binning(persona_workspace& w, int64_t n, PrepareJob& job) {
  w.width = job.width, w.height = job.height;
  w.tiles_x = (job.width + kTile - 1) / kTile;
  w.tiles_y = (job.height + kTile - 1) / kTile;
  job.prepared = w.prepared.hold<float>(kPreparedStride * n);
  job.boxes = w.boxes.hold<int16_t>(4 * n);
  job.keys = w.keys.hold<uint32_t>(n);
  job.tile_counts = w.tile_counts.hold<uint32_t>(n);
  w.slot_begin.hold<uint32_t>(n + 1);
  for (int side = 0; side < 2; ++side) {
    w.sort_keys[side].hold<uint32_t>(n);
    w.sort_ids[side].hold<uint32_t>(n);
  }
  return w.block_summary.hold<BlockSummary>((n + kGaussianChunk - 1) / kGaussianChunk);
}

int bin_gaussians(persona_workspace& w, int threads, int64_t n) {
  const auto* summaries = w.block_summary.get<BlockSummary>();
  BlockSummary all = {0, 0, 0xffffffffu, 0};
  w.visible_count = 0;
  w.entry_count = 0;
  for (int64_t block = 0; block * kGaussianChunk < n; ++block) {
    w.visible_count += summaries[block].visible;
    w.entry_count += summaries[block].entries;
    all.smallest_key = std::min(all.smallest_key, summaries[block].smallest_key);
    all.largest_key = std::max(all.largest_key, summaries[block].largest_key);
  }
  if (w.entry_count > 0x7fffffff) return PERSONA_TOO_MANY_ENTRIES;
  w.slot_begin.get<uint32_t>()[n] = static_cast<uint32_t>(w.entry_count);
  if (w.visible_count == 0) all.smallest_key = all.largest_key = 0;
  compact(w, threads, n, all.smallest_key);
  w.order = sort_by_key(w, threads, w.visible_count, all.largest_key - all.smallest_key);
  scatter_to_tiles(w, threads);
  w.hits.hold<uint16_t>(w.entry_count);
  return PERSONA_OK;
}

}  // namespace persona
