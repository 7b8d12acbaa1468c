// Random cases of every operation: ragged batches, sizes on both sides of every vector width, memory with NaN wherever
// no operand lies.
#pragma once
#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <string>
#include <vector>

#include "../kernels.h"
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

}  // namespace bptt::test
