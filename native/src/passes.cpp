// Passes over all tiles of a binned workspace.
#include "passes.h"

namespace persona {

SplatJob splat_job(const persona_workspace& w, const float* features) {
  SplatJob job = {};
  job.channels = w.channels, job.width = w.width, job.height = w.height, job.tiles_x = w.tiles_x;
  job.prepared = w.prepared.get<float>();
  job.boxes = w.boxes.get<int16_t>();
  job.features = features;
  job.tile_start = w.tile_start.get<uint32_t>();
  job.entries = w.entries.get<uint32_t>();
  job.hits = w.hits.get<uint16_t>();
  job.slot_begin = w.slot_begin.get<uint32_t>();
  return job;
}

void draw_tiles(persona_workspace& w, const KernelTable& kernels, int threads, int channels,
                const float* features, float* image, float* alpha) {
  w.channels = channels;
  SplatJob job = splat_job(w, features);
  job.image = image, job.alpha = alpha;
  for_chunks(threads, w.tiles_x * w.tiles_y,
             [&](int tile, int) { kernels.splat_forward(job, tile); });
}

}  // namespace persona
