// One step of one sequence through the whole network: what PROJECT or GATHER, RECUR and ACTIVATE do with one row,
// without anything between them. For streams, which wait for nothing else.
#pragma once
#include "head.h"
#include "row.h"

namespace bptt {
namespace {

// While the outputs are made the memory has little to do: of a W that the first cache does not hold, the next step
// finds there what it begins with. Of each panel its first lines, in the order of their use: 24 KiB, which nothing has
// pushed out of the first cache before they are read.
struct Soon {
  static constexpr int64_t SMALL = 6144, PANELS = 3, LINES = 128;
  const float *at;
  int64_t left, apart;
  INLINE explicit Soon(const NetStep &x) {
    const LayerStep &next = x.layers[0];
    at = next.W + RowTiles(next.S).first(0, !x.back) * VW * next.S;
    left = next.S * next.S > SMALL ? LINES : 0;
    apart = NR * next.S;
  }
  INLINE void fetch() {
    UNROLL for (int64_t panel = 0; panel < PANELS; panel++) prefetch(at + panel * apart);
    at += plan::UNIT_FLOATS;
    left--;
  }
};

// V's product and what follows it, of at most NARROW outputs.
NOINLINE void narrow_head(const NetStep &x, const LayerStep &top, float *o) {
  Soon soon(x);
  const float *p = x.V;
  vf z[NVL] = {};
  const auto each = [N = x.N](auto f) { UNROLL for (int v = 0; v < NVL; v++) if (v * VW < N) f(v); };
  if (x.c) each([&](int v) { z[v] = load(x.c + v * VW); });
  for (int64_t k = 0; k < top.S; k++, p += x.N) {
    if (soon.left > 0) soon.fetch();
    const vf y = splat(top.s[k]);
    each([&](int v) { z[v] = madd(y, load(p + v * VW), z[v]); });
  }
  // The class of portable numbers trades this for a smaller addon.
  if (BPTT_FUSED && x.head == plan::HEAD_SOFTMAX) return softmax_few(o, z, x.N);
  each([&](int v) { store(o + v * VW, z[v]); });
  activate_row(o, o, x.N, x.head);
}

void step(NetStep &x, const void *input, float *o) {
  const float *w = static_cast<const float *>(input);
  x.back = !x.back;
  for (int64_t i = 0; i < x.depth; i++) {
    const LayerStep &l = x.layers[i];
    const bool token = x.tokens && i == 0;
    const float *column = token ? l.U + *static_cast<const int32_t *>(input) * stride(l.S) : nullptr;
    float *now = l.S <= ROW_WIDTH ? l.s : x.room;
    multiply_row({l.b, l.bh, column, {{w, l.U, token ? 0 : l.K}, {l.s, l.W, l.S}}, l.cell, now}, l.S, x.back);
    if (now != l.s) copy_row(l.s, now, stride(l.S));
    w = l.s;
  }
  const LayerStep &top = x.layers[x.depth - 1];
  if (x.N <= NARROW) return narrow_head(x, top, o);
  multiply_row({x.c, nullptr, nullptr, {{w, x.V, top.S}, {}}, plan::CELL_IDENTITY, x.room}, x.N, x.back);
  for (Soon soon(x); soon.left > 0;) soon.fetch();
  activate_row(o, x.room, x.N, x.head);
}

}  // namespace
}  // namespace bptt
