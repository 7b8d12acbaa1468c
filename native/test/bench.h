// Times one training step, operation by operation, on one thread, as a share of the peak of fused (or mul and add)
// arithmetic measured in the same run.   driver --bench B T r s t last|all [SECONDS [ISA ARITHMETIC]]   e.g. 64 128 128
// 512 10 last 3 avx2 fma
#pragma once
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../kernels.h"

#if !defined(__aarch64__)
#include <immintrin.h>
#endif

namespace bptt::test {

// The tables that this machine can run, slowest first.
inline std::vector<const Kernels *> supported() {
#if defined(__aarch64__)
  return {&kernels_neon_fma, &kernels_neon_muladd};
#else
  __builtin_cpu_init();
  std::vector<const Kernels *> list = {&kernels_sse2_muladd};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    list.insert(list.end(), {&kernels_avx2_muladd, &kernels_avx2_fma});
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq")) {
    list.insert(list.end(), {&kernels_avx512_muladd, &kernels_avx512_fma});
  }
  return list;
#endif
}

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// flop/s of independent chains in registers; 0 where this file does not know the instruction set.
#if defined(__aarch64__)
inline double peak(const Kernels &) { return 0; }
#else
#define BPTT_PEAK(NAME, TARGET, VECTOR, CHAINS, STEP)                              \
  __attribute__((target(TARGET), noinline)) inline double NAME() {                 \
    double best = 0;                                                               \
    for (int rep = 0; rep < 6; rep++) {                                            \
      constexpr long N = 1000000;                                                  \
      VECTOR sum[CHAINS], x = VECTOR{} + 1.0000001f, y = VECTOR{} + 1e-9f;         \
      for (int i = 0; i < CHAINS; i++) sum[i] = VECTOR{} + float(i);               \
      const double start = now();                                                  \
      for (long k = 0; k < N; k++) {                                               \
        _Pragma("GCC unroll 24") for (int i = 0; i < CHAINS; i++) sum[i] = STEP;   \
      }                                                                            \
      const double time = now() - start;                                           \
      for (int i = 0; i < CHAINS; i++) asm volatile("" ::"x"(sum[i]));             \
      best = std::max(best, 2.0 * CHAINS * N * double(sizeof(VECTOR) / 4) / time); \
    }                                                                              \
    return best;                                                                   \
  }
BPTT_PEAK(peak_avx512_fma, "avx512f", __m512, 24, _mm512_fmadd_ps(sum[i], x, y))
BPTT_PEAK(peak_avx512_muladd, "avx512f", __m512, 8, (sum[i] + x * y))
BPTT_PEAK(peak_avx2_fma, "avx2,fma", __m256, 12, _mm256_fmadd_ps(sum[i], x, y))
BPTT_PEAK(peak_avx2_muladd, "avx2", __m256, 8, (sum[i] + x * y))
BPTT_PEAK(peak_sse2_muladd, "sse2", __m128, 8, (sum[i] + x * y))

inline double peak(const Kernels &kernels) {
  if (&kernels == &kernels_avx512_fma) return peak_avx512_fma();
  if (&kernels == &kernels_avx512_muladd) return peak_avx512_muladd();
  if (&kernels == &kernels_avx2_fma) return peak_avx2_fma();
  return &kernels == &kernels_avx2_muladd ? peak_avx2_muladd() : peak_sse2_muladd();
}
#endif

