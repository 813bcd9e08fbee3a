// Who touches which tile, nearest first.
#pragma once

#include "kernels.h"
#include "workspace.h"

namespace persona {

// Makes room for n Gaussians, fills in where `job` writes, and gives back where the summary of each
// chunk of Gaussians is to be put.
BlockSummary* begin_binning(persona_workspace& w, int64_t n, PrepareJob& job);

// Sorts and bins what was prepared since. Returns a persona_status; the result does not depend on
// `threads`.
int bin_gaussians(persona_workspace& w, int threads, int64_t n);

}  // namespace persona
