// The thread of one environment that runs its jobs, one after the other. Started by the first job.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "engine.h"

namespace bptt {

class Runner {
 public:
  // `done` is called on the runner's thread after each job; the job stays the caller's.
  explicit Runner(std::function<void(Job *)> done) : done_(std::move(done)) {}
  // Stops the job in hand before its next update, forgets those that wait, and joins.
  ~Runner();

  // False where the system gives no thread: the caller then runs the job itself.
  bool submit(Job *job);

 private:
  void work();

  const std::function<void(Job *)> done_;
  std::thread thread_;
  std::mutex mutex_;
  std::deque<Job *> waiting_;
  Job *running_ = nullptr;
  bool quit_ = false;
  std::atomic<uint32_t> calls_{0};  // std::condition_variable would need a newer libstdc++ than Node does
};

}  // namespace bptt
