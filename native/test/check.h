// What the checks of threads.cc count by.
#pragma once
#include <cstdio>

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

}  // namespace bptt::test
