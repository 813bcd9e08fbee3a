// Runs chunks of work on several threads: on the host's OpenMP team when it lends one, else on a
// small pool of our own whose workers sleep when idle.
#include "thread_pool.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace persona {
namespace {

// One frame is a handful of parallel regions some tens of microseconds apart. A worker that looks
// for the next one this long before it sleeps saves a wake-up per region; it never spins longer.
constexpr auto kLinger = std::chrono::microseconds(30);

class Pool {
 public:
  // True when this call ran the work; false when the pool was busy with another caller.
  bool run(int threads, int chunk_count, ChunkFunction function, void* context) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) return false;
    grow(threads - 1);
    function_ = function;
    context_ = context;
    chunk_count_ = chunk_count;
    next_chunk_.store(0, std::memory_order_relaxed);
    places_.store(threads - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> guard(mutex_);
      open_ = true;
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work(0);
    // No worker may join any more; those inside are finishing their last chunk.
    std::unique_lock<std::mutex> guard(mutex_);
    open_ = false;
    done_.wait(guard, [this] { return inside_ == 0; });
    return true;
  }

 private:
  void grow(int workers) {
    while (worker_count_ < workers) {
      std::thread(&Pool::serve, this, ++worker_count_).detach();
    }
  }

  void work(int worker) {
    for (;;) {
      const int chunk = next_chunk_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunk_count_) return;
      function_(context_, chunk, worker);
    }
  }

  void serve(int) {
    unsigned seen = 0;
    for (;;) {
      const auto until = std::chrono::steady_clock::now() + kLinger;
      while (round_.load(std::memory_order_acquire) == seen &&
             std::chrono::steady_clock::now() < until) {
      }
      int place;
      {
        std::unique_lock<std::mutex> guard(mutex_);
        wake_.wait(guard, [&] { return round_.load(std::memory_order_relaxed) != seen; });
        seen = round_.load(std::memory_order_relaxed);
        if (!open_) continue;
        place = places_.fetch_sub(1, std::memory_order_relaxed);
        if (place <= 0) continue;
        ++inside_;
      }
      work(place);
      {
        std::lock_guard<std::mutex> guard(mutex_);
        --inside_;
      }
      done_.notify_one();
    }
  }

  std::mutex turn_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<unsigned> round_{0};
  std::atomic<int> next_chunk_{0}, places_{0};
  bool open_ = false;
  int inside_ = 0;
  int worker_count_ = 0;
  ChunkFunction function_ = nullptr;
  void* context_ = nullptr;
  int chunk_count_ = 0;
};

// A forked child inherits the memory of the pool but none of its threads: it gets a new one.
// Pools live until the process ends, because detached workers may still look at them.
Pool& pool_of_this_process() {
  static std::mutex guard;
  static Pool* pool = nullptr;
  static pid_t owner = 0;
  std::lock_guard<std::mutex> lock(guard);
  if (pool == nullptr || owner != getpid()) {
    pool = new Pool;
    owner = getpid();
  }
  return *pool;
}

// The team borrowed from the host, and the process it lives in: a forked child has no threads.
std::atomic<TeamFunction> team{nullptr};
std::atomic<pid_t> team_owner{0};

struct TeamWork {
  ChunkFunction function;
  void* context;
  int chunk_count;
  std::atomic<int> next_chunk{0}, next_worker{0};
};

void work_in_team(void* data) {
  auto& work = *static_cast<TeamWork*>(data);
  const int worker = work.next_worker.fetch_add(1, std::memory_order_relaxed);
  for (;;) {
    const int chunk = work.next_chunk.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= work.chunk_count) return;
    work.function(work.context, chunk, worker);
  }
}

bool run_in_team(int threads, int chunk_count, ChunkFunction function, void* context) {
  const TeamFunction parallel = team.load(std::memory_order_acquire);
  if (parallel == nullptr || team_owner.load(std::memory_order_relaxed) != getpid()) return false;
  TeamWork work{function, context, chunk_count, {}, {}};
  parallel(work_in_team, &work, static_cast<unsigned>(threads), 0);
  return true;
}

}  // namespace

void use_team(TeamFunction parallel) {
  team_owner.store(getpid(), std::memory_order_relaxed);
  team.store(parallel, std::memory_order_release);
}

void run_chunks(int threads, int chunk_count, ChunkFunction function, void* context) {
  if (threads > kMaxThreads) threads = kMaxThreads;
  if (threads > chunk_count) threads = chunk_count;
  if (threads > 1 && run_in_team(threads, chunk_count, function, context)) return;
  if (threads > 1 && pool_of_this_process().run(threads, chunk_count, function, context)) return;
  for (int chunk = 0; chunk < chunk_count; ++chunk) function(context, chunk, 0);
}

}  // namespace persona
