// The output layer: LAST, LOSS with its gradient, SUM_LOSS, ACTIVATE. z: logits [rows, N]; o: outputs [rows, N]; rows
// of stride(N).
#pragma once
#include "functions.h"
#include "move.h"

namespace bptt {
namespace {

constexpr int64_t LANES = 16;  // in which a softmax is summed, on every instruction set
constexpr int NVL = LANES / VW;

// The lanes of a vector of elements j … that exist, as a mask.
INLINE vi below(int64_t j, int64_t N) { return lanes() < splat(static_cast<int32_t>(N - j)); }

// Where there are but N elements, none of them −0, lanes that have none are left out: to add them would change nothing.
INLINE float fold_sum(const vf (&sum)[NVL], int64_t N = LANES) {
  quad x[4];
  __builtin_memcpy(x, sum, sizeof x);
  quad y = x[0];
  if (N > 4) y = (x[0] + x[2]) + (x[1] + x[3]);  // lane l += lane l + 8, then l + 4
  return (y[0] + y[2]) + (y[1] + y[3]);
}

// Where there are but N elements, lanes that have none hold the first. The lanes in pairs: of zeros it may return the
// other one, which nothing that is made of it shows.
INLINE float fold_maximum(vf most, int64_t N = LANES) {
  quad x[VW / 4];
  __builtin_memcpy(x, &most, sizeof x);
  UNROLL for (int n = VW / 8; n > 0; n /= 2) {
    if (N <= 4 * n) continue;
    UNROLL for (int i = 0; i < n; i++) x[i] = larger(x[i + n], x[i]);
  }
  const float a = x[0][2] > x[0][0] ? x[0][2] : x[0][0], b = x[0][3] > x[0][1] ? x[0][3] : x[0][1];
  return b > a ? b : a;
}

INLINE float maximum(const float *z, int64_t N) {
  const vf first = splat(z[0]);
  vf most = first;
  for (int64_t j = 0; j < N; j += VW) {
    const vf x = below(j, N) ? load(z + j) : first;
    most = larger(x, most);
  }
  return fold_maximum(most);
}

// e[j] = exp(z[j] − m) (e may be null, or z) and their sum.
INLINE float exponentials(float *e, const float *z, int64_t N, float m) {
  vf sum[NVL] = {};
  for (int64_t j = 0; j < N; j += LANES) {
    UNROLL for (int v = 0; v < NVL; v++) {
      const int64_t at = j + v * VW;
      const vf x = exp(load(z + at) - splat(m));
      if (e) store(e + at, x);
      sum[v] += below(at, N) ? x : vf{};
    }
  }
  return fold_sum(sum);
}

// Whether element y is the first maximum of z: the first that equals m (a leading NaN beats all).
INLINE bool is_first_maximum(const float *z, int64_t y, float m) {
  if (m != m) return y == 0;
  if (!(z[y] == m)) return false;
  vi before = {};
  for (int64_t j = 0; j < y; j += VW) before |= (load(z + j) == splat(m)) & below(j, y);
  int32_t any = 0;
  UNROLL for (int l = 0; l < VW; l++) any |= before[l];
  return any == 0;
}

void last(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dst = take.floats();
  const float *s0 = take.floats(), *s = take.floats();
  const int64_t ld = stride(take.integer());
  const Range q = share(context.B, 1, part, parts);
  for (int64_t p = q.lo; p < q.hi; p++) {
    const int64_t at = context.last[p];
    copy_row(dst + p * ld, at < 0 ? s0 + p * ld : s + at * ld, ld);
  }
}

// What LOSS knows of one row that counts.
struct LossRow {
  float *dz;  // null: no gradient
  const float *z;
  int64_t N;
  float scale;
  double *result;  // Σ wℓ and the score
};

INLINE void softmax_loss(const LossRow &row, int32_t y, float w) {
  const float *z = row.z;
  const float m = maximum(z, row.N), zy = z[y];
  const bool hit = is_first_maximum(z, y, m);
  const float sum = exponentials(row.dz, z, row.N, m);
  row.result[0] =
      static_cast<double>(w) * ((static_cast<double>(m) + ln(static_cast<double>(sum))) - static_cast<double>(zy));
  row.result[1] = hit;
  if (!row.dz) return;
  const vf g = splat(w) * splat(row.scale), total = splat(sum), one = splat(1.0f);
  for (int64_t j = 0; j < row.N; j += VW) {
    const vf p = load(row.dz + j) / total;
    const vi target = lanes() == splat(static_cast<int32_t>(y - j));
    store(row.dz + j, (target ? p - one : p) * g);
  }
}

// Blocks of elements: float32 in vectors, then the float64 sums from j = 0. dz may be z.
template <int HEAD>
INLINE void elementwise_loss(const LossRow &row, const float *targets, const float *weights) {
  constexpr bool SIGMOID = HEAD == plan::HEAD_SIGMOID;
  double loss = 0, score = 0;
  float z[VW], y[VW], w[VW], x[VW];  // x: exp(−|z|) or z − y
  for (int64_t j = 0; j < row.N; j += VW) {
    const int64_t count = smaller(VW, row.N - j);
    const vf logit = load(row.z + j), target = load_part(targets + j, count), weight = load_part(weights + j, count);
    const vf difference = (SIGMOID ? sigmoid(logit) : logit) - target;
    store(z, logit);
    store(y, target);
    store(w, weight);
    store(x, SIGMOID ? exp(logit > vf{} ? -logit : logit) : difference);
    if (row.dz) store(row.dz + j, weight == vf{} ? vf{} : difference * (weight * splat(row.scale)));
    for (int64_t l = 0; l < count; l++) {
      if (w[l] == 0) continue;
      const double a = z[l], b = y[l], e = x[l], weighting = w[l];
      if constexpr (SIGMOID) {
        loss += weighting * (((a > 0 ? a : 0) - a * b) + ln(1 + e));
        score += (a >= 0) == (b >= 0.5);
      } else {
        loss += weighting * e * e;
        score += e * e;
      }
    }
  }
  row.result[0] = loss;
  row.result[1] = score;
}

INLINE void uncounted(const LossRow &row) {
  row.result[0] = row.result[1] = 0;
  if (row.dz) zero_row(row.dz, stride(row.N));
}

// One row of logits against row `at` of the targets and weights.
NOINLINE void loss_row(const LossRow &row, int64_t head, const float *targets, const float *weights, int64_t at) {
  if (head == plan::HEAD_SOFTMAX) {
    if (weights[at] == 0)
      uncounted(row);
    else
      softmax_loss(row, reinterpret_cast<const int32_t *>(targets)[at], weights[at]);
  } else if (head == plan::HEAD_SIGMOID) {
    elementwise_loss<plan::HEAD_SIGMOID>(row, targets + at * row.N, weights + at * row.N);
  } else {
    elementwise_loss<plan::HEAD_LINEAR>(row, targets + at * row.N, weights + at * row.N);
  }
}

void loss(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dz = take.floats();
  const float *z = take.floats(), *targets = take.floats(), *weights = take.floats();
  double *result = take.doubles() + 2 * context.first;
  const int64_t N = take.integer(), head = take.integer(), ld = stride(N);
  const bool steps = take.integer() == plan::ROWS_STEPS;
  const Range rows = share(steps ? context.R : context.B, 1, part, parts);
  const auto row = [&](int64_t at) {
    return LossRow{dz ? dz + at * ld : nullptr, z + at * ld, N, context.scalars[0], result + 2 * at};
  };
  if (!steps) {
    for (int64_t q = rows.lo; q < rows.hi; q++) loss_row(row(q), head, targets, weights, context.tbase[q]);
    return;
  }
  for (int64_t i = 0; i < context.T && !stopped(context); i++) {
    const int64_t start = context.start[i], end = smaller(rows.hi, context.start[i + 1]);
    for (int64_t at = start > rows.lo ? start : rows.lo; at < end; at++) {
      const int64_t q = at - start;
      if (i < context.from[q])
        uncounted(row(at));
      else
        loss_row(row(at), head, targets, weights, int64_t{context.tbase[q]} + i);
    }
  }
}

void sum_loss(const Context &context, const int32_t *args, int part, int) {
  if (part > 0) return;
  Arguments take(context, args);
  const double *row = take.doubles();
  const int64_t rows = rows_of(context, take.integer());
  double loss = 0, score = 0;
  for (int64_t i = 0; i < rows; i++, row += 2) {
    loss += row[0];
    score += row[1];
  }
  context.result[plan::RESULT_LOSS] = loss;
  context.result[plan::RESULT_SCORE] = score;
}

// o [stride(N)] may be z.
NOINLINE void activate_row(float *o, const float *z, int64_t N, int64_t head) {
  if (head == plan::HEAD_SOFTMAX) {
    const vf sum = splat(exponentials(o, z, N, maximum(z, N)));
    for (int64_t j = 0; j < N; j += VW) store(o + j, load(o + j) / sum);
  } else {
    for (int64_t j = 0; j < N; j += VW) store(o + j, head == plan::HEAD_SIGMOID ? sigmoid(load(z + j)) : load(z + j));
  }
}

// Softmax of no more logits than there are lanes, which never leave the registers.
INLINE void softmax_few(float *o, const vf *z, int64_t N) {
  const vf first = splat(z[0][0]);
  vf most = first, e[NVL], sum[NVL];
  UNROLL for (int v = 0; v < NVL; v++) most = larger(below(v * VW, N) ? z[v] : first, most);
  const vf m = splat(fold_maximum(most, N));
  UNROLL for (int v = 0; v < NVL; v++) {
    e[v] = exp(z[v] - m);
    sum[v] = below(v * VW, N) ? e[v] : vf{};
  }
  const vf total = splat(fold_sum(sum, N));
  UNROLL for (int v = 0; v < NVL; v++) store(o + v * VW, e[v] / total);
}

void activate(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *o = take.floats();
  const float *z = take.floats();
  const int64_t N = take.integer(), head = take.integer(), ld = stride(N);
  const Range rows = share(rows_of(context, take.integer()), 1, part, parts);
  for (int64_t row = rows.lo; row < rows.hi; row++) activate_row(o + row * ld, z + row * ld, N, head);
}

}  // namespace
}  // namespace bptt
