// Worker threads shared by the whole process: started when a job first wants them, spinning between the operations of a
// job, parked between jobs, joined when the last environment goes. One job has them at a time; another that comes runs
// on its own thread alone, with the same bits.
#pragma once
#include <chrono>

#include "../context.h"

namespace bptt {

// Threads worth having: the processors that this process may use, less where a cgroup allows less time.
int available_threads();

// Environments hold the pool while they live: the code of the workers must not be unloaded under them.
void retain_pool();
void release_pool();

// The threads of one job, for as long as the object lives.
class Team {
 public:
  // `shares` is how many parts an operation is cut into: fixed by the engine, however many threads there are to do
  // them.
  explicit Team(int shares);
  ~Team();
  Team(const Team &) = delete;
  Team &operator=(const Team &) = delete;

  // All shares of one operation; returns when all are done. Not `together`, it is done as one share on this thread.
  void run(Operation operation, const Context &context, const int32_t *args, bool together);

 private:
  void leave();

  const int shares_;
  int threads_;                                 // including this one
  std::chrono::steady_clock::duration lost_{};  // to waiting for workers, less what they gained
};

}  // namespace bptt
