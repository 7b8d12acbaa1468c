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
#include "scalar.h"

namespace bptt::test {

static uint64_t seed = 1;
static uint32_t bits() { return uint32_t((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33); }
static int64_t integer(int64_t lo, int64_t hi) { return lo + bits() % (hi - lo + 1); }
static float real() { return float(bits() % 65536) / 32768 - 1; }

struct Area {
  int region;
  int64_t unit, rows, columns, ld;  // in floats
  bool output;
};

enum class Fill { REAL, POSITIVE, SPICED, WEIGHTS };

// One operation with its memory. Regions are laid out first, then filled; what no area covers, padding above all, is
// NaN.
struct Case {
  int32_t op = 0;
  std::vector<int32_t> args;
  std::vector<Area> areas;
  std::vector<Fill> fills;
  std::vector<float> region[plan::REGIONS];
  int32_t T = 0, B = 0, R = 0;
  std::vector<int32_t> active, start, base, tbase, last, from, init, saved, slot;
  std::vector<float> scalars;
  double constants[2], result[plan::RESULT_FIELDS];

  void frame() {
    static const int64_t batches[] = {1, 2, 3, 4, 5, 7, 8, 13, 14, 15, 17, 29, 33, 40};
    B = int32_t(batches[bits() % 14]);
    T = int32_t(integer(1, B > 20 ? 6 : 12));
    if (bits() % 16 == 0) T = 40;
    if (bits() % 24 == 0) T = 0;  // only empty sequences
    std::vector<int32_t> length(size_t(B), T);
    if (bits() % 3) {
      for (int32_t &n : length) n = int32_t(integer(0, T));
      length[0] = T;
      for (size_t i = 1; i < length.size(); i++) {
        for (size_t j = i; j > 0 && length[j] > length[j - 1]; j--) std::swap(length[j], length[j - 1]);
      }
    }
    start = {0};
    for (int32_t i = 0; i < T; i++) {
      int32_t n = 0;
      for (int32_t l : length) n += l > i;
      active.push_back(n);
      start.push_back(R += n);
    }
    int32_t rows = 0;
    for (int32_t q = 0; q < B; q++) {
      const int32_t n = length[size_t(q)];
      base.push_back(rows);
      tbase.push_back(rows);
      rows += n + 1;  // a target even for an empty sequence
      last.push_back(n ? start[size_t(n) - 1] + q : -1);
      from.push_back(int32_t(bits() % 2 ? 0 : integer(0, n)));
      init.push_back(bits() % 4 ? q : -1);
      saved.push_back(last.back() < 0 || bits() % 4 == 0 ? -1 : last.back());
      slot.push_back(bits() % 4 ? B - 1 - q : -1);
    }
    scalars = {0.0078125f * 3};
    for (int i = 0; i < plan::SCALAR_COUNT; i++) scalars.push_back(0.1f + 0.8f * std::fabs(real()));
    constants[0] = constants[1] = 0.5;
  }
  int64_t data_rows() const { return R + B; }

  int32_t area(int where, int64_t rows, int64_t columns, int64_t ld, bool output, Fill fill) {
    const int64_t unit = int64_t(region[where].size()) / 16;
    region[where].resize(size_t(unit * 16 + (rows * ld + 15) / 16 * 16), NAN);
    areas.push_back({where, unit, rows, columns, ld, output});
    fills.push_back(fill);
    return int32_t((int64_t{where} << plan::REGION_SHIFT) + unit);
  }
  int32_t rows(int64_t count, int64_t columns, bool output = false, Fill fill = Fill::REAL) {
    return area(plan::REGION_SCRATCH, count, columns, stride(columns), output, fill);
  }
  int32_t dense(int64_t count, bool output = false, Fill fill = Fill::REAL) {
    return area(plan::REGION_HOME, 1, count, count, output, fill);
  }
  int32_t integers(int64_t count, int64_t hi) {
    const int32_t address = area(plan::REGION_DATA, 1, count, count, false, Fill::REAL);
    integer_areas.push_back({areas.size() - 1, hi});
    return address;
  }
  int32_t doubles(int64_t count, bool output) {
    return area(plan::REGION_SCRATCH, 1, 2 * count, 2 * count, output, Fill::REAL);
  }
  int32_t packed(int64_t N, int64_t K) {
    const int64_t a = (N + 63) / 64 * 64 * K, b = (K + 63) / 64 * 64 * N;
    const int64_t floats = std::max({a, b, stride(N) * K});
    return area(plan::REGION_PACK, 1, floats, floats, false, Fill::REAL);
  }
  std::vector<std::pair<size_t, int64_t>> integer_areas;

  void fill() {
    for (size_t k = 0; k < areas.size(); k++) {
      const Area &a = areas[k];
      for (int64_t r = 0; r < a.rows; r++) {
        for (int64_t j = 0; j < a.columns; j++) {
          float x = 2 * real();
          if (fills[k] == Fill::POSITIVE) x = std::fabs(x);
          if (fills[k] == Fill::WEIGHTS) x = bits() % 4 ? 0.5f + std::fabs(real()) : 0;
          if (fills[k] == Fill::SPICED) {
            static const float odd[] = {NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 1e-40f, -1e-31f, 100, -100, 3e38f};
            x *= 8;
            if (bits() % 32 == 0) x = odd[bits() % 10];
          }
          region[a.region][size_t(a.unit * 16 + r * a.ld + j)] = x;
        }
      }
    }
    for (auto [k, hi] : integer_areas) {
      int32_t *x = reinterpret_cast<int32_t *>(region[areas[k].region].data()) + areas[k].unit * 16;
      for (int64_t j = 0; j < areas[k].columns; j++) x[j] = int32_t(integer(0, hi - 1));
    }
    for (double &x : result) x = 0.75;
  }
};

static int64_t size() {
  static const int64_t sizes[] = {1,  2,  3,  4,  5,  7,  8,  9,  12, 15, 16, 17, 20, 24,
                                  31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 80, 97, 130};
  return bits() % 100 ? sizes[bits() % 27] : 930;  // more than one block of outer.h
}

static Case random_case(int32_t op) {
  using namespace plan;
  Case c;
  c.op = op;
  c.frame();
  const int64_t N = size(), K = size(), R = c.R, B = c.B;
  const int32_t n = int32_t(N), k = int32_t(K), which = int32_t(bits() % 2);
  const int64_t rows = which == ROWS_STEPS ? R : B;
  const bool spice = bits() % 4 == 0;
  const Fill values = spice ? Fill::SPICED : Fill::REAL;
  const auto maybe = [&](auto make) { return bits() % 3 ? make() : NONE; };
  switch (op) {
    case OP_ZERO:
      c.args = {c.dense(N * 16, true), n};
      break;
    case OP_COPY:
      c.args = {c.dense(N * 16, true), c.dense(N * 16), n};
      break;
    case OP_FETCH:
      c.args = {c.area(REGION_SCRATCH, R, stride(K), stride(K), true, Fill::REAL), c.dense(c.data_rows() * K), k};
      break;
    case OP_STATE_IN:
      c.args = {c.rows(B, K, true), c.rows(B, K), k};
      break;
    case OP_STATE_OUT:
      c.args = {c.rows(B, K, true), c.rows(B, K), c.rows(R, K), k};
      break;
    case OP_LAST:
      c.args = {c.rows(B, K, true), c.rows(B, K), c.rows(R, K), k};
      break;
    case OP_PROJECT: {
      const int32_t b = maybe([&] { return c.dense(N); });
      c.args = {c.rows(rows, N, true),
                c.rows(rows, K),
                c.dense(N * K),
                c.packed(N, K),
                b,
                b < 0 ? NONE : maybe([&] { return c.dense(N); }),
                n,
                k,
                which};
      break;
    }
    case OP_GATHER: {
      const int32_t b = maybe([&] { return c.dense(N); });
      c.args = {c.rows(R, N, true),
                c.integers(c.data_rows(), K),
                c.dense(N * K),
                c.packed(N, K),
                b,
                b < 0 ? NONE : maybe([&] { return c.dense(N); }),
                n,
                k};
      break;
    }
    case OP_RECUR:
      c.args = {c.rows(R, K, true, values), c.rows(B, K), c.dense(K * K), c.packed(K, K), k, int32_t(bits() % 4)};
      break;
    case OP_LOSS: {
      const int32_t head = int32_t(bits() % 3), dz = c.rows(rows, N, true, values);
      const int64_t many = head == HEAD_SOFTMAX ? 1 : N;
      const int32_t z = bits() % 3 ? c.rows(rows, N, false, values) : dz;
      c.args = {bits() % 4 || z == dz ? dz : NONE,
                z,
                head == HEAD_SOFTMAX ? c.integers(c.data_rows(), N) : c.dense(c.data_rows() * N),
                c.dense(c.data_rows() * many, false, Fill::WEIGHTS),
                c.doubles(2 * rows, true),
                n,
                head,
                which};
      break;
    }
    case OP_SUM_LOSS:
      c.args = {c.doubles(2 * rows, false), which};
      break;
    case OP_ACTIVATE: {
      const int32_t o = c.rows(rows, N, true, values);
      c.args = {o, bits() % 2 ? c.rows(rows, N, false, values) : o, n, int32_t(bits() % 3), which};
      break;
    }
    case OP_PROJECT_DX:
      c.args = {c.rows(rows, K, true), c.rows(rows, N), c.dense(N * K), c.packed(N, K), n, k, which,
                int32_t(bits() % 2)};
      break;
    case OP_RECUR_BACK: {
      const int32_t d = c.rows(R, K, true), kind = int32_t(bits() % 3);
      const int32_t above = kind == ABOVE_NONE   ? NONE
                            : kind == ABOVE_LAST ? c.rows(B, K, false, values)
                            : bits() % 2         ? d
                                                 : c.rows(R, K);
      const bool keep = bits() % 2;
      c.args = {d,
                c.rows(R, K),
                c.rows(B, K),
                above,
                kind,
                c.dense(K * K),
                c.packed(K, K),
                k,
                int32_t(bits() % 4),
                keep ? c.rows(R, K, true) : NONE,
                keep ? c.rows(B, K, true) : NONE};
      break;
    }
    case OP_PROJECT_DW:
      c.args = {c.dense(N * K, true), c.rows(rows, N), c.rows(rows, K), n, k, which};
      break;
    case OP_RECUR_DW:
      c.args = {c.dense(N * K, true), c.rows(R, N), c.rows(R, K), c.rows(B, K), n, k};
      break;
    case OP_BIAS_DW:
      c.args = {c.dense(N, true), c.rows(rows, N), n, which};
      break;
    case OP_GATHER_DW:
      c.args = {c.dense(N * K, true), c.rows(R, N), c.integers(c.data_rows(), K), c.packed(N, K), n, k};
      break;
    case OP_NORM:
      c.args = {c.dense(N * K * 16), n * k};
      break;
    case OP_STEP_NORMS:
      c.args = {c.doubles(B, true), c.doubles(R, true), c.rows(B, K), c.rows(R, K), k};
      break;
    case OP_CLIP:
      c.args = {1};
      break;
    case OP_UPDATE:
      c.args = {c.dense(N * 16, true),
                c.dense(N * 16),
                c.dense(N * 16, true),
                c.dense(N * 16, true, Fill::POSITIVE),
                c.dense(N * 16, true, Fill::POSITIVE),
                n,
                int32_t(integer(0, N)),
                int32_t(bits() % 5),
                int32_t(bits() % 128)};
      break;
  }
  c.fill();
  return c;
}

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
  std::vector<float> room(1024), o(size_t(N) + 1, 0.25f);
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
    bool ok = o[size_t(N)] == 0.25f;
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
  return bptt::test::main(argc, argv);
}
