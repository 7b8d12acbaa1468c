// RECUR, the loop forward through time. s: states [R, S]; s0: initial states [B, S]; with rows of stride(S).
#pragma once
#include "loop.h"
#include "tile.h"

namespace bptt {
namespace {

// What U w is made of, where it is not there yet. b and bh: [S] or null.
struct Input {
  const float *w, *U;
  int64_t K;
  const float *b, *bh;
};

NOINLINE void run_states(const Context &context, const Input *x, Arguments take, int part, int parts) {
  float *s = take.floats();
  const float *s0 = take.floats();
  take.floats();  // W
  const float *pack = take.floats();
  const int64_t S = take.integer(), ld = stride(S), cell = take.integer();
  Loop loop(context, S, part, parts);
  const Range q = loop.q, units = loop.units;
  const int64_t N = smaller(S, units.hi) - units.lo;
  if (N <= 0) return;
  pack += units.lo * S;
  const auto from = [&](const float *bias) { return bias ? bias + units.lo : nullptr; };
  Factors Uw{};
  if (x) Uw = {nullptr, stride(x->K), x->U + units.lo * x->K, x->K};
  const Desk desk(context, loop, ld);
  const Activate f = activations[desk.own != nullptr][cell];
  const float *before = s0 + q.lo * ld;
  for (int64_t i = 0; i < context.T && !stopped(context); i++) {
    const int64_t first = context.start[i] + q.lo, rows = smaller(q.hi, context.active[i]) - q.lo;
    if (rows <= 0) return;
    if (i > 0)
      loop.next();
    else
      before = desk.begin(1, before, rows, ld);
    float *all = s + first * ld, *now = all + units.lo;
    Start start{now, ld};
    const Factors Ws{before, desk.ld, pack, S};
    if (x) {
      start = {nullptr, ld, from(x->b), from(x->bh)};
      Uw.a = x->w + first * Uw.lda;
    }
    if (rows == 1) {
      const Factors one = x ? Uw : Ws, then = x ? Ws : Uw;
      multiply_row({x ? start.bias : now,
                    start.bias2,
                    nullptr,
                    {{one.a, one.pack, one.K}, {then.a, then.pack, then.K}},
                    cell,
                    now},
                   N, i % 2 != 0);
      before = all;
      continue;
    }
    // Beyond these rows lie those of another part, which must not be fetched: its own of the next step come next.
    const int64_t beyond = (context.start[i + 1] - context.start[i]) * ld;
    const auto soon = [=](int64_t next) {
      if (next == rows * ld) next = beyond;
      return Ahead{now + next, now + next, ld};
    };
    float *const here = desk.rows(i, now);
    multiply(rows, N, x ? Uw : Ws, x ? &Ws : nullptr, start, here, desk.ld, soon,
             [=](int64_t row, int64_t m, int64_t v, int64_t width) {
               f(here + row * desk.ld + v * VW, desk.ld, m, width, now + row * ld + v * VW, ld);
             });
    before = desk.own ? here : all;
  }
}

void recur(const Context &context, const int32_t *args, int part, int parts) {
  run_states(context, nullptr, Arguments(context, args), part, parts);
}

// U·w of few inputs is sooner done in the chains that go on through W than written and read again. Of a sequence alone
// only while few chains wait from step to step: then the multiplier has next to nothing to do.
bool go_together(int64_t B, int64_t S, int64_t K) {
  constexpr int64_t FEW_CHAINS = 4 * VW, FEW_INPUTS = 16;
  return K <= FEW_INPUTS && (B == 1 ? S <= FEW_CHAINS : GOES_ON && B >= FEW_SEQUENCES);
}

void project_recur(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  take.floats();  // y
  Input x;
  x.w = take.floats();
  take.floats();  // U
  x.U = take.floats(), x.b = take.floats(), x.bh = take.floats();
  take.integer();  // S
  x.K = take.integer();
  take.integer();  // rows
  run_states(context, &x, take, part, parts);
}

}  // namespace
}  // namespace bptt