// A plan and its memory, built as src/plan/compile.ts would.
class Step {
 public:
  Step(const Kernels &kernels, int B, int T, int r, int s, int t, bool all) : kernels_(kernels) {
    using namespace plan;
    const int R = B * T, rows = all ? ROWS_STEPS : ROWS_BATCH, out = all ? R : B;
    const int matrices = units(s * r) + units(s * s) + units(t * s), parameters = matrices + units(s) + units(t);
    const int p = take(REGION_HOME, parameters), g = take(REGION_HOME, parameters);
    const int U = 0, W = U + units(s * r), V = W + units(s * s), b = matrices, c = b + units(s);
    const auto pack = [&](int N, int K) { return take(REGION_PACK, units(std::max(up(N, 64) * K, up(K, 64) * N))); };
    const int Up = pack(s, r), Wp = pack(s, s), Wq = pack(s, s), Vp = pack(t, s), Vq = pack(t, s);
    const int data = take(REGION_DATA, units(R * r)), y = take(REGION_DATA, units(R)), w = take(REGION_DATA, units(R));
    const auto buffer = [&](int count, int size) { return take(REGION_SCRATCH, count * units(size)); };
    const int x = buffer(R, r), states = buffer(R, s), s0 = buffer(B, s), h = all ? states : buffer(B, s),
              z = buffer(out, t);
    const int loss = take(REGION_SCRATCH, units(out * 4)), d = buffer(R, s), above = all ? d : buffer(B, s);
    emit("pack+upd", 0, OP_PACK, {Up, p + U, s, r, PACK_PROJECT});
    emit("pack+upd", 0, OP_PACK, {Wp, p + W, s, s, PACK_PROJECT});
    emit("pack+upd", 0, OP_PACK, {Wq, p + W, s, s, PACK_PROJECT_DX});
    emit("pack+upd", 0, OP_PACK, {Vp, p + V, t, s, PACK_PROJECT});
    emit("pack+upd", 0, OP_PACK, {Vq, p + V, t, s, PACK_PROJECT_DX});
    emit("pack+upd", 0, OP_ZERO, {g, parameters});
    emit("fetch", 0, OP_FETCH, {x, data, r});
    emit("U.w", 2.0 * R * r * s, OP_PROJECT, {states, x, p + U, Up, p + b, NONE, s, r, ROWS_STEPS});
    emit("fetch", 0, OP_ZERO, {s0, B * units(s)});
    emit("fwd", 2.0 * R * s * s, OP_RECUR, {states, s0, p + W, Wp, s, CELL_TANH});
    if (!all) emit("head", 0, OP_LAST, {h, s0, states, s});
    emit("head", 2.0 * out * s * t, OP_PROJECT, {z, h, p + V, Vp, p + c, NONE, t, s, rows});
    emit("loss", 0, OP_LOSS, {z, z, y, w, loss, t, HEAD_SOFTMAX, rows});
    emit("loss", 0, OP_SUM_LOSS, {loss, rows});
    emit("head", 2.0 * out * s * t, OP_PROJECT_DX, {above, z, p + V, Vq, t, s, rows, 0});
    emit("head", 2.0 * out * s * t, OP_PROJECT_DW, {g + V, z, h, t, s, rows});
    emit("db", 0, OP_BIAS_DW, {g + c, z, t, rows});
    emit("bwd", 2.0 * (R - B) * s * s, OP_RECUR_BACK,
         {d, states, s0, above, all ? ABOVE_STEPS : ABOVE_LAST, p + W, Wq, s, CELL_TANH, NONE, NONE});
    emit("dW", 2.0 * R * s * s, OP_RECUR_DW, {g + W, d, states, s0, s, s});
    emit("dU", 2.0 * R * r * s, OP_PROJECT_DW, {g + U, d, x, s, r, ROWS_STEPS});
    emit("db", 0, OP_BIAS_DW, {g + b, d, s, ROWS_STEPS});
    emit("pack+upd", 0, OP_NORM, {g, parameters});
    emit("pack+upd", 0, OP_CLIP, {0});
    emit("pack+upd", 0, OP_UPDATE, {p, g, NONE, NONE, NONE, parameters, matrices, OPTIMIZER_SGD, 0});

    for (int k = 0; k < REGIONS; k++) {
      region_[k] = static_cast<float *>(std::aligned_alloc(4096, size_t(up(int(size_[k] / 64), 1) * 4096 + 4096)));
      memset(region_[k], 0, size_t(size_[k]) * 64);
    }
    uint32_t word = 12345;
    const auto random = [&] { return float((word = word * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1; };
    for (int j = 0; j < parameters * 16; j++) region_[REGION_HOME][j] = random() / std::sqrt(float(s));
    for (int j = 0; j < R * r; j++) region_[REGION_DATA][j] = random();
    const auto place = [&](int address) {
      return region_[address >> REGION_SHIFT] + int64_t{address & ((1 << REGION_SHIFT) - 1)} * 16;
    };
    for (int j = 0; j < R; j++) {
      reinterpret_cast<int32_t *>(place(y))[j] = int32_t((random() + 1) / 2 * float(t));
      place(w)[j] = 1;
    }
    active_.assign(size_t(T), B);
    for (int i = 0; i <= T; i++) start_.push_back(i * B);
    for (int q = 0; q < B; q++) {
      base_.push_back(q * T);
      last_.push_back((T - 1) * B + q);
    }
    none_.assign(size_t(B), 0);
    scalars_.assign(1 + SCALAR_COUNT, 0);
    scalars_[0] = 1 / float(out);
    scalars_[1 + SCALAR_LR] = 1e-3f;
    workspace_ = static_cast<float *>(std::aligned_alloc(4096, WORKSPACE_BYTES));
    memset(workspace_, 0, WORKSPACE_BYTES);
    context_ = {};
    memcpy(context_.region, region_, sizeof region_);
    context_.T = T, context_.B = B, context_.R = R;
    context_.scalars = scalars_.data(), context_.active = active_.data(), context_.start = start_.data();
    context_.base = context_.tbase = base_.data(), context_.last = last_.data(), context_.from = none_.data();
    context_.constants = &max_norm_, context_.result = result_, context_.workspace = &workspace_,
    context_.stop = &go_on_;
  }

  double run() {
    const double begin = now();
    double before = begin;
    for (Instruction &i : plan_) {
      kernels_.run[i.op](context_, i.args.data(), 0, 1);
      const double after = now();
      i.time = std::min(i.time, after - before);
      before = after;
    }
    return now() - begin;
  }
  void forget() {
    for (Instruction &i : plan_) i.time = 1e9;
  }
  double flops() const {
    double sum = 0;
    for (const Instruction &i : plan_) sum += i.flops;
    return sum;
  }
  double loss() const { return result_[plan::RESULT_LOSS] * double(scalars_[0]); }
  // By name: best time, and its share of the peak, or of the step where it is not arithmetic.
  void print(double peak, double step) const {
    std::vector<std::string> seen;
    for (const Instruction &first : plan_) {
      if (std::count(seen.begin(), seen.end(), first.name)) continue;
      seen.push_back(first.name);
      double time = 0, flops = 0;
      for (const Instruction &i : plan_) {
        if (i.name != first.name) continue;
        time += i.time;
        flops += i.flops;
      }
      std::printf("   %-9s %9.4f ms  %4.1f %% of the step", first.name.c_str(), time * 1e3, 100 * time / step);
      if (flops > 0 && peak > 0) std::printf(", %.0f %% of peak", 100 * flops / time / peak);
      std::printf("\n");
    }
  }

 private:
  struct Instruction {
    std::string name;
    double flops;
    int32_t op;
    std::vector<int32_t> args;
    double time = 1e9;
  };

  static int up(int n, int unit) { return (n + unit - 1) / unit * unit; }
  static int units(int n) { return (n + 15) / 16; }
  int take(int region, int count) {
    const int at = (region << plan::REGION_SHIFT) + int(size_[region]);
    size_[region] += count;
    return at;
  }
  void emit(const char *name, double flops, int32_t op, std::vector<int32_t> args) {
    plan_.push_back({name, flops, op, std::move(args)});
  }

  const Kernels &kernels_;
  std::vector<Instruction> plan_;
  int64_t size_[plan::REGIONS] = {};
  float *region_[plan::REGIONS], *workspace_;
  std::vector<int32_t> active_, start_, base_, last_, none_;
  std::vector<float> scalars_;
  double result_[plan::RESULT_FIELDS] = {0, 0, 0, 0, 1};
  const double max_norm_ = 1e9;
  const int32_t go_on_ = 0;
  Context context_;
};

inline int bench(int argc, char **argv) {
  if (argc < 6) {
    std::printf("--bench B T r s t last|all [SECONDS [ISA ARITHMETIC]]\n");
    return 1;
  }
  int n[5];
  for (int i = 0; i < 5; i++) n[i] = std::atoi(argv[i]);
  const bool all = argv[5] == std::string("all");
  const double seconds = argc > 6 ? std::atof(argv[6]) : 2;
  const Kernels *kernels = supported().back();
  for (const Kernels *k : supported()) {
    if (argc > 8 && k->isa == std::string(argv[7]) && k->arithmetic == std::string(argv[8])) kernels = k;
  }
  Step step(*kernels, n[0], n[1], n[2], n[3], n[4], all);
  step.run();
  step.run();
  step.forget();
  const double top = peak(*kernels);
  double best = 1e9, sum = 0;
  int steps = 0;
  while (sum < seconds || steps < 3) {
    const double time = step.run();
    best = std::min(best, time);
    sum += time;
    steps++;
  }
  std::printf(
      "%s %s B%d T%d r%d s%d t%d %s: best %.4f ms, mean %.4f, %.1f GF/s of %.1f = %.1f %%, loss %.6f, %d steps\n",
      kernels->isa, kernels->arithmetic, n[0], n[1], n[2], n[3], n[4], argv[5], best * 1e3, sum / steps * 1e3,
      step.flops() / best / 1e9, top / 1e9, top > 0 ? 100 * step.flops() / best / top : 0, step.loss(), steps);
  step.print(top, best);
  return 0;
}

}  // namespace bptt::test
