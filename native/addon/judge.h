// Whether the work of an engine goes faster together or alone: where other programs have the processors, threads wait
// for each other longer than they help. Knows nothing of threads; the pool tells it what it waited.
#pragma once
#include <chrono>

namespace bptt {

using Clock = std::chrono::steady_clock;

// Goes by windows of whole frames. One in which waiting took a good part of the time is held against the next, done
// alone, and so is one every few seconds, and the second: where threads take memory away from each other, that is no
// waiting. The first is not judged: in it memory is touched for the first time, and threads start. What is slower is
// then left for several times as long as it took, twice as many each time it is found to be so again: in the end to
// look costs a sixty-fourth, however long a frame lasts.
class Judge {
 public:
  bool together() const { return mode_ <= TOGETHER; }
  // A job begins: time before it does not count.
  void begin() { last_ = Clock::now(); }
  void waited(Clock::duration time) { waited_ += time; }
  // A frame ended.
  void frame(double work) {
    const auto now = Clock::now();
    add(work, now - last_);
    last_ = now;
  }
  // The same, with the time that the frame took.
  void add(double work, Clock::duration time) {
    work_ += work;
    time_ += time;
    if (time_ < WINDOW) return;
    const double speed = work_ / std::chrono::duration<double>(time_).count();
    decide(speed, waited_ * 5 > time_);
    work_ = 0;
    time_ = waited_ = {};
  }

 private:
  static constexpr auto WINDOW = std::chrono::milliseconds(20);
  static constexpr int SHORTEST = 4, LONGEST = 64, CALM = 256;
  enum Mode { COLD, TOGETHER, TRIAL, ALONE };

  void decide(double speed, bool waiting) {
    rest_ -= time_;
    if (mode_ == COLD) {
      mode_ = TOGETHER;
    } else if (mode_ == TOGETHER) {
      if (rest_ > (waiting ? rest_.zero() : -calm_)) return;
      together_ = speed;
      lost_ = time_;
      mode_ = TRIAL;
    } else if (mode_ == TRIAL) {
      const bool better = speed > together_;
      mode_ = better ? ALONE : TOGETHER;
      int &patience = better ? doubt_ : trust_;
      rest_ = patience * (better ? lost_ : time_);
      calm_ = better ? calm_.zero() : CALM * time_;
      patience = smaller(2 * patience, LONGEST);
      (better ? trust_ : doubt_) = SHORTEST;
    } else if (rest_ <= rest_.zero()) {
      mode_ = TOGETHER;
    }
  }
  static int smaller(int a, int b) { return a < b ? a : b; }

  Mode mode_ = COLD;
  int doubt_ = SHORTEST, trust_ = SHORTEST;  // for how many times the slower window the next decision holds
  double together_ = 0, work_ = 0;
  Clock::time_point last_;
  Clock::duration time_{}, waited_{};
  Clock::duration rest_{};  // until the decision may change
  Clock::duration calm_{};  // for so long after that it does where nobody waits
  Clock::duration lost_{};  // what the window before a trial took
};

}  // namespace bptt
