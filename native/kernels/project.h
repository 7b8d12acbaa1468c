// Products of all rows at once with U, W and V, and their gradients: PACK PROJECT GATHER, then PROJECT_DX PROJECT_DW
// BIAS_DW GATHER_DW. M is a parameter [N, K], dense; rows of activations are `stride` floats apart.
#pragma once
#include "move.h"
#include "outer.h"

namespace bptt {
namespace {

constexpr int64_t LINE = 16;           // floats of M in a line of the cache
constexpr int64_t LITTLE = 64 * 1024;  // elements of M that stay in the second cache while rows pass by

// Panels over N of M transposed: dst[n / NR][k][n mod NR] = M[n, k]. Four rows of M at a time make a store of four.
INLINE void pack_matrix(float *dst, const float *M, int64_t N, int64_t K, Range panels) {
  for (int64_t n0 = panels.lo; n0 < panels.hi; n0 += NR) {
    float *panel = dst + n0 * K;
    const int64_t width = smaller(NR, N - n0);
    if (width < NR) zero_row(panel, NR * K);
    for (int64_t k0 = 0; k0 < K; k0 += LINE) {
      const int64_t end = smaller(K, k0 + LINE);
      for (int64_t j = 0; j < width; j += 4) {
        const float *rows = M + (n0 + j) * K;
        UNROLL for (int i = 0; i < 4; i++) prefetch(rows + i * K + k0 + 4 * LINE);
        for (int64_t k = k0; k < end; k++) {
          float *const to = panel + k * NR + j;
          if (j + 4 <= width) {
            const quad four = {rows[k], rows[K + k], rows[2 * K + k], rows[3 * K + k]};
            __builtin_memcpy(to, &four, sizeof four);
          } else {
            for (int64_t i = 0; i < width - j; i++) to[i] = rows[i * K + k];
          }
        }
      }
    }
  }
}

// Panels over K of M as it is: dst[k / NR][n][k mod NR] = M[n, k].
INLINE void pack_transpose(float *dst, const float *M, int64_t N, int64_t K, Range panels) {
  for (int64_t k0 = panels.lo; k0 < panels.hi; k0 += NR) {
    float *panel = dst + k0 * N;
    for (int64_t n = 0; n < N; n++) {
      for (int64_t j = 0; j < NR; j += VW) {
        const int64_t left = K - k0 - j;
        if (j % LINE == 0) prefetch(M + (n + COMING) * K + k0 + j);
        store(panel + n * NR + j, left > 0 ? load_part(M + n * K + k0 + j, left) : vf{});
      }
    }
  }
}

// dst [K, stride(N)]: column k of M in a row.
INLINE void pack_tokens(float *dst, const float *M, int64_t N, int64_t K, Range columns) {
  const int64_t ld = stride(N);
  for (int64_t k = columns.lo; k < columns.hi; k++) {
    for (int64_t n = 0; n < N; n++) dst[k * ld + n] = M[n * K + k];
    for (int64_t n = N; n < ld; n++) dst[k * ld + n] = 0;
  }
}

void pack(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dst = take.floats();
  const float *M = take.floats();
  const int64_t N = take.integer(), K = take.integer(), form = take.integer();
  if (form == plan::PACK_PROJECT)
    pack_matrix(dst, M, N, K, share(N, NR, part, parts));
  else if (form == plan::PACK_PROJECT_DX)
    pack_transpose(dst, M, N, K, share(K, NR, part, parts));
  else
    pack_tokens(dst, M, N, K, share(K, 1, part, parts));
}

// Rows of x and y that stay in the second cache while all panels of M pass by.
INLINE int64_t block_of_rows(int64_t N, int64_t K) {
  constexpr int64_t FLOATS = 160 * 1024;
  const int64_t rows = FLOATS / (stride(N) + stride(K)) / MR * MR;
  return rows < 8 * MR ? 8 * MR : rows;
}

NOINLINE void multiply_blocks(const Context &context, Range rows, int64_t N, int64_t K, const float *x,
                              const float *pack, const Start &start, float *y) {
  const int64_t ldx = stride(K), ldy = stride(N), block = block_of_rows(N, K);
  for (int64_t row = rows.lo; row < rows.hi && !stopped(context); row += block) {
    Start from = start;
    if (from.rows) from.rows += row * ldy;
    multiply_alone(smaller(block, rows.hi - row), N, {x + row * ldx, ldx, pack, K}, from, y + row * ldy, ldy);
  }
}

// y = start + x·M for this part of the rows. Of the rows of steps, where M stays in the second cache meanwhile, those
// of its sequences: they are in its cache, or the next operation finds them there. But not where they are no more
// than a page of y: the processors would take away each other's.
NOINLINE void multiply_rows(const Context &context, bool steps, int part, int parts, int64_t N, int64_t K,
                            const float *x, const float *pack, const Start &start, float *y) {
  if (!steps || parts == 1 || N * K > LITTLE || context.B * stride(N) <= PAGE * parts)
    return multiply_blocks(context, share(steps ? context.R : context.B, MR, part, parts), N, K, x, pack, start, y);
  const Range q = share_sequences(context, part, parts);
  for (int64_t i = 0; i < context.T && context.active[i] > q.lo; i++) {
    const int64_t from = context.start[i];
    multiply_blocks(context, {from + q.lo, from + smaller(q.hi, context.active[i])}, N, K, x, pack, start, y);
  }
}

void project(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *y = take.floats();
  const float *x = take.floats();
  take.floats();  // M
  const float *pack = take.floats(), *bias = take.floats(), *bias2 = take.floats();
  const int64_t N = take.integer(), K = take.integer();
  const bool steps = take.integer() == plan::ROWS_STEPS;
  multiply_rows(context, steps, part, parts, N, K, x, pack, {nullptr, 0, bias, bias2}, y);
}

void gather(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *y = take.floats();
  const int32_t *tokens = take.integers();
  take.floats();  // M
  const float *columns = take.floats(), *bias = take.floats(), *bias2 = take.floats();
  const int64_t N = take.integer(), ld = stride(N);
  const Range q = share_sequences(context, part, parts);
  const Start start{nullptr, 0, bias, bias2};
  for (int64_t i = 0; i < context.T; i++) {
    const int64_t end = smaller(q.hi, context.active[i]);
    for (int64_t p = q.lo; p < end; p++) {
      float *row = y + (context.start[i] + p) * ld;
      const float *column = columns + tokens[context.base[p] + i] * ld;
      for (int64_t n = 0; n < ld; n += VW) store(row + n, start.bias_at(n, N) + load(column + n));
    }
  }
}

void project_dx(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dx = take.floats();
  const float *dy = take.floats();
  take.floats();  // M
  const float *pack = take.floats();
  const int64_t N = take.integer(), K = take.integer();
  const bool steps = take.integer() == plan::ROWS_STEPS;
  const Start start{take.integer() ? dx : nullptr, stride(K)};
  multiply_rows(context, steps, part, parts, K, N, dy, pack, start, dx);
}

void project_dw(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dM = take.floats();
  const float *dy = take.floats(), *x = take.floats();
  const int64_t N = take.integer(), K = take.integer(), rows = rows_of(context, take.integer());
  matrix_gradient(context, dM, N, K, {dy, stride(N)}, {x, stride(K)}, rows, part, parts);
}

// NV vectors of columns side by side, so that the chains hide each other's latency; one alone may be of fewer columns.
template <int NV>
NOINLINE void sum_rows(float *db, const float *dy, int64_t left, int64_t ld, int64_t rows) {
  vf sum[NV];
  UNROLL for (int v = 0; v < NV; v++) sum[v] = NV == 1 ? load_part(db, left) : load(db + v * VW);
  for (const float *row = dy + (rows - 1) * ld; row >= dy; row -= ld) {
    UNROLL for (int v = 0; v < NV; v++) {
      if (v * VW % LINE == 0) prefetch(row - COMING * ld + v * VW);
      sum[v] += load(row + v * VW);
    }
  }
  UNROLL for (int v = 0; v < NV; v++) {
    if (NV == 1)
      store_part(db, sum[v], left);
    else
      store(db + v * VW, sum[v]);
  }
}

void bias_dw(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *db = take.floats();
  const float *dy = take.floats();
  const int64_t N = take.integer(), ld = stride(N), rows = rows_of(context, take.integer());
  const Range columns = share(N, plan::UNIT_FLOATS, part, parts);
  const int64_t whole = smaller(N, columns.hi);
  int64_t n = columns.lo;
  for (; n + 8 * VW <= whole; n += 8 * VW) sum_rows<8>(db + n, dy + n, N - n, ld, rows);
  for (; n + 4 * VW <= whole; n += 4 * VW) sum_rows<4>(db + n, dy + n, N - n, ld, rows);
  for (; n < columns.hi; n += VW) sum_rows<1>(db + n, dy + n, N - n, ld, rows);
}

void gather_dw(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dM = take.floats();
  const float *dy = take.floats();
  const int32_t *tokens = take.integers();
  float *columns = take.floats();
  const int64_t N = take.integer(), K = take.integer(), ld = stride(N);
  const Range n = share(N, plan::UNIT_FLOATS, part, parts);
  for (int64_t j = n.lo; j < n.hi; j++) {
    for (int64_t k = 0; k < K; k++) columns[k * ld + j] = dM[j * K + k];
  }
  for (int64_t i = context.T - 1; i >= 0; i--) {
    for (int64_t q = context.active[i] - 1; q >= 0; q--) {
      const float *row = dy + (context.start[i] + q) * ld;
      float *column = columns + tokens[context.base[q] + i] * ld;
      for (int64_t j = n.lo; j < n.hi; j += VW) store(column + j, load(column + j) + load(row + j));
    }
  }
  for (int64_t j = n.lo; j < n.hi; j++) {
    for (int64_t k = 0; k < K; k++) dM[j * K + k] = columns[k * ld + j];
  }
}

}  // namespace
}  // namespace bptt
