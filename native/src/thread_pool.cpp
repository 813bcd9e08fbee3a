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

using Clock = std::chrono::steady_clock;

// On a busy machine a helper may be off its core for many milliseconds while we wait for it:
// drawing then takes fifty times as long as alone (measured on two cores with a load of twelve).
// So a region that waited long sends us to work alone for a while, longer each time.
constexpr auto kPatience = std::chrono::milliseconds(1);
constexpr int kFewestAlone = 64, kMostAlone = 4096;  // regions; a frame has about ten

class Solitude {
 public:
  // Whether to work alone this time.
  bool wanted() {
    if (left_.load(std::memory_order_relaxed) <= 0) return false;
    left_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  void learn(Clock::duration waited, Clock::duration worked) {
    if (waited < kPatience || waited < worked) {
      next_.store(kFewestAlone, std::memory_order_relaxed);
      return;
    }
    const int regions = next_.load(std::memory_order_relaxed);
    left_.store(regions, std::memory_order_relaxed);
    next_.store(regions < kMostAlone ? 2 * regions : kMostAlone, std::memory_order_relaxed);
  }

 private:
  std::atomic<int> left_{0}, next_{kFewestAlone};
};
Solitude solitude;

// What a region looks like to the one who started it.
struct Shared {
  ChunkFunction function;
  void* context;
  int chunk_count;
  std::thread::id caller;
  Clock::duration caller_worked{};
  std::atomic<int> next_chunk{0}, next_worker{0};
};

void share_work(Shared& shared, int worker) {
  const bool is_caller = std::this_thread::get_id() == shared.caller;
  const auto start = is_caller ? Clock::now() : Clock::time_point{};
  for (;;) {
    const int chunk = shared.next_chunk.fetch_add(1, std::memory_order_relaxed);
    if (chunk >= shared.chunk_count) break;
    shared.function(shared.context, chunk, worker);
  }
  if (is_caller) shared.caller_worked = Clock::now() - start;
}

// The team borrowed from the host, and the process it lives in: a forked child has no threads.
std::atomic<TeamFunction> team{nullptr};
std::atomic<pid_t> team_owner{0};

void share_in_team(void* data) {
  auto& shared = *static_cast<Shared*>(data);
  share_work(shared, shared.next_worker.fetch_add(1, std::memory_order_relaxed));
}

void share_in_pool(void* data, int, int worker) {
  share_work(*static_cast<Shared*>(data), worker);
}

bool share_regions(int threads, Shared& shared) {
  const TeamFunction parallel = team.load(std::memory_order_acquire);
  if (parallel != nullptr && team_owner.load(std::memory_order_relaxed) == getpid()) {
    parallel(share_in_team, &shared, static_cast<unsigned>(threads), 0);
    return true;
  }
  return pool_of_this_process().run(threads, threads, share_in_pool, &shared);
}

}  // namespace

void use_team(TeamFunction parallel) {
  team_owner.store(getpid(), std::memory_order_relaxed);
  team.store(parallel, std::memory_order_release);
}

void run_chunks(int threads, int chunk_count, ChunkFunction function, void* context) {
  if (threads > kMaxThreads) threads = kMaxThreads;
  if (threads > chunk_count) threads = chunk_count;
  if (threads > 1 && !solitude.wanted()) {
    Shared shared{function, context, chunk_count, std::this_thread::get_id(), {}, {}, {}};
    const auto start = Clock::now();
    if (share_regions(threads, shared)) {
      const auto took = Clock::now() - start;
      solitude.learn(took - shared.caller_worked, shared.caller_worked);
      return;
    }
  }
  for (int chunk = 0; chunk < chunk_count; ++chunk) function(context, chunk, 0);
}

}  // namespace persona
