#pragma once
#include <algorithm>
#include <vector>
#include "../kernels.h"
namespace bptt::test {
inline std::vector<const Kernels *> supported() {
#if defined(__aarch64__)
  return {&kernels_neon_fma, &kernels_neon_muladd};
#else
  __builtin_cpu_init();
  std::vector<const Kernels *> list = {&kernels_sse2_muladd};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    list.insert(list.end(), {&kernels_avx2_fma, &kernels_avx2_muladd});
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq"))
    list.insert(list.end(), {&kernels_avx512_fma, &kernels_avx512_muladd});
  return list;
#endif
}
inline int bench(int, char **) { return 0; }
}  // namespace bptt::test
