// Checks every operation of every table of kernels that this machine can run against test/scalar.h, to the last bit:
// random ragged batches, sizes on both sides of every vector width, one to three parts, and memory beside the results
// untouched. Then how far tanh and sigmoid are from the truth. Built and started by run.mjs.   driver [--cases N]
// [--seed N]
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../kernels.h"
#include "bench.h"
#include "fused_checks.h"
#include "push.h"
#include "scalar.h"

namespace bptt::test {

static bool check(const Kernels &kernels, const Case &c, int parts, bool meeting = false) {
  Memory expected(c), actual(c);
  const Context e = context(c, expected), a = context(c, actual);
  prepare(kernels, c, a, parts);
  if (kernels.arithmetic == std::string("fma"))
    Scalar<true>::run(c.op, e, c.args.data());
  else
    Scalar<false>::run(c.op, e, c.args.data());
  if (meeting)
    run_meeting(kernels.run[c.op], a, c.args, parts);
  else
    run(kernels, c.op, a, c.args, parts);
  std::vector<char> free_[plan::REGIONS];  // padding of results
  for (int r = 0; r < plan::REGIONS; r++) free_[r].resize(c.region[r].size(), r == plan::REGION_PACK);
  for (const Area &area : c.areas) {
    for (int64_t r = 0; area.output && r < area.rows; r++) {
      for (int64_t j = area.columns; j < area.ld; j++) free_[area.region][size_t(area.unit * 16 + r * area.ld + j)] = 1;
    }
  }
  for (int i = 0; i < plan::RESULT_FIELDS; i++) {
    if (!same(e.result[i], a.result[i])) {
      std::printf("result[%d]: expected %.17g, got %.17g\n", i, e.result[i], a.result[i]);
      return false;
    }
  }
  const bool pairs = c.op == plan::OP_LOSS || c.op == plan::OP_STEP_NORMS;  // results in float64
  for (int r = 0; r < plan::REGIONS; r++) {
    for (size_t j = 0; j < c.region[r].size(); j++) {
      if (free_[r][j] || same(expected.region[r][j], actual.region[r][j])) continue;
      if (pairs && same(reinterpret_cast<double *>(expected.region[r])[j / 2],
                        reinterpret_cast<double *>(actual.region[r])[j / 2]))
        continue;
      std::printf("region %d float %zu: expected %.9g, got %.9g\n", r, j, double(expected.region[r][j]),
                  double(actual.region[r][j]));
      return false;
    }
  }
  return true;
}

static bool polls(int32_t op) {
  using namespace plan;
  return op == OP_PROJECT || op == OP_PROJECT_DX || op == OP_PROJECT_DW || op == OP_RECUR || op == OP_RECUR_DW;
}

// Told to stop, a product leaves its result as it was.
static bool check_stop(const Kernels &kernels, const Case &c) {
  Memory before(c), after(c);
  const int32_t told = 1;
  Context x = context(c, after);
  prepare(kernels, c, x, 1);
  x.stop = &told;
  run(kernels, c.op, x, c.args, 1);
  for (const Area &area : c.areas) {
    const size_t from = size_t(area.unit) * 16, floats = size_t(area.rows * area.ld);
    if (memcmp(before.region[area.region] + from, after.region[area.region] + from, area.output ? 4 * floats : 0) != 0)
      return false;
  }
  return true;
}

static double ulp(double x) { return std::ldexp(1, std::max(std::ilogb(x), -126) - 23); }

// tanh through RECUR and sigmoid through ACTIVATE, over every `step`-th float32.
static bool accuracy(const Kernels &kernels, uint32_t step) {
  using namespace plan;
  constexpr int64_t S = 16, B = 4096;
  Case c;
  c.op = OP_RECUR;
  c.T = 1, c.B = c.R = B;
  c.active = {int32_t(B)}, c.start = {0, int32_t(B)};
  c.args = {c.rows(B, S, true), c.rows(B, S), c.dense(S * S), c.packed(S, S), S, CELL_TANH};
  double worst = 0, off[2] = {};
  bool ok = true;
  for (uint64_t first = 0; first < 1ull << 32;) {
    Memory memory(c);
    const Context x = context(c, memory);
    for (int64_t j = 0; j < S * S; j++) at(x, c.args[2])[j] = -0.0f;  // x + 0·(−0) is x, even −0
    for (int64_t j = 0; j < B * S; j++) at(x, c.args[1])[j] = 0;
    float *s = at(x, c.args[0]);
    std::vector<float> in(S * B);
    for (float &value : in) {
      const uint32_t word = uint32_t(first);
      memcpy(&value, &word, 4);
      first += step;
    }
    prepare(kernels, c, x, 1);
    for (int f = 0; f < 2; f++) {
      memcpy(s, in.data(), in.size() * 4);
      if (f == 0)
        run(kernels, OP_RECUR, x, c.args, 1);
      else
        run(kernels, OP_ACTIVATE, x, {c.args[0], c.args[0], S, HEAD_SIGMOID, ROWS_BATCH}, 1);
      for (size_t j = 0; j < in.size(); j++) {
        const float y = s[j], v = in[j];
        if (v != v) {
          ok &= y != y;
          continue;
        }
        const double truth = f == 0 ? std::tanh(double{v}) : 1 / (1 + std::exp(-double{v})),
                     error = std::fabs(y - truth);
        ok &= f == 0 ? std::fabs(y) <= 1 && std::signbit(y) == std::signbit(v) : y >= 0 && y <= 1;
        off[f] = std::max(off[f], error);
        if (std::fabs(v) > 1e-34 && f == 0) worst = std::max(worst, error / ulp(truth));
      }
    }
  }
  std::printf("%s %s: tanh within %.3g (%.2f ulp), sigmoid within %.3g%s\n", kernels.isa, kernels.arithmetic, off[0],
              worst, off[1], ok ? "" : "; range, sign or NaN WRONG");
  return ok && off[0] < 5e-7 && off[1] < 5e-7;
}

static int main(int argc, char **argv) {
  int cases = 30;
  uint64_t from = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (argv[i] == std::string("--cases")) cases = std::atoi(argv[i + 1]);
    if (argv[i] == std::string("--seed")) from = uint64_t(std::atoll(argv[i + 1]));
  }
  for (float *&p : workspaces) p = static_cast<float *>(std::aligned_alloc(64, WORKSPACE_BYTES));
  int64_t done = 0, failed = 0;
  for (const Kernels *kernels : supported()) {
    for (int32_t op = 1; op <= plan::OPERATIONS; op++) {
      if (op == plan::OP_PACK || !kernels->run[op]) continue;
      for (int i = 0; i < cases; i++) {
        seed = (from * 1000 + uint64_t(op)) * 100000 + uint64_t(i);
        bits();
        const Case c = random_case(op);
        if (polls(op) && !check_stop(*kernels, c)) {
          std::printf("%s %s op %d case %d goes on when told to stop\n", kernels->isa, kernels->arithmetic, op, i);
          failed++;
        }
        for (int parts = 1; parts <= 3; parts++) {
          done++;
          const bool loop = op == plan::OP_RECUR || op == plan::OP_RECUR_BACK;
          if (check(*kernels, c, parts) && (!loop || check(*kernels, c, parts, true))) continue;
          std::printf("%s %s op %d case %d parts %d: T=%d B=%d R=%d args", kernels->isa, kernels->arithmetic, op, i,
                      parts, c.T, c.B, c.R);
          for (int32_t a : c.args) std::printf(" %d", a);
          std::printf("\n");
          if (++failed > 20) return 1;
        }
      }
    }
    for (int i = 0; i < cases; i++, done++) {
      seed = from * 100000000 + uint64_t(i);
      const bool step = check_step(*kernels);
      if (step && check_project_recur(*kernels)) continue;
      std::printf("%s %s %s case %d\n", kernels->isa, kernels->arithmetic, step ? "project_recur" : "step", i);
      failed++;
    }
    failed += !accuracy(*kernels, cases >= 30 ? 1021 : 65521);
  }
  std::printf("%" PRId64 " checks, %" PRId64 " failed:", done, failed);
  for (const Kernels *kernels : supported()) std::printf(" %s/%s", kernels->isa, kernels->arithmetic);
  std::printf("\n");
  return failed > 0;
}

}  // namespace bptt::test

int main(int argc, char **argv) {
  if (argc > 1 && argv[1] == std::string("--bench")) return bptt::test::bench(argc - 2, argv + 2);
  if (argc > 1 && argv[1] == std::string("--push")) return bptt::test::push(argc - 2, argv + 2);
  return bptt::test::main(argc, argv);
}
