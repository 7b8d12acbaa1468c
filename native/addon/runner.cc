// The runner's queue and loop.
#include "runner.h"

#include <system_error>

namespace bptt {

Runner::~Runner() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
    if (running_) running_->engine->stop();
  }
  calls_.fetch_add(1);
  calls_.notify_one();
  thread_.join();
}

bool Runner::submit(Job *job) {
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error &) {
      return false;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(job);
  }
  calls_.fetch_add(1);
  calls_.notify_one();
  return true;
}

void Runner::work() {
  for (;;) {
    const uint32_t calls = calls_.load();
    {
      const std::lock_guard lock(mutex_);
      if (quit_) return;
      running_ = waiting_.empty() ? nullptr : waiting_.front();
      if (running_) waiting_.pop_front();
    }
    if (!running_) {
      calls_.wait(calls);
      continue;
    }
    Job *const job = running_;
    job->run();
    {
      const std::lock_guard lock(mutex_);
      running_ = nullptr;  // from here on the job may go at any moment
    }
    done_(job);
  }
}

}  // namespace bptt
