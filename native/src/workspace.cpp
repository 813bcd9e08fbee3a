// Memory that outlives a call: buffers only grow, so that a steady stream of frames allocates
// nothing.
#include "workspace.h"

#include <cstdlib>
#include <new>

namespace persona {

Buffer::~Buffer() { std::free(data_); }

void Buffer::reserve(size_t bytes) {
  if (bytes <= capacity_ && data_ != nullptr) return;
  // An eighth more than asked, so that slowly growing scenes do not reallocate every frame.
  const size_t wanted = (bytes + bytes / 8 + 64 + 63) / 64 * 64;
  std::free(data_);
  data_ = nullptr;
  capacity_ = 0;
  data_ = std::aligned_alloc(64, wanted);
  if (data_ == nullptr) throw std::bad_alloc();
  capacity_ = wanted;
}

}  // namespace persona

int64_t persona_workspace::bytes() const {
  const persona::Buffer* all[] = {&prepared,     &boxes,          &keys,        &tile_counts,
                                  &slot_begin,   &sort_keys[0],   &sort_keys[1], &sort_ids[0],
                                  &sort_ids[1],  &digit_counts,   &tile_histogram, &tile_start,
                                  &entries,      &hits,           &slots,       &slot_used,
                                  &block_summary, &ssim_sums,      &ssim_slopes, &bones,
                                  &bends,        &flesh};
  int64_t sum = 0;
  for (const auto* buffer : all) sum += static_cast<int64_t>(buffer->bytes());
  return sum;
}
