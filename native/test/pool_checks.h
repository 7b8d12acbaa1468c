// The pool, with operations that only count.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "../addon/judge.h"
#include "../addon/pool.h"
#include "check.h"

namespace bptt::test {

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
