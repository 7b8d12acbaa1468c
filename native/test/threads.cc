// Checks what decides on threads and what runs them, without Node: the quota of a process, the judge and the pool.
// Built and started by run.mjs. threads [--no-fork]: neither qemu nor the sanitizer of races follows a process with
// threads into its child
#include <string>

#include "judge_checks.h"
#include "pool_checks.h"
#include "quota_checks.h"

int main(int argc, char **argv) {
  bptt::test::check_quotas();
  bptt::test::check_judge();
  bptt::test::check_pool(argc < 2 || argv[1] != std::string("--no-fork"));
  std::printf("%d checks of quota, judge and pool, %d failed\n", bptt::test::checks, bptt::test::failures);
  return bptt::test::failures > 0;
}
