// Runs chunks of work on several threads: on the host's OpenMP team when it lends one, else on a
// small pool of our own whose workers sleep when idle. Where the machine is so busy that waiting for
// helpers costs more than they bring, the caller works alone for a while.
#pragma once

namespace persona {

// One piece of work: `chunk` in [0, chunk_count), `worker` in [0, threads).
using ChunkFunction = void (*)(void* context, int chunk, int worker);

// Runs every chunk once, on at most `threads` threads including the caller, and returns when all
// are done. Which thread runs a chunk is open, so chunks must not depend on it.
void run_chunks(int threads, int chunk_count, ChunkFunction function, void* context);

// libgomp's GOMP_parallel. Idle OpenMP threads spin for milliseconds after every parallel operation
// of torch; a second set of threads would fight them for the cores (measured: 5 to 15 times slower
// on two cores), so we work on the same ones.
using TeamFunction = void (*)(void (*function)(void*), void* data, unsigned threads,
                              unsigned flags);
void use_team(TeamFunction team);

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
