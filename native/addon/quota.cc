// Reads the affinity of the process and the quotas of its cgroups, version 2 (cpu.max) and 1 (cpu.cfs_quota_us).
#include "quota.h"

#include <cstdio>
#include <cstring>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace bptt {
namespace {

constexpr int MOST = 256;

constexpr size_t PATH = 4096;

// Reads up to two numbers from a file, and says how many there were.
int read(const char *group, const char *name, double *one, double *two) {
  char path[PATH];
  if (static_cast<size_t>(std::snprintf(path, sizeof path, "%s/%s", group, name)) >= sizeof path) return 0;
  FILE *const file = std::fopen(path, "re");
  if (!file) return 0;
  const int count = std::fscanf(file, "%lf %lf", one, two);
  std::fclose(file);
  return count;
}

// What one cgroup allows: cpu.max is "limit period" or "max period"; in version 1 each has a file, −1 for no limit.
int quota_of(const char *group) {
  double limit = 0, period = 0, none;
  const bool given =
      read(group, "cpu.max", &limit, &period) == 2 ||
      (read(group, "cpu.cfs_quota_us", &limit, &none) == 1 && read(group, "cpu.cfs_period_us", &period, &none) == 1);
  if (!given || !(limit > 0 && period > 0 && limit < MOST * period)) return MOST;
  const int whole = static_cast<int>((limit + period - 1) / period);
  return whole < 1 ? 1 : whole;
}

}  // namespace

int quota(const char *root) {
  int least = MOST;
  const auto examine = [&](const char *mount, const char *path) {
    char group[PATH];
    if (static_cast<size_t>(std::snprintf(group, sizeof group, "%s/sys/fs/cgroup%s%s", root, mount, path)) >=
        sizeof group)
      return;
    const int allowed = quota_of(group);
    if (allowed < least) least = allowed;
  };
  examine("", "");  // all there is to see in a container
  char line[PATH];
  std::snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
  FILE *const groups = std::fopen(line, "re");
  if (!groups) return least;
  // "number:controllers:path"; version 2 has no controllers. Every group above limits, too.
  while (std::fgets(line, sizeof line, groups)) {
    char *const controllers = std::strchr(line, ':'), *const path =
                                                          controllers ? std::strchr(controllers + 1, ':') : nullptr;
    if (!path) continue;
    bool ours = path == controllers + 1;
    for (const char *name : {":cpu:", ":cpu,", ",cpu:", ",cpu,"}) ours |= std::strstr(controllers, name) != nullptr;
    if (!ours) continue;
    path[std::strcspn(path, "\n")] = 0;
    for (const char *mount : {"", "/unified", "/cpu", "/cpu,cpuacct"}) {
      char group[PATH];
      std::strcpy(group, path + 1);
      for (char *end; (end = std::strrchr(group, '/')); *end = 0) examine(mount, group);
      examine(mount, "");
    }
  }
  std::fclose(groups);
  return least;
}

int available_threads() {
  static const int once = [] {
    int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
    const int allowed = quota("");
    if (allowed < count) count = allowed;
#endif
    return count < 1 ? 1 : count > MOST ? MOST : count;
  }();
  return once;
}

}  // namespace bptt
