// The worker pool. Fork and join cost a quarter of a microsecond while the workers spin; a wake-up costs 100, of which
// 30 on the thread that wakes. So they park only after a bounded time without work. Shares are taken, not given: those
// of a worker that is asleep or not running are done by the others. std::atomic::wait, not std::condition_variable,
// whose symbols old systems lack.
#include "pool.h"

#include <array>
#include <atomic>
#include <bit>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#endif
#include <unistd.h>

#include "float_mode.h"

namespace bptt {
namespace {

// How long a thread that waits keeps its processor, and how long it then goes on looking while it leaves it to whoever
// wants it: about what a wake-up costs, and the time between two jobs.
constexpr auto SPIN = std::chrono::microseconds(20), LINGER = std::chrono::microseconds(400);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

// Looks for less than a microsecond; false where that was too short.
template <class Done>
bool spin_shortly(Done done) {
  for (int i = 0; i < 32; i++) {
    if (done()) return true;
    pause();
  }
  return false;
}

// Looks until done() or the time is over; false then.
template <class Done>
bool spin(Done done) {
  if (spin_shortly(done)) return true;
  for (const Clock::time_point begin = Clock::now();;) {
    for (int i = 0; i < 32; i++) {
      if (done()) return true;
      pause();
    }
    const Clock::duration time = Clock::now() - begin;
    if (time > LINGER) return false;
    if (time > SPIN) std::this_thread::yield();
  }
}

class Pool {
 public:
  ~Pool() {
    quit_ = true;
    wake();
    for (std::thread &worker : workers_) worker.join();
  }

  // Grows to that many workers, or to as many as the system gives. Only while no operation runs.
  int want(int workers) {
    while (static_cast<int>(workers_.size()) < workers) {
      const int index = static_cast<int>(workers_.size());
      try {
        workers_.emplace_back([this, index] { work(index + 1); });
      } catch (const std::system_error &) {
        break;
      }
      leader_ = -1;
    }
    return static_cast<int>(workers_.size()) < workers ? static_cast<int>(workers_.size()) : workers;
  }

  // Returns how long this thread waited for the others.
  Clock::duration run(Operation operation, const Context &context, const int32_t *args, int shares, int threads) {
    offer(job_.left, operation, context, args, shares, threads);
    return join(shares - 1 - take_shares(0));
  }

  // The same, each share by the thread of its number.
  Clock::duration run_meeting(Operation operation, const Context &context, const int32_t *args, int threads) {
    for (int i = 0; i < threads; i++) progress_[i].store(0, std::memory_order_relaxed);
    waited_ = {};
    offer(job_.bound, operation, context, args, threads, threads);
    const Clock::duration end = join(threads - 1);
    return waited_ + end;
  }

  void meet(int part, int parts, int32_t n) {
    progress_[part].store(n, std::memory_order_release);
    if (n == LEFT) return;
    for (int i = 0; i < parts; i++) {
      const auto here = [&] { return progress_[i].load(std::memory_order_acquire) >= n; };
      if (here() || spin_shortly(here)) continue;
      const auto begin = Clock::now();
      while (!spin(here)) {
      }
      if (part == 0) waited_ += Clock::now() - begin;
    }
  }

 private:
  // Offers the shares of an operation but for the first, and does that.
  void offer(std::atomic<uint64_t> &shares_left, Operation operation, const Context &context, const int32_t *args,
             int shares, int threads) {
    job_.operation = operation;
    job_.context = &context;
    job_.args = args;
    job_.shares.store(shares, std::memory_order_relaxed);
    job_.threads.store(threads, std::memory_order_relaxed);
    done_.store(0, std::memory_order_relaxed);
    make_way();
    shares_left.store(first(shares) & ~uint64_t{1});
    if (parked_.load() > 0) wake();
    operation(context, args, 0, shares);
  }

  // Waits until workers have done so many shares, and says how long that was.
  Clock::duration join(int shares) {
    const auto others = static_cast<uint32_t>(shares);
    if (done_.load(std::memory_order_acquire) == others) return {};
    const auto begin = Clock::now();
    if (!spin([&] { return done_.load(std::memory_order_acquire) == others; })) {
      for (uint32_t done; (done = done_.load(std::memory_order_acquire)) != others;)
        done_.wait(done, std::memory_order_acquire);
    }
    return Clock::now() - begin;
  }

  static uint64_t first(int shares) { return shares == 64 ? ~uint64_t{0} : (uint64_t{1} << shares) - 1; }

  // Workers keep off the processor of the thread that leads: Linux likes to wake a thread where the one that wakes it
  // runs, and there both stay, taking turns, until some tick moves one of them.
  void make_way() {
#if defined(__linux__)
    const int here = sched_getcpu();
    if (here == leader_) return;
    leader_ = here;
    cpu_set_t allowed;
    if (here < 0 || sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2) return;
    CPU_CLR(here, &allowed);
    for (size_t i = 0; i < workers_.size(); i++) {
      const int id = ids_[i].load(std::memory_order_relaxed);
      if (id == 0)
        leader_ = -1;  // has not begun yet: next time
      else
        sched_setaffinity(id, sizeof allowed, &allowed);
    }
#endif
  }

  void wake() {
    calls_.fetch_add(1);
    calls_.notify_all();
  }

