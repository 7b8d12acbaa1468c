// The worker pool. Fork and join cost a fraction of a microsecond while the workers spin; a wake-up costs about 40, so
// they park only after a bounded time without work. Shares are taken, not given: those of a worker that is asleep or
// not running are done by the others. std::atomic::wait, not std::condition_variable, whose symbols old systems lack.
#include "pool.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#include <unistd.h>

#include "float_mode.h"

namespace bptt {
namespace {

constexpr int MAX_WORKERS = 255;

using Clock = std::chrono::steady_clock;
using Duration = Clock::duration;
// How long a thread spins before it parks: less than a wake-up costs.
constexpr auto SPIN = std::chrono::microseconds(20);
// Where others have the processors, waiting for a worker that is not running costs more than it gains: after losing
// this much a job goes on alone, and jobs in the time that follows do not try.
constexpr auto LOSS = std::chrono::microseconds(200);
constexpr auto REST = std::chrono::milliseconds(50);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

// Waits until the value is no longer `old`: spinning first, then parked.
uint32_t wait_past(const std::atomic<uint32_t> &value, uint32_t old) {
  const auto end = Clock::now() + SPIN;
  do {
    for (int i = 0; i < 32; i++) {
      const uint32_t now = value.load(std::memory_order_acquire);
      if (now != old) return now;
      pause();
    }
  } while (Clock::now() < end);
  value.wait(old, std::memory_order_acquire);
  return value.load(std::memory_order_acquire);
}

class Pool {
 public:
  ~Pool() {
    quit_ = true;
    announce();
    for (std::thread &worker : workers_) worker.join();
  }

  // Grows to that many workers, or to as many as the system gives. Only while no operation runs.
  int want(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
      const int index = static_cast<int>(workers_.size());
      try {
        workers_.emplace_back([this, index, seen = epoch_.load()] { work(index, seen); });
      } catch (const std::system_error &) {
        break;
      }
    }
    return static_cast<int>(workers_.size()) < workers ? static_cast<int>(workers_.size()) : workers;
  }

  // Returns the time by which this was slower than one thread alone would have been, negative where it was faster.
  Duration run(Operation operation, const Context &context, const int32_t *args, int shares, int threads) {
    operation_ = operation;
    context_ = &context;
    args_ = args;
    shares_ = static_cast<uint32_t>(shares);
    done_.store(0, std::memory_order_relaxed);
    const uint64_t number = epoch_.load(std::memory_order_relaxed) + 1;
    ticket_.store(number << 32 | static_cast<uint64_t>(threads) << 16 | shares_, std::memory_order_release);
    announce();
    const auto begin = Clock::now();
    const int own = take_shares(0);
    const auto end = Clock::now();
    for (uint32_t done = done_.load(std::memory_order_acquire); done != shares_;) done = wait_past(done_, done);
    return own == 0 ? Duration::zero() : Clock::now() - end - (end - begin) / own * (shares - own);
  }

 private:
  void announce() {
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
  }

  // Does shares of the operation in hand until none is left, and says how many it did. A thread that comes late finds
  // none, or those of the next operation: what the operation is may only be read once a share of it is taken, for until
  // that is done it stays.
  int take_shares(int thread) {
    int taken = 0;
    for (uint64_t ticket = ticket_.load(std::memory_order_acquire);;) {
      const auto left = static_cast<int>(ticket & 0xFFFF), threads = static_cast<int>(ticket >> 16 & 0xFFFF);
      if (left == 0 || thread >= threads) return taken;
      if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel, std::memory_order_acquire))
        continue;
      const uint32_t shares = shares_;
      operation_(*context_, args_, left - 1, static_cast<int>(shares));
      taken++;
      if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == shares) done_.notify_one();
      ticket = ticket_.load(std::memory_order_acquire);
    }
  }

  void work(int index, uint32_t seen) {
    const FloatMode mode;
    for (;;) {
      seen = wait_past(epoch_, seen);
      if (quit_.load(std::memory_order_relaxed)) return;
      take_shares(index + 1);
    }
  }

  std::vector<std::thread> workers_;
  // The operation in hand, written before the ticket that offers its shares.
  Operation operation_ = nullptr;
  const Context *context_ = nullptr;
  const int32_t *args_ = nullptr;
  uint32_t shares_ = 1;
  std::atomic<bool> quit_{false};
  alignas(64) std::atomic<uint32_t> epoch_{0};   // counts operations: what idle workers wait for
  alignas(64) std::atomic<uint64_t> ticket_{0};  // which operation · threads that may help · shares not taken yet
  alignas(64) std::atomic<uint32_t> done_{0};    // shares
};

