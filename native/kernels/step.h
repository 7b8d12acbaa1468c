// One step of one sequence through the whole network: what PROJECT or GATHER, RECUR and ACTIVATE do with one row,
// without anything between them. For streams, which wait for nothing else.
#pragma once
#include "head.h"
#include "row.h"

namespace bptt {
namespace {

bool finite(const float *x, int64_t n) {
  vf sum[NVL] = {};
  for (int64_t j = 0; j < n; j += VW) {
    const vf y = load_part(x + j, n - j);
    sum[0] += y - y;  // +0, or NaN
  }
  return fold_sum(sum) == 0;
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
  const LayerStep &next = x.layers[0], &top = x.layers[x.depth - 1];
  Row head{x.c, nullptr, nullptr, {{w, x.V, top.S}, {}}, plan::CELL_IDENTITY, x.room};
  // Of a W that the first cache does not hold, the next step finds there what it begins with.
  if (next.S * next.S > 6144) head.soon = next.W + RowTiles(next.S).first(0, !x.back) * VW * next.S;
  head.apart = NR * next.S;
  if (x.N <= NARROW) head.close = x.N;
  multiply_row(head, x.N, x.back);
  activate_row(o, x.room, x.N, x.head);
}

}  // namespace
}  // namespace bptt
