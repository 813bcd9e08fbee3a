// Passes over all Gaussians and over all tiles, cut into chunks that ignore the thread count.
#pragma once

#include <algorithm>

#include "kernels.h"
#include "thread_pool.h"
#include "workspace.h"

namespace persona {

// Calls kernel(begin, end) over fixed ranges of Gaussians.
template <class Kernel>
void over_gaussians(int threads, int64_t n, Kernel kernel) {
  const int chunks = static_cast<int>((n + kGaussianChunk - 1) / kGaussianChunk);
  for_chunks(threads, chunks, [=](int chunk, int) {
    const int64_t begin = static_cast<int64_t>(chunk) * kGaussianChunk;
    kernel(begin, std::min<int64_t>(n, begin + kGaussianChunk));
  });
}

// What the tile kernels need to know of a binned workspace.
SplatJob splat_job(const persona_workspace& w, const float* features);

// Draws all tiles of a binned workspace.
void draw_tiles(persona_workspace& w, const KernelTable& kernels, int threads, int channels,
                const float* features, float* image, float* alpha);

}  // namespace persona
