// Who touches which tile, nearest first.
#pragma once

#include "kernels.h"
#include "workspace.h"

namespace persona {

// Prepares, sorts and bins `gaussian_count` Gaussians. Fills the workspace; returns a
// persona_status. The result does not depend on `threads`.
int bin_gaussians(persona_workspace& w, const KernelTable& kernels, int threads, PrepareJob job,
                  int64_t gaussian_count);

}  // namespace persona
