// Worker threads shared by the whole process: started when a job first wants them, spinning between the operations of a
// job, parked between jobs, joined when the last environment goes. One job has them at a time; another that comes runs
// on its own thread alone, with the same bits.
#pragma once
#include "../context.h"
#include "judge.h"
#include "quota.h"

namespace bptt {

// At most this many shares, so that a batch is not cut to crumbs and workspaces stay few.
constexpr int MAX_THREADS = 64;

// Environments hold the pool while they live: the code of the workers must not be unloaded under them.
void retain_pool();
void release_pool();

// The threads of one job, for as long as the object lives.
class Team {
 public:
  // `shares` is how many parts an operation is cut into: fixed by the engine, however many threads there are to do
  // them, at most `most`.
  Team(int shares, Judge &judge, int most = available_threads());
  ~Team();
  Team(const Team &) = delete;
  Team &operator=(const Team &) = delete;

  int shares() const { return shares_; }
  // Whether operations are shared out at present.
  bool together() const { return threads_ > 1 && judge_.together(); }
  // All shares of one operation; returns when all are done.
  void run(Operation operation, const Context &context, const int32_t *args);
  // An operation whose parts meet on the way: cut into one for each thread, and no more than `most`.
  void run_meeting(Operation operation, const Context &context, const int32_t *args, int most);
  // After each frame: so much work was done in it.
  void judge(double work);

 private:
  const int shares_;
  Judge &judge_;
  int threads_ = 1;  // including this one
};

}  // namespace bptt
