// Checks every operation of every table of kernels that this machine can run against test/scalar.h, to the last bit:
// random ragged batches, sizes on both sides of every vector width, one to three parts, and memory beside the results
// untouched. Then how far tanh and sigmoid are from the truth. Built and started by run.mjs.   driver [--cases N]
// [--seed N]
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "../kernels.h"
#include "bench.h"
#include "cases.h"
#include "push.h"
#include "scalar.h"

namespace bptt::test {

// 64-byte aligned copies of the regions of a case, exactly as long, so that a sanitizer sees every step outside.
struct Memory {
  float *region[plan::REGIONS];
  double result[plan::RESULT_FIELDS];
  explicit Memory(const Case &c) {
    for (int r = 0; r < plan::REGIONS; r++) {
      region[r] = static_cast<float *>(std::aligned_alloc(64, c.region[r].size() * 4 + 64 * c.region[r].empty()));
      if (!c.region[r].empty()) memcpy(region[r], c.region[r].data(), c.region[r].size() * 4);
    }
    memcpy(result, c.result, sizeof result);
  }
  ~Memory() {
    for (float *p : region) std::free(p);
  }
  Memory(const Memory &) = delete;
};

static float *workspaces[3];
static const int32_t go_on = 0;

static Context context(const Case &c, Memory &memory) {
  Context x{};
  memcpy(x.region, memory.region, sizeof x.region);
  x.T = c.T, x.B = c.B, x.R = c.R;
  x.scalars = c.scalars.data();
  x.active = c.active.data(), x.start = c.start.data();
  x.base = c.base.data(), x.tbase = c.tbase.data(), x.last = c.last.data(), x.from = c.from.data();
  x.init = c.init.data(), x.saved = c.saved.data(), x.slot = c.slot.data();
  x.constants = c.constants;
  x.result = memory.result;
  x.workspace = workspaces;
  x.stop = &go_on;
  return x;
}

static void run(const Kernels &kernels, int32_t op, Context x, const std::vector<int32_t> &args, int parts) {
  for (int part = 0; part < parts; part++) kernels.run[op](x, args.data(), part, parts);
}

static std::atomic<int32_t> steps_done[3];
static void meet(int part, int parts, int32_t n) {
  steps_done[part] = n;
  for (int i = 0; i < parts && n != LEFT; i++) {
    while (steps_done[i] < n) std::this_thread::yield();
  }
}

// Each part in a thread of its own, as those need that meet on the way.
static void run_meeting(const Kernels &kernels, int32_t op, Context x, const std::vector<int32_t> &args, int parts) {
  x.meet = meet;
  for (auto &each : steps_done) each = 0;
  std::vector<std::thread> threads;
  for (int part = 0; part < parts; part++)
    threads.emplace_back([&, part] { kernels.run[op](x, args.data(), part, parts); });
  for (std::thread &each : threads) each.join();
}

// The packed form that an operation needs, made by the same table.
static void prepare(const Kernels &kernels, const Case &c, const Context &x, int parts) {
  using namespace plan;
  const std::vector<int32_t> &a = c.args;
  std::vector<int32_t> pack;
  if (c.op == OP_PROJECT) pack = {a[3], a[2], a[6], a[7], PACK_PROJECT};
  if (c.op == OP_GATHER) pack = {a[3], a[2], a[6], a[7], PACK_GATHER};
  if (c.op == OP_RECUR) pack = {a[3], a[2], a[4], a[4], PACK_PROJECT};
  if (c.op == OP_PROJECT_DX) pack = {a[3], a[2], a[4], a[5], PACK_PROJECT_DX};
  if (c.op == OP_RECUR_BACK) pack = {a[6], a[5], a[7], a[7], PACK_PROJECT_DX};
  if (!pack.empty()) run(kernels, OP_PACK, x, pack, parts);
}

static bool same(float a, float b) { return (a != a && b != b) || memcmp(&a, &b, 4) == 0; }
static bool same(double a, double b) { return (a != a && b != b) || memcmp(&a, &b, 8) == 0; }

static bool check(const Kernels &kernels, const Case &c, int parts, bool meeting = false) {
  Memory expected(c), actual(c);
  const Context e = context(c, expected), a = context(c, actual);
  prepare(kernels, c, a, parts);
  if (kernels.arithmetic == std::string("fma"))
    Scalar<true>::run(c.op, e, c.args.data());
  else
    Scalar<false>::run(c.op, e, c.args.data());
  (meeting ? run_meeting : run)(kernels, c.op, a, c.args, parts);
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

// One step of one sequence by the kernel for it against the operations that it stands for, twice: one to three layers.
static bool check_step(const Kernels &kernels) {
  using namespace plan;
  Case c;
  c.T = c.B = c.R = 1;
  c.active = {1}, c.start = {0, 1}, c.base = {0};
  const bool tokens = bits() % 3 == 0;
  const int depth = int(integer(1, 3));
  struct Layer {
    int32_t U, W, b, bh, Up, Wp, y, s0, s, K, S, cell;
  };
  std::vector<Layer> layers;
  const int32_t w = tokens ? c.integers(1, 5) : c.rows(1, 130), first = tokens ? 5 : int32_t(size() % 130 + 1);
  for (int k = 0; k < depth; k++) {
    const int32_t K = k ? layers.back().S : first, S = int32_t(size() % 600 + 1);
    const int32_t b = bits() % 4 ? c.dense(S) : NONE, bh = b != NONE && bits() % 2 ? c.dense(S) : NONE;
    layers.push_back({c.dense(int64_t{S} * K), c.dense(int64_t{S} * S), b, bh, c.packed(S, K), c.packed(S, S),
                      c.rows(1, S), c.rows(1, S), c.rows(1, S), K, S, int32_t(bits() % 4)});
  }
  const int32_t S = layers.back().S, N = int32_t(size()), head = int32_t(bits() % 3);
  const int32_t V = c.dense(int64_t{N} * S), Vp = c.packed(N, S), bias = bits() % 4 ? c.dense(N) : NONE;
  const int32_t z = c.rows(1, N);
  c.fill();
  Memory memory(c);
  const Context x = context(c, memory);
  for (const Layer &l : layers) {
    run(kernels, OP_PACK, x, {l.Up, l.U, l.S, l.K, tokens && &l == layers.data() ? PACK_GATHER : PACK_PROJECT}, 1);
    run(kernels, OP_PACK, x, {l.Wp, l.W, l.S, l.S, PACK_PROJECT}, 1);
    memcpy(at(x, l.s), at(x, l.s0), size_t(l.S) * 4);
  }
  run(kernels, OP_PACK, x, {Vp, V, N, S, PACK_PROJECT}, 1);

  const auto place = [&](int32_t address) { return address == NONE ? nullptr : at(x, address); };
  std::vector<LayerStep> steps;
  for (const Layer &l : layers)
    steps.push_back({at(x, l.Up), at(x, l.Wp), place(l.b), place(l.bh), at(x, l.s), l.K, l.S, l.cell});
  std::vector<float> room(1024), o(size_t(stride(N)) + 1, 0.25f);
  NetStep step{steps.data(), depth, tokens, at(x, Vp), place(bias), N, head, room.data()};
  for (int turn = 0; turn < 2; turn++) {
    int32_t below = w;
    for (const Layer &l : layers) {
      if (tokens && below == w)
        run(kernels, OP_GATHER, x, {l.y, w, l.U, l.Up, l.b, l.bh, l.S, l.K}, 1);
      else
        run(kernels, OP_PROJECT, x, {l.y, below, l.U, l.Up, l.b, l.bh, l.S, l.K, ROWS_STEPS}, 1);
      run(kernels, OP_RECUR, x, {l.y, l.s0, l.W, l.Wp, l.S, l.cell}, 1);
      memcpy(at(x, l.s0), at(x, l.y), size_t(l.S) * 4);
      below = l.y;
    }
    run(kernels, OP_PROJECT, x, {z, below, V, Vp, bias, NONE, N, S, ROWS_STEPS}, 1);
    run(kernels, OP_ACTIVATE, x, {z, z, N, head, ROWS_STEPS}, 1);
    kernels.step(step, at(x, w), o.data());
    bool ok = o.back() == 0.25f && kernels.finite(o.data(), N);
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      std::vector<float> row(o.begin(), o.begin() + N);
      row[bits() % row.size()] = bad;
      ok &= !kernels.finite(row.data(), N);
    }
    for (int32_t n = 0; n < N; n++) ok &= same(at(x, z)[n], o[size_t(n)]);
    for (const Layer &l : layers)
      for (int32_t n = 0; n < l.S; n++) ok &= same(at(x, l.s0)[n], at(x, l.s)[n]);
    if (!ok) return false;
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
      if (check_step(*kernels)) continue;
      std::printf("%s %s step case %d\n", kernels->isa, kernels->arithmetic, i);
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
