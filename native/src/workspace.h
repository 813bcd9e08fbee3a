// Memory that outlives a call: buffers only grow, so that a steady stream of frames allocates
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace persona {

// Raw, 64-byte aligned, grow-only.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  // Room for `count` elements; the old content is lost when it grows. Throws std::bad_alloc.
  template <class T>
  T* hold(size_t count) {
    reserve(count * sizeof(T));
    return static_cast<T*>(data_);
  }
  template <class T>
  T* get() const {
    return static_cast<T*>(data_);
  }
  size_t bytes() const { return capacity_; }

 private:
  void reserve(size_t bytes);
  void* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace persona

// One forward pass and the backward pass that may follow it.
struct persona_workspace {
  // Per Gaussian.
  persona::Buffer prepared, boxes, keys, tile_counts, slot_begin;
  // Per visible Gaussian, nearest first at the end.
  persona::Buffer sort_keys[2], sort_ids[2];
  // Histograms of chunks, per radix digit and per tile.
  persona::Buffer digit_counts, tile_histogram;
  // Per pair of Gaussian and tile, in drawing order of each tile.
  persona::Buffer tile_start, entries, hits;
  // Per pair, ordered by Gaussian.
  persona::Buffer slots, slot_used;
  // Per block of Gaussians.
  persona::Buffer block_summary;
  // Of the similarity of two pictures: per tile, and per place of the window.
  persona::Buffer ssim_sums, ssim_slopes;
  // Of a posed body: bones (joints,4,4), rotations less the identity (joints,9), flesh (vertices,3).
  persona::Buffer bones, bends, flesh;

  int64_t gaussian_count = -1;
  int64_t entry_count = 0;
  int64_t visible_count = 0;
  const uint32_t* order = nullptr;
  int channels = 0, width = 0, height = 0, tiles_x = 0, tiles_y = 0;
  int64_t ssim_places = 0;  // whose slopes are held

  int64_t bytes() const;
};