  // Does shares of the operation in hand until none is left, and says how many it did: first those that this thread had
  // the last time, whose operands are in its cache. A thread that comes late finds none, or those of the next
  // operation: what the operation is may only be read once a share of it is taken, for until that is done it stays.
  int take_shares(int thread) {
    int taken = 0;
    for (uint64_t left = job_.left.load(std::memory_order_acquire); left != 0;) {
      const int shares = job_.shares.load(std::memory_order_relaxed),
                threads = job_.threads.load(std::memory_order_relaxed);
      if (thread >= threads) break;
      const uint64_t mine = left & first(shares * (thread + 1) / threads) & ~first(shares * thread / threads);
      const int share = mine ? std::countr_zero(mine) : 63 - std::countl_zero(left);
      if (!job_.left.compare_exchange_weak(left, left & ~(uint64_t{1} << share), std::memory_order_acq_rel,
                                           std::memory_order_acquire))
        continue;
      job_.operation(*job_.context, job_.args, share, job_.shares.load(std::memory_order_relaxed));
      taken++;
      if (thread > 0) finished();
      left = job_.left.load(std::memory_order_acquire);
    }
    return taken;
  }

  void finished() {
    done_.fetch_add(1, std::memory_order_acq_rel);
    done_.notify_one();
  }

  // Does the share that only this worker may do, if there is one.
  void take_bound(int thread) {
    const uint64_t own = uint64_t{1} << thread;
    if (!(job_.bound.load(std::memory_order_acquire) & own)) return;
    job_.bound.fetch_and(~own, std::memory_order_acq_rel);
    job_.operation(*job_.context, job_.args, thread, job_.shares.load(std::memory_order_relaxed));
    finished();
  }

  void work(int thread) {
    const FloatMode mode;
#if defined(__linux__)
    ids_[thread - 1].store(static_cast<int>(syscall(SYS_gettid)), std::memory_order_relaxed);
#endif
    const auto called = [this, thread] {
      return quit_.load(std::memory_order_relaxed) || (job_.bound.load(std::memory_order_relaxed) >> thread & 1) != 0 ||
             (job_.left.load(std::memory_order_relaxed) != 0 && thread < job_.threads.load(std::memory_order_relaxed));
    };
    while (!quit_.load(std::memory_order_relaxed)) {
      const uint32_t calls = calls_.load();
      take_shares(thread);
      take_bound(thread);
      if (spin(called)) continue;
      parked_.fetch_add(1);
      if (job_.left.load() == 0 && job_.bound.load() == 0) calls_.wait(calls);
      parked_.fetch_sub(1);
    }
  }

  std::vector<std::thread> workers_;
  std::array<std::atomic<int>, MAX_THREADS> ids_{};  // of the workers, for the system
  int leader_ = -1;                                  // the processor of the thread that leads
  // The operation in hand, written before `left` offers its shares.
  struct alignas(64) {
    std::atomic<uint64_t> left{0};   // one bit for each share not taken yet
    std::atomic<uint64_t> bound{0};  // or these, each for the worker of its number alone
    std::atomic<int> shares{1}, threads{1};
    Operation operation;
    const Context *context;
    const int32_t *args;
  } job_;
  alignas(64) std::atomic<uint32_t> done_{0};   // shares that workers did
  alignas(64) std::atomic<uint32_t> calls_{0};  // what parked workers wait for
  struct alignas(64) Progress : std::atomic<int32_t> {};
  std::array<Progress, MAX_THREADS> progress_{};  // steps that each part of an operation has done
  Clock::duration waited_{};                      // by the first of them
  std::atomic<int> parked_{0};
  std::atomic<bool> quit_{false};
};

// The only mutable state of the process.
struct Shared {
  std::mutex mutex;
  int environments = 0;
  bool taken = false;
  pid_t process = 0;
  std::unique_ptr<Pool> pool;
};
Shared &shared() {
  static auto *const it = new Shared;  // never destroyed: threads may outlive static destructors
  return *it;
}

}  // namespace

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

Team::Team(int shares, Judge &judge, int most) : shares_(shares), judge_(judge) {
  if (shares == 1) return;
  Shared &s = shared();
  const std::lock_guard lock(s.mutex);
  if (s.process != getpid()) {  // after a fork the workers are the parent's: start over
    static_cast<void>(s.pool.release());
    s.taken = false;
    s.process = getpid();
  }
  if (s.taken) return;
  const int wanted = (shares < most ? shares : most) - 1;
  if (wanted < 1) return;
  if (!s.pool) s.pool = std::make_unique<Pool>();
  threads_ = 1 + s.pool->want(wanted);
  s.taken = threads_ > 1;
  judge_.begin();
}

Team::~Team() {
  if (threads_ == 1) return;
  Shared &s = shared();
  const std::lock_guard lock(s.mutex);
  s.taken = false;
}

void Team::run(Operation operation, const Context &context, const int32_t *args) {
  judge_.waited(shared().pool->run(operation, context, args, shares_, threads_));
}

void Team::run_meeting(Operation operation, const Context &context, const int32_t *args, int most) {
  Context meeting = context;
  meeting.meet = [](int part, int parts, int32_t n) { shared().pool->meet(part, parts, n); };
  judge_.waited(shared().pool->run_meeting(operation, meeting, args, threads_ < most ? threads_ : most));
}

void Team::judge(double work) {
  if (threads_ > 1) judge_.frame(work);
}

}  // namespace bptt
