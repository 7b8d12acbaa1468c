// The loops over time: RECUR (forward), RECUR_BACK (backpropagation through time) and RECUR_DW. Threads split the
// sequences and never meet inside. s: states [R, S]; s0: initial states [B, S]; d = dL/d(pre-activation) [R, S]; all
// with rows of stride(S).
#pragma once
#include "functions.h"
#include "outer.h"

namespace bptt {
namespace {

// f on a tile just stored, while it is in the first cache. Not inlined: its constants would push the tile's sums out of
// the registers.
template <int CELL>
NOINLINE void activate_tile(float *s, int64_t ld, int64_t rows, int64_t vectors) {
  for (int64_t i = 0; i < rows; i++, s += ld) {
    for (int64_t v = 0; v < vectors; v++) store(s + v * VW, activation<CELL>(load(s + v * VW)));
  }
}

// d holds g: keeps it in `g` where given, and becomes g·f′(s).
template <int CELL>
NOINLINE void derive_tile(float *d, const float *s, float *g, int64_t ld, int64_t rows, int64_t vectors) {
  for (int64_t i = 0; i < rows; i++) {
    for (int64_t at = i * ld; at < i * ld + vectors * VW; at += VW) {
      const vf total = load(d + at);
      if (g) store(g + at, total);
      store(d + at, derivative<CELL>(total, load(s + at)));
    }
  }
}

using Activate = void (*)(float *, int64_t, int64_t, int64_t);
using Derive = void (*)(float *, const float *, float *, int64_t, int64_t, int64_t);
// By plan::CELL_….
constexpr Activate activations[] = {activate_tile<0>, activate_tile<1>, activate_tile<2>, activate_tile<3>};
constexpr Derive derivatives[] = {derive_tile<0>, derive_tile<1>, derive_tile<2>, derive_tile<3>};

void recur(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *s = take.floats();
  const float *s0 = take.floats();
  take.floats();  // W
  const float *pack = take.floats();
  const int64_t S = take.integer(), ld = stride(S);
  const Activate f = activations[take.integer()];
  const Range q = share_sequences(context, part, parts);
  const float *before = s0 + q.lo * ld;
  for (int64_t i = 0; i < context.T && !stopped(context); i++) {
    const int64_t rows = smaller(q.hi, context.active[i]) - q.lo;
    if (rows <= 0) return;
    float *now = s + (context.start[i] + q.lo) * ld;
    const auto soon = [=](int64_t next) { return Ahead{now + next, now + next, ld}; };
    multiply(rows, S, S, before, ld, pack, {now, ld}, now, ld, soon,
             [=](int64_t row, int64_t m, int64_t v, int64_t width) { f(now + row * ld + v * VW, ld, m, width); });
    before = now;
  }
}

void recur_back(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *d = take.floats();
  const float *s = take.floats();
  take.floats();  // s0
  const float *above = take.floats();
  const int64_t kind = take.integer();
  take.floats();  // W
  const float *pack = take.floats();
  const int64_t S = take.integer(), ld = stride(S);
  const Derive derive = derivatives[take.integer()];
  float *g = take.floats(), *g0 = take.floats();
  const Range q = share_sequences(context, part, parts);
  int64_t later = 0;  // rows of this part alive at step i + 1
  const float *after = nullptr;
  for (int64_t i = context.T - 1; i >= 0 && !stopped(context); i--) {
    const int64_t rows = smaller(q.hi, context.active[i]) - q.lo;
    if (rows <= 0) continue;
    const int64_t at = (context.start[i] + q.lo) * ld;
    float *now = d + at, *keep = g ? g + at : nullptr;
    const bool each = kind == plan::ABOVE_STEPS;
    const auto soon = [=](int64_t next) {
      if (next == later * ld) next = -rows * ld;
      return Ahead{s + at + next, now + next, ld};
    };
    multiply(later, S, S, after, ld, pack, {each ? above + at : nullptr, ld}, now, ld, soon,
             [=](int64_t row, int64_t m, int64_t v, int64_t width) {
               const int64_t corner = row * ld + v * VW;
               derive(now + corner, s + at + corner, keep ? keep + corner : nullptr, ld, m, width);
             });
    // Sequences that end here have nothing behind them but what comes from above.
    for (int64_t row = later; row < rows; row++) {
      const float *from = each ? above + at + row * ld : kind == plan::ABOVE_LAST ? above + (q.lo + row) * ld : nullptr;
      if (!from)
        zero_row(now + row * ld, ld);
      else if (from != now + row * ld)
        copy_row(now + row * ld, from, ld);
    }
    const int64_t edge = later * ld;
    derive(now + edge, s + at + edge, keep ? keep + edge : nullptr, ld, rows - later, ld / VW);
    later = rows;
    after = now;
  }
  if (!g0) return;
  g0 += q.lo * ld;
  multiply(later, S, S, after, ld, pack, {nullptr, 0}, g0, ld, nothing_ahead(s),
           [](int64_t, int64_t, int64_t, int64_t) {});
  for (int64_t row = later; row < q.hi - q.lo; row++) {  // empty sequences: their state is the initial one
    if (kind == plan::ABOVE_LAST)
      copy_row(g0 + row * ld, above + (q.lo + row) * ld, ld);
    else
      zero_row(g0 + row * ld, ld);
  }
}

void recur_dw(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dM = take.floats();
  const float *d = take.floats(), *s = take.floats(), *s0 = take.floats();
  const int64_t N = take.integer(), K = take.integer();
  matrix_gradient(dM, N, K, {d, stride(N)}, {s, stride(K), &context, s0}, context.R, context.T, context.workspace[part],
                  part, parts);
}

}  // namespace
}  // namespace bptt
