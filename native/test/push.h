// Times the kernel that a stream's push comes down to (kernels/step.h), alone and on one thread: steps that wait for
// each other's state only, and steps whose input is the output before, as long as the way from one to the other is.
//   driver --push r s t [ISA ARITHMETIC]   e.g. 16 32 4
#pragma once
#include <memory>

#include "bench.h"

namespace bptt::test {

inline double time_push(const Kernels &kernels, int r, int s, int t, bool waiting) {
  constexpr int TIMES = 2000;
  struct Free {
    void operator()(float *p) const { std::free(p); }
  };
  std::vector<std::unique_ptr<float, Free>> memory;
  const auto up = [](int n, int unit) { return (n + unit - 1) / unit * unit; };
  auto random = [&, word = 12345u](int n, float size) mutable {
    memory.emplace_back(static_cast<float *>(std::aligned_alloc(64, size_t(up(n, 16)) * 4)));
    for (int j = 0; j < up(n, 16); j++)
      memory.back().get()[j] = size * (float((word = word * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1);
    return memory.back().get();
  };
  // Packed matrices: whole panels of the widest vectors.
  const float *const U = random(up(s, 32) * r, 1), *const W = random(up(s, 32) * s, 1 / std::sqrt(float(s))),
                     *const V = random(up(t, 32) * s, 1), *const b = random(s, 1), *const c = random(t, 1);
  const LayerStep layer{U, W, b, nullptr, random(s, 1), r, s, plan::CELL_TANH};
  NetStep net{&layer, 1, false, V, c, t, plan::HEAD_SOFTMAX, random(up(std::max(s, t), 16) + 16, 1)};
  float *const w = random(r, 1), *const o = random(t, 1);
  double best = 1e9;
  for (int round = 0; round < 200; round++) {
    const double begin = now();
    for (int i = 0; i < TIMES; i++) {
      kernels.step(net, w, o);
      if (waiting) w[0] = o[0];
    }
    best = std::min(best, (now() - begin) / TIMES);
  }
  return best;
}

inline int push(int argc, char **argv) {
  if (argc < 3) {
    std::printf("--push r s t [ISA ARITHMETIC]\n");
    return 1;
  }
  const int r = std::atoi(argv[0]), s = std::atoi(argv[1]), t = std::atoi(argv[2]);
  const Kernels *kernels = supported().back();
  for (const Kernels *k : supported()) {
    if (argc > 4 && k->isa == std::string(argv[3]) && k->arithmetic == std::string(argv[4])) kernels = k;
  }
  std::printf("%s %s r%d s%d t%d: a step each %.0f ns, from input to output %.0f ns\n", kernels->isa,
              kernels->arithmetic, r, s, t, time_push(*kernels, r, s, t, false) * 1e9,
              time_push(*kernels, r, s, t, true) * 1e9);
  return 0;
}

}  // namespace bptt::test
