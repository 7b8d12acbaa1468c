// Checks what decides on threads and what runs them, without Node: the quota of a process (from made-up files), the
// judge (on machines that are simulated) and the pool (with operations that only count). Built and started by run.mjs.
// threads [--no-fork]: neither qemu nor the sanitizer of races follows a process with threads into its child
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "../addon/judge.h"
#include "../addon/pool.h"
#include "../addon/quota.h"

namespace bptt::test {

static int checks = 0, failures = 0;

template <class... Values>
static void check(bool right, const char *format, Values... values) {
  checks++;
  if (right) return;
  failures++;
  std::printf(format, values...);
  std::printf("\n");
}

// ---- quota ----

struct File {
  std::string path, text;
};

static int quota_with(const std::vector<File> &files) {
  namespace fs = std::filesystem;
  std::string name = (fs::temp_directory_path() / "bptt-quota-XXXXXX").string();
  if (!mkdtemp(name.data())) throw std::runtime_error("no folder " + name);
  const fs::path root = name;
  for (const auto &[path, text] : files) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  const int allowed = quota(root.c_str());
  fs::remove_all(root);
  return allowed;
}

static void check_quotas() {
  constexpr int NONE = 256;
  const std::string groups = "proc/self/cgroup", top = "sys/fs/cgroup";
  const auto v2 = [&](const std::string &limit) { return quota_with({{top + "/cpu.max", limit}}); };
  const auto v1 = [&](const std::string &limit, const std::string &period = "100000\n") {
    return quota_with({{groups, "3:memory:/no\n7:cpu,cpuacct:/docker/x\n"},
                       {top + "/cpu,cpuacct/docker/x/cpu.cfs_quota_us", limit},
                       {top + "/cpu,cpuacct/docker/x/cpu.cfs_period_us", period}});
  };
  struct {
    const char *what;
    int got, expected;
  } const cases[] = {
      {"no files", quota_with({}), NONE},
      {"max", v2("max 100000\n"), NONE},
      {"a half", v2("50000 100000\n"), 1},
      {"one", v2("100000 100000\n"), 1},
      {"a little more than one", v2("100001 100000\n"), 2},
      {"two and a half", v2("125000 50000"), 3},
      {"more than anybody has", v2("99999999999999999999 1\n"), NONE},
      {"nothing", v2(""), NONE},
      {"words", v2("as much as you like\n"), NONE},
      {"half of it", v2("100000\n"), NONE},
      {"less than nothing", v2("-100000 100000\n"), NONE},
      {"no time at all", v2("0 100000\n"), NONE},
      {"periods of no time", v2("100000 0\n"), NONE},
      {"no numbers", v2("nan nan\n"), NONE},
      {"infinitely many", v2("inf 100000\n"), NONE},
      {"version 1", v1("250000\n"), 3},
      {"version 1 without a limit", v1("-1\n"), NONE},
      {"version 1 without a period", v1("250000\n", ""), NONE},
      {"groups in groups: the least of them",
       quota_with({{groups, "0::/a/b/c\n"},
                   {top + "/a/cpu.max", "300000 100000\n"},
                   {top + "/a/b/cpu.max", "200000 100000\n"},
                   {top + "/a/b/c/cpu.max", "max 100000\n"},
                   {top + "/a/b/c/d/cpu.max", "100000 100000\n"},
                   {top + "/e/cpu.max", "100000 100000\n"}}),
       2},
      {"both versions",
       quota_with({{groups, "4:cpu:/one\n0::/two\n"},
                   {top + "/cpu/one/cpu.cfs_quota_us", "400000\n"},
                   {top + "/cpu/one/cpu.cfs_period_us", "100000\n"},
                   {top + "/unified/two/cpu.max", "300000 100000\n"}}),
       3},
      {"a group of other controllers",
       quota_with({{groups, "4:memory,cpuset:/a\n5:cpuacct:/a\n"}, {top + "/a/cpu.max", "100000 100000\n"}}), NONE},
      {"a line that is no group",
       quota_with({{groups, "\n:\nnothing\n" + std::string(10000, 'x') + "\n0::/a\n"},
                   {top + "/a/cpu.max", "100000 100000\n"}}),
       1},
      {"a path that nobody can open",
       quota_with({{groups, "0::/" + std::string(4000, 'a') + "/b\n"}, {top + "/cpu.max", "200000 100000\n"}}), 2},
  };
  for (const auto &[what, got, expected] : cases)
    check(got == expected, "quota, %s: %d processors instead of %d", what, got, expected);
  const int here = available_threads();
  check(here >= 1 && here <= NONE, "%d threads are available", here);
}

// ---- judge ----

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
    const Course course = follow(judge, 10, FRAME, always({1.9, 1, 0.1}));
    check(course.modes.find('A') == std::string::npos, "judge: a good pair worked alone: %s", course.modes.c_str());
  }
  {
    Judge judge;
    const Course course = follow(judge, 20, FRAME, always({1.4, 1, 0.3}));
    check(course.work > 20 * 1.4 * 0.97, "judge: a pair that waits but gains did %.3f of its best", course.work / 28);
  }
  for (const double frame : {FRAME / 100, FRAME, 0.1}) {
    for (const Machine machine : {Machine{0.2, 1, 0.8}, {0.5, 1, 0.5}, {0.9, 1, 0.3}, {0.99, 1, 0.25}}) {
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
    for (const int together : runs(course.modes, 'T'))
      check(together == 1, "judge: a bad pair went on for %d windows", together);
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

// ---- pool ----

// Counts how often each share was done: region 0 has one int for each. Plain ones: operations must not overlap.
static void count(const Context &context, const int32_t *args, int part, int parts) {
  int32_t *const counts = reinterpret_cast<int32_t *>(context.region[0]);
  if (args[0] != parts) std::abort();
  counts[part] += args[1];
}
// The same, slowly, so that everybody gets a share.
static void count_slowly(const Context &context, const int32_t *args, int part, int parts) {
  std::this_thread::sleep_for(std::chrono::microseconds(200));
  count(context, args, part, parts);
}
// Adds up what the operation before left: sees all of it.
static void spread(const Context &context, const int32_t *args, int part, int parts) {
  const int32_t *const from = reinterpret_cast<int32_t *>(context.region[args[0]]);
  int32_t sum = 1;
  for (int i = 0; i < parts; i++) sum += from[i];
  reinterpret_cast<int32_t *>(context.region[1 - args[0]])[part] = sum % 1000;
}

// Each part adds up, step by step, what all left at the step before; they take turns with two rows of results.
static void spread_and_meet(const Context &context, const int32_t *args, int part, int parts) {
  for (int32_t n = 0; n < args[0]; n++) {
    if (n > 0) context.meet(part, parts, n);
    if (args[1] == part && args[2] == n) break;  // gives up
    const int32_t from = n % 2;
    spread(context, &from, part, parts);
  }
  context.meet(part, parts, LEFT);
}

static Context context_of(std::vector<int32_t> &one, std::vector<int32_t> &two) {
  Context context{};
  context.region[0] = reinterpret_cast<float *>(one.data());
  context.region[1] = reinterpret_cast<float *>(two.data());
  return context;
}

// So many operations by a team, counted; says whether each share of each was done once.
static bool does_all(Team &team, Operation operation, int operations) {
  std::vector<int32_t> counts(MAX_THREADS), none(MAX_THREADS);
  const Context context = context_of(counts, none);
  int32_t sum = 0;
  for (int n = 1; n <= operations; n++) {
    const int32_t args[] = {team.shares(), n % 10};
    sum += args[1];
    team.run(operation, context, args);
  }
  for (int part = 0; part < MAX_THREADS; part++)
    if (counts[static_cast<size_t>(part)] != (part < team.shares() ? sum : 0)) return false;
  return true;
}

#if defined(__linux__)
static int threads_here() {
  int count = 0;
  for ([[maybe_unused]] const auto &each : std::filesystem::directory_iterator("/proc/self/task")) count++;
  return count;
}
#endif

static void check_pool(bool forks) {
  constexpr int SIZES[] = {2, 3, 5, 1, 8, 2};
  retain_pool();
  // Grown and shrunk again, with as many shares as threads and more and fewer.
  for (const int threads : SIZES) {
    for (const int shares : {1, 2, 3, 4, 7, 8, 31, 63, 64}) {
      Judge judge;
      Team team(shares, judge, threads);
      const bool several = shares > 1 && threads > 1;
      check(team.together() == several, "pool: %d shares, %d threads: %s", shares, threads,
            several ? "alone" : "together");
      if (!several) continue;
      check(does_all(team, count, 100), "pool: %d shares, %d threads", shares, threads);
      check(does_all(team, count_slowly, 2), "pool: %d shares, %d threads, slowly", shares, threads);
    }
  }
  // After another without a pause, each of what the one before made.
  for (const int threads : {2, 3}) {
    Judge judge;
    Team team(3, judge, threads);
    std::vector<int32_t> one(MAX_THREADS), two(MAX_THREADS);
    const Context context = context_of(one, two);
    int32_t expected = 0;
    for (int32_t n = 0; n < 20000; n++) {
      expected = (1 + 3 * expected) % 1000;
      const int32_t from = n % 2;
      team.run(spread, context, &from);
    }
    check(one[0] == expected && one[1] == expected && one[2] == expected, "pool: %d threads saw old results", threads);
  }
  // Parts that meet on the way, several operations one after the other, as many parts as threads or fewer.
  for (const int threads : {2, 3, 5}) {
    for (const int most : {2, 3, 64}) {
      Judge judge;
      Team team(8, judge, threads);
      const int parts = std::min(threads, most);
      for (int n = 0; n < 20; n++) {
        std::vector<int32_t> one(MAX_THREADS), two(MAX_THREADS);
        const int32_t args[] = {100, -1, 0}, early[] = {100, n % parts, n};
        const Context context = context_of(one, two);
        team.run_meeting(spread_and_meet, context, args, most);
        int32_t expected = 0;
        for (int i = 0; i < 100; i++) expected = (1 + parts * expected) % 1000;
        bool right = true;
        for (int i = 0; i < parts; i++) right &= one[static_cast<size_t>(i)] == expected;
        check(right, "pool: %d parts that meet saw old results", parts);
        if (!forks) continue;  // the others then race
        // What comes of the others where one gives up is left open; that they end is not.
        team.run_meeting(spread_and_meet, context, early, most);
      }
      check(does_all(team, count, 10), "pool: %d threads after meeting", threads);
    }
  }
  // Workers that have gone to sleep, some or all of them.
  {
    Judge judge;
    Team team(4, judge, 4);
    for (int n = 0; n < 20; n++) {
      std::this_thread::sleep_for(std::chrono::microseconds(100 * n));
      check(does_all(team, count, 3), "pool: after a pause of %d µs", 100 * n);
    }
  }
  // One at a time has the workers.
  {
    Judge judge;
    Team first(2, judge, 2);
    {
      Team second(2, judge, 2);
      check(first.together() && !second.together(), "pool: two teams have the workers");
    }
    check(does_all(first, count, 10), "pool: the first team after the second");
  }
  {
    std::vector<std::thread> jobs;
    std::vector<int> right(4);
    for (size_t j = 0; j < right.size(); j++) {
      jobs.emplace_back([&, j] {
        right[j] = 1;
        for (int n = 0; n < 200; n++) {
          Judge judge;
          Team team(3, judge, 3);
          if (team.together() && !does_all(team, count, 10)) right[j] = 0;
        }
      });
    }
    for (std::thread &job : jobs) job.join();
    for (const int each : right) check(each != 0, "pool: teams of several threads got in each other's way");
  }
  if (forks) {
    Judge judge;
    Team team(2, judge, 2);  // the child has neither its workers nor its end
    const pid_t child = fork();
    if (child == 0) {
      Team own(2, judge, 2);
      _exit(own.together() && does_all(own, count, 100) ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "pool: a child that was forked ended with %d", status);
    check(does_all(team, count, 100), "pool: its parent");
  }
  // The workers end with the last environment.
  retain_pool();
  release_pool();
#if defined(__linux__)
  const int before = threads_here();
  check(before > 4, "pool: %d threads before the end", before);
  release_pool();
  const int after = threads_here();
  check(after < before - 4, "pool: %d threads after the end, %d before", after, before);
#else
  release_pool();
#endif
  retain_pool();
  {
    Judge judge;
    Team team(2, judge, 2);
    check(team.together() && does_all(team, count, 100), "pool: a second life");
  }
  release_pool();
}

}  // namespace bptt::test

int main(int argc, char **argv) {
  bptt::test::check_quotas();
  bptt::test::check_judge();
  bptt::test::check_pool(argc < 2 || argv[1] != std::string("--no-fork"));
  std::printf("%d checks of quota, judge and pool, %d failed\n", bptt::test::checks, bptt::test::failures);
  return bptt::test::failures > 0;
}
