// The quota of a process, from made-up files.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "../addon/quota.h"
#include "check.h"

namespace bptt::test {

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

}  // namespace bptt::test
