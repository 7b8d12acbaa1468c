// The judge, on machines that are simulated.
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "../addon/judge.h"
#include "check.h"

namespace bptt::test {

// A machine on which work goes so fast with all threads, which then wait for a part of the time, and so fast with one.
struct Machine {
  double together, alone, waiting;
};

// What a judge made of some seconds on machines that may change.
struct Course {
  double work = 0;
  std::string modes;  // T together, A alone: one letter for each window
};

static Course follow(Judge &judge, double seconds, double frame, const std::function<Machine(double)> &at) {
  constexpr Clock::duration WINDOW = std::chrono::milliseconds(20);
  const auto duration = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  Course course;
  Clock::duration now{}, window{};
  while (now < duration(seconds)) {
    const Machine machine = at(std::chrono::duration<double>(now).count());
    const bool together = judge.together();
    const Clock::duration time = duration(frame / (together ? machine.together : machine.alone));
    if (together) judge.waited(duration(machine.waiting * std::chrono::duration<double>(time).count()));
    judge.add(frame, time);
    course.work += frame;
    now += time;
    window += time;
    if (window < WINDOW) continue;
    course.modes += together ? 'T' : 'A';
    window = {};
  }
  return course;
}

// The lengths of the runs of one letter.
static std::vector<int> runs(const std::string &modes, char letter) {
  std::vector<int> lengths;
  for (size_t i = 0; i < modes.size(); i++) {
    if (modes[i] != letter) continue;
    if (i == 0 || modes[i - 1] != letter) lengths.push_back(0);
    lengths.back()++;
  }
  return lengths;
}

static void check_judge() {
  constexpr double FRAME = 0.001;  // of work, at speed 1 seconds
  const auto always = [](Machine machine) { return [machine](double) { return machine; }; };
  {
    Judge judge;
    const Course course = follow(judge, 20, FRAME, always({1.9, 1, 0.1}));
    check(course.work > 20 * 1.9 * 0.995, "judge: a good pair did %.4f of its best", course.work / 38);
    for (const int alone : runs(course.modes, 'A'))
      check(alone == 1, "judge: a good pair worked alone for %d windows", alone);
  }
  {
    Judge judge;
    const Course course = follow(judge, 20, FRAME, always({1.4, 1, 0.3}));
    check(course.work > 20 * 1.4 * 0.97, "judge: a pair that waits but gains did %.3f of its best", course.work / 28);
  }
  for (const double frame : {FRAME / 100, FRAME, 0.1}) {
    for (const Machine machine :
         {Machine{0.2, 1, 0.8}, {0.5, 1, 0.5}, {0.9, 1, 0.3}, {0.99, 1, 0.25}, {0.9, 1, 0}, {0.5, 1, 0.1}}) {
      Judge judge;
      const double seconds = 20 + 300 * frame;
      const Course course = follow(judge, seconds, frame, always(machine));
      check(course.work > 0.95 * seconds, "judge: a pair at %g in frames of %g did %.3f of what one does",
            machine.together, frame, course.work / seconds);
    }
  }
  {
    Judge judge;
    const Course course = follow(judge, 20, FRAME, always({0.5, 1, 0.5}));
    std::vector<int> alone = runs(course.modes, 'A');
    bool doubles = alone.size() > 8;
    // The trial is a window more.
    for (size_t i = 0; doubles && i + 1 < alone.size(); i++) doubles = alone[i] == 1 + std::min(64, 4 << i);
    check(doubles, "judge: patience does not double up to 64 windows: %s", course.modes.c_str());
    // The first, which is not judged, is one more.
    for (const int together : runs(course.modes.substr(1), 'T'))
      check(together == 1, "judge: a bad pair went on for %d windows", together);
  }
  {
    // While memory is new, all is slow.
    Judge judge;
    const Course course =
        follow(judge, 1, FRAME, [](double now) { return now < 0.02 ? Machine{0.5, 0.5, 0.6} : Machine{1.9, 1, 0.05}; });
    check(course.modes.starts_with("TTATTTT"), "judge: took a cold start for a bad pair: %s", course.modes.c_str());
  }
  {
    // Others come after five seconds and go after fifteen.
    Judge judge;
    const Machine good{1.9, 1, 0.05}, bad{0.5, 1, 0.5};
    const Course course = follow(judge, 20, FRAME, [&](double now) { return now > 5 && now < 15 ? bad : good; });
    const double best = 10 * 1.9 + 10;
    check(course.work > 0.95 * best, "judge: did %.3f of what is best on a changing machine", course.work / best);
    check(course.modes.ends_with(std::string(50, 'T')), "judge: did not come back: %s", course.modes.c_str());
  }
  {
    // It gets worse little by little.
    Judge judge;
    const auto at = [](double now) {
      const double load = now / 40;
      return Machine{1.9 - 1.5 * load, 1, 0.05 + 0.6 * load};
    };
    const Course course = follow(judge, 40, FRAME, at);
    double best = 0;
    for (int i = 0; i < 40; i++) best += std::max(1.0, at(i + 0.5).together);
    check(course.work > 0.95 * best, "judge: did %.3f of what is best while load grows", course.work / best);
  }
  {
    // From window to window it is another machine; to know better would be to know the future.
    Judge judge;
    uint32_t state = 1;
    const auto random = [&] { return (state = state * 1664525u + 1013904223u) / 4294967296.0; };
    double until = 0;
    Machine machine{};
    const Course course = follow(judge, 60, FRAME, [&](double now) {
      if (now >= until) {
        until = now + 0.02;
        const double speed = 0.3 + 0.6 * random();
        machine = {speed, 1, 0.6 - 0.4 * speed};
      }
      return machine;
    });
    check(course.work > 0.95 * 60, "judge: did %.3f of what one does on a restless machine", course.work / 60);
  }
}

}  // namespace bptt::test
