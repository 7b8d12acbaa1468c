// The memory of one model and the jobs over it: checks a request, makes room, copies in, runs, copies out. Knows
// nothing of JavaScript. All members are called on the JavaScript thread, but for Job::run, which may run anywhere
// while its engine is busy.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "fault.h"
#include "fused.h"
#include "interpreter.h"

namespace bptt {

struct Write : Place {
  const void *data;
};

// A plan and frames as they come from JavaScript: borrowed, and checked by nobody yet.
struct Request {
  RegionSizes bytes;
  int32_t plan;  // its id
  std::span<const int32_t> code;
  std::span<const double> constants;
  std::span<const int32_t> frames;
  int64_t count;
  std::vector<Write> writes;
  std::vector<Place> reads;
  bool only_finite = false;  // the last of them is not delivered where it is not
};

class Engine;

struct Job {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<const Program> program;
  Frames frames;
  std::vector<Place> reads;
  bool only_finite = false;
  std::vector<double> results;  // RESULT_FIELDS for each frame
  double work = 0;              // floating-point operations, roughly
  double seconds = 0;
  std::optional<Fault> fault;

  // Over before it would be noticed: what another thread takes to begin, and this one to hear of its end, is a good
  // part of it.
  bool brief() const;
  void run() noexcept;
};

// One frame that is run again and again, on the calling thread.
struct Step {
  std::shared_ptr<Engine> engine;
  std::shared_ptr<const Program> program;
  Frames frames;  // one
  Place input, output;
  std::unique_ptr<Fused> fused;  // null: the plan is interpreted

  // False, with nothing done, where one of the first `floats` inputs is not finite. Allocates nothing.
  bool run(const void *input_data, int64_t floats, void *output_data) const;
};

// So long jobs run even where somebody waits: else one who asks again and again would leave training no time.
constexpr auto TURN = std::chrono::milliseconds(10);

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(const Kernels &kernels, int threads) : kernels_(kernels), threads_(threads) {}

  // Everything before the frames: on a Fault nothing has changed. The engine is busy until finish(). A job that needs
  // neither more room nor writes may begin behind others that read nothing; unless all of these are run to their end,
  // none of it is.
  std::unique_ptr<Job> begin(const Request &request);
  // Makes room and checks; `request` has one frame, one write (whose data is not read yet) and one read.
  std::unique_ptr<Step> prepare(const Request &request);
  // The last thing about a job. Throws what went wrong: ERR_DISPOSED, or the fault of its frames.
  void finish(Job &job);
  void copy_out(const Place &place, void *to) const;
  // Whether all floats there are numbers.
  bool finite(const Place &place) const;

  void stop() { __atomic_store_n(&stop_, 1, __ATOMIC_RELAXED); }
  // Ends the jobs in flight after the frame that runs, but not before the first of them has run for TURN.
  void give_way() { __atomic_store_n(&give_way_, 1, __ATOMIC_RELAXED); }
  // Frees the memory, at the latest when the job in flight has ended.
  void dispose();
  int64_t bytes() const;

  bool disposed() const { return disposed_; }
  // Throws Fault ERR_DISPOSED or ERR_BUSY.
  void must_be_free() const {
    if (disposed_ || jobs_ > 0) refuse();
  }

 private:
  [[noreturn]] void refuse() const;
  bool may_follow(const Request &request) const;
  bool gives_way() const { return __atomic_load_n(&give_way_, __ATOMIC_RELAXED) && Clock::now() - began_ >= TURN; }
  friend struct Job;
  friend struct Step;
  std::shared_ptr<const Program> check(const Request &request, Frames &frames);
  void make_room(const Request &request);
  Setting setting(const Program &program, const int32_t *stop) const;

  const Kernels &kernels_;
  const int threads_;
  Regions regions_;
  std::vector<Block> workspaces_;
  std::vector<float *> workspace_;
  Judge judge_;
  std::unordered_map<int32_t, std::shared_ptr<const Program>> programs_;
  Frames spare_;          // whose memory the next job uses again
  int64_t changes_ = 0;   // how often a job, or room for a step, may have moved or written the regions
  int jobs_ = 0;          // in flight
  bool reading_ = false;  // the last of these reads: nothing may come behind it
  bool disposed_ = false;
  int32_t stop_ = 0, give_way_ = 0;
  Clock::time_point began_;  // the first job in flight: its frames, once they run
};

}  // namespace bptt