// The only mutable state of the process.
struct Shared {
  std::mutex mutex;
  int environments = 0;
  bool taken = false;
  pid_t process = 0;
  Clock::time_point rest_until;
  std::unique_ptr<Pool> pool;
};
Shared &shared() {
  static auto *const it = new Shared;  // never destroyed: threads may outlive static destructors
  return *it;
}

#if defined(__linux__)
// Processors' worth of time that the cgroup allows, or a large number.
int quota() {
  double limit = 0, period = 0;
  const auto read = [](const char *path, const char *format, double *a, double *b) {
    FILE *const file = std::fopen(path, "re");
    if (!file) return 0;
    const int got = std::fscanf(file, format, a, b);
    std::fclose(file);
    return got;
  };
  const bool v2 = read("/sys/fs/cgroup/cpu.max", "%lf %lf", &limit, &period) == 2;  // "max 100000" reads as none
  const bool v1 = !v2 && read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "%lf", &limit, nullptr) == 1 &&
                  read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "%lf", &period, nullptr) == 1;
  if (!(v2 || v1) || limit <= 0 || period <= 0) return MAX_WORKERS;
  const int whole = static_cast<int>((limit + period - 1) / period);
  return whole < 1 ? 1 : whole;
}
#endif

}  // namespace

int available_threads() {
  static const int once = [] {
    int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
    const int allowed = quota();
    if (allowed < count) count = allowed;
#endif
    return count < 1 ? 1 : count > MAX_WORKERS ? MAX_WORKERS : count;
  }();
  return once;
}

void retain_pool() {
  Shared &s = shared();
  const std::lock_guard lock(s.mutex);
  s.environments++;
}

void release_pool() {
  Shared &s = shared();
  const std::lock_guard lock(s.mutex);
  if (--s.environments == 0 && s.process == getpid()) s.pool.reset();
}

Team::Team(int shares) : shares_(shares), threads_(1) {
  if (shares == 1) return;
  Shared &s = shared();
  const std::lock_guard lock(s.mutex);
  if (s.process != getpid()) {  // after a fork the workers are the parent's: start over
    static_cast<void>(s.pool.release());
    s.taken = false;
    s.process = getpid();
  }
  if (s.taken || Clock::now() < s.rest_until) return;
  const int available = available_threads();
  const int wanted = (shares < available ? shares : available) - 1;
  if (wanted < 1) return;
  if (!s.pool) s.pool = std::make_unique<Pool>();
  threads_ = 1 + s.pool->want(wanted);
  s.taken = threads_ > 1;
}

Team::~Team() { leave(); }

void Team::leave() {
  if (threads_ == 1) return;
  threads_ = 1;
  Shared &s = shared();
  const std::lock_guard lock(s.mutex);
  s.taken = false;
  if (lost_ > LOSS) s.rest_until = Clock::now() + REST;
}

void Team::run(Operation operation, const Context &context, const int32_t *args, bool together) {
  if (!together || threads_ == 1) return operation(context, args, 0, 1);
  lost_ += shared().pool->run(operation, context, args, shares_, threads_);
  if (lost_ < Duration::zero()) lost_ = Duration::zero();
  if (lost_ > LOSS) leave();
}

}  // namespace bptt
