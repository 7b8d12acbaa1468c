// Backpropagation through time: RECUR_BACK, and RECUR_DW. s: states [R, S]; s0: initial states [B, S]; d =
// dL/d(pre-activation) [R, S]; all with rows of stride(S).
#pragma once
#include "loop.h"
#include "outer.h"

namespace bptt {
namespace {

// Rows that hold g become g·f′(s), and so do those of d, if they are others.
template <int CELL, bool OTHERS>
NOINLINE void derive_tile(float *rows, int64_t ldr, float *d, const float *s, int64_t ld, int64_t count,
                          int64_t vectors) {
  for (; count > 0; count--, rows += ldr, d += ld, s += ld) {
    for (int64_t at = 0; at < vectors * VW; at += VW) {
      const vf x = derivative<CELL>(load(rows + at), load(s + at));
      store(rows + at, x);
      if (OTHERS) store(d + at, x);
    }
  }
}

using Derive = void (*)(float *, int64_t, float *, const float *, int64_t, int64_t, int64_t);
// By OTHERS and plan::CELL_….
constexpr Derive derivatives[][4] = {
    {derive_tile<0, ALWAYS>, derive_tile<1, ALWAYS>, derive_tile<2, ALWAYS>, derive_tile<3, ALWAYS>},
    {derive_tile<0, true>, derive_tile<1, true>, derive_tile<2, true>, derive_tile<3, true>}};

// Backwards through a sequence alone in its thread, S small (forwards see row.h): latency is all. A step is one
// call-free run of as many chains as there are vectors, all of them in registers, with f′ behind it in the same breath.
// Of 16 floats in a row, at most; the class of portable numbers trades this for a smaller addon.
constexpr int64_t ALONE_UNITS = VW >= 8 && BPTT_FUSED ? 4 : 1;

// sum += a [K]·M, M packed.
template <int NV>
INLINE void chain_row(vf (&sum)[NV], int64_t K, const float *a, const float *pack, int64_t panels) {
  const auto add = [&](int64_t k) {
    const vf x = splat(a[k]);
    UNROLL for (int v = 0; v < NV; v++) sum[v] = madd(x, load(pack + v / 2 * panels + k * NR + v % 2 * VW), sum[v]);
  };
  int64_t k = 0;
  for (; k + 8 <= K; k += 8) {
    UNROLL for (int j = 0; j < 8; j++) add(k + j);
  }
  for (; k < K; k++) add(k);
}

// Calls f(v, Cell) for every vector, Cell::value the cell as a constant.
template <int NV, class Each>
INLINE void for_cell(int64_t cell, Each each) {
  const auto all = [&]<int CELL>() { UNROLL for (int v = 0; v < NV; v++) each.template operator()<CELL>(v); };
  if (cell == plan::CELL_TANH) return all.template operator()<plan::CELL_TANH>();
  if (cell == plan::CELL_SIGMOID) return all.template operator()<plan::CELL_SIGMOID>();
  if (cell == plan::CELL_RELU) return all.template operator()<plan::CELL_RELU>();
  all.template operator()<plan::CELL_IDENTITY>();
}

// Steps of sequence q.
INLINE int64_t length_of(const Context &context, int64_t q) {
  int64_t steps = context.T;
  while (steps > 0 && context.active[steps - 1] <= q) steps--;
  return steps;
}

// What RECUR_BACK works on.
struct Back {
  float *d;
  const float *s, *above;
  int64_t kind;
  const float *pack;
  int64_t S, cell;
  float *g;
  const float *after;  // d of the step behind the segment; null where there is none
};

template <int UNITS>
NOINLINE void recur_back_alone(const Context &context, int64_t q, const Back &x) {
  constexpr int NV = UNITS * plan::UNIT_FLOATS / VW;
  const int64_t ld = NV * VW, steps = length_of(context, q);
  const float *after = x.after;
  for (int64_t i = steps - 1; i >= 0 && !stopped(context); i--) {
    const int64_t at = (context.start[i] + q) * ld;
    const float *from = x.kind == plan::ABOVE_STEPS            ? x.above + at
                        : x.kind == plan::ABOVE_LAST && !after ? x.above + q * ld
                                                               : nullptr;
    vf sum[NV] = {};
    if (from) {
      UNROLL for (int v = 0; v < NV; v++) sum[v] = load(from + v * VW);
    }
    if (after) chain_row(sum, x.S, after, x.pack, NR * x.S);
    if (x.g) {
      UNROLL for (int v = 0; v < NV; v++) store(x.g + at + v * VW, sum[v]);
    }
    for_cell<NV>(x.cell,
                 [&]<int CELL>(int v) { store(x.d + at + v * VW, derivative<CELL>(sum[v], load(x.s + at + v * VW))); });
    after = x.d + at;
  }
}

using RecurBackAlone = void (*)(const Context &, int64_t, const Back &);
#if BPTT_LANES >= 8 && BPTT_FUSED
constexpr RecurBackAlone recur_back_alones[] = {recur_back_alone<1>, recur_back_alone<2>, recur_back_alone<3>,
                                                recur_back_alone<4>};
#else
constexpr RecurBackAlone recur_back_alones[] = {recur_back_alone<1>};
#endif

void recur_back(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *d = take.floats();
  const float *s = take.floats(), *after = take.floats();
  const float *above = take.floats();
  const int64_t kind = take.integer();
  take.floats();  // W
  const float *pack = take.floats();
  const int64_t S = take.integer(), ld = stride(S), cell = take.integer();
  float *g = take.floats(), *g0 = take.floats();
  Loop loop(context, S, part, parts);
  const Range q = loop.q, units = loop.units;
  const int64_t lo = units.lo, width = units.hi - lo, N = smaller(S, units.hi) - lo;
  if (N <= 0) return;
  // Rows of this part alive at the step behind, and where they lie.
  int64_t later = smaller(q.hi, context.after) - q.lo;
  if (later <= 0) later = 0, after = nullptr;
  if (after) after += q.lo * ld;
  int64_t step = context.T - 1;
  if (!context.meet && q.hi - q.lo == 1 && ld <= ALONE_UNITS * plan::UNIT_FLOATS) {
    recur_back_alones[ld / plan::UNIT_FLOATS - 1](context, q.lo, {d, s, above, kind, pack, S, cell, g, after});
    later = length_of(context, q.lo) > 0;
    after = d + q.lo * ld;
    step = -1;
  }
  pack += lo * S;
  const Desk desk(context, loop, ld);
  if (later > 0) after = desk.begin(step + 1, after, later, ld);
  const Derive derive = derivatives[desk.own != nullptr][cell];
  for (int64_t i = step; i >= 0 && !stopped(context); i--) {
    const int64_t rows = smaller(q.hi, context.active[i]) - q.lo;
    if (rows <= 0) continue;
    if (i < step) loop.next();
    const int64_t first = (context.start[i] + q.lo) * ld, at = first + lo;
    float *now = d + at, *keep = g ? g + at : nullptr;
    const bool each = kind == plan::ABOVE_STEPS;
    const int64_t before = i > 0 ? (context.start[i - 1] - context.start[i]) * ld : 0;
    const auto soon = [=](int64_t next) {
      if (next == later * ld) next = before;
      return Ahead{s + at + next, now + next, ld};
    };
    float *const here = desk.rows(i, now);
    multiply(later, N, {after, desk.ld, pack, S}, nullptr, {each ? above + at : nullptr, ld}, here, desk.ld, soon,
             [=](int64_t row, int64_t m, int64_t v, int64_t vectors) {
               const int64_t corner = row * ld + v * VW;
               float *const tile = here + row * desk.ld + v * VW;
               if (keep) copy_rows(keep + corner, ld, tile, desk.ld, m, vectors * VW);
               derive(tile, desk.ld, now + corner, s + at + corner, ld, m, vectors);
             });
    // Sequences that end here have nothing behind them but what comes from above.
    for (int64_t row = later; row < rows; row++) {
      const float *over = each                       ? above + at + row * ld
                          : kind == plan::ABOVE_LAST ? above + (q.lo + row) * ld + lo
                                                     : nullptr;
      float *const to = here + row * desk.ld;
      if (!over)
        zero_row(to, width);
      else if (over != to)
        copy_row(to, over, width);
    }
    const int64_t edge = later * ld;
    float *const ending = here + later * desk.ld;
    if (keep) copy_rows(keep + edge, ld, ending, desk.ld, rows - later, width);
    derive(ending, desk.ld, now + edge, s + at + edge, ld, rows - later, width / VW);
    later = rows;
    after = desk.own ? here : d + first;
  }
  if (!g0) return;
  loop.next();
  g0 += q.lo * ld + lo;
  multiply_alone(later, N, {after, desk.ld, pack, S}, {nullptr, 0}, g0, ld);
  for (int64_t row = later; row < q.hi - q.lo; row++) {  // empty sequences: their state is the initial one
    if (kind == plan::ABOVE_LAST)
      copy_row(g0 + row * ld, above + (q.lo + row) * ld + lo, width);
    else
      zero_row(g0 + row * ld, width);
  }
}

void recur_dw(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dM = take.floats();
  const float *d = take.floats(), *s = take.floats(), *s0 = take.floats();
  const int64_t N = take.integer(), K = take.integer();
  matrix_gradient(context, dM, N, K, {d, stride(N)}, {s, stride(K), &context, s0}, context.R, part, parts);
}

}  // namespace
}  // namespace bptt
