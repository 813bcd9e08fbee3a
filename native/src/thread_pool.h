// A small thread pool: workers sleep when idle, late workers are never waited for.
#pragma once

namespace persona {

// One piece of work: `chunk` in [0, chunk_count), `worker` in [0, threads).
using ChunkFunction = void (*)(void* context, int chunk, int worker);

// Runs every chunk once, on at most `threads` threads including the caller, and returns when all
// are done. Which thread runs a chunk is open, so chunks must not depend on it.
void run_chunks(int threads, int chunk_count, ChunkFunction function, void* context);

constexpr int kMaxThreads = 64;

// The same for a callable: for_chunks(threads, count, [&](int chunk, int worker) { ... }).
template <class Body>
inline void for_chunks(int threads, int chunk_count, Body body) {
  auto call = [](void* context, int chunk, int worker) {
    (*static_cast<Body*>(context))(chunk, worker);
  };
  run_chunks(threads, chunk_count, call, &body);
}

}  // namespace persona
