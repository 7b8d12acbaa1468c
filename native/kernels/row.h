// Products of one row with packed matrices: what a stream, or a sequence alone in its batch, waits for. Nothing hides
// the latency of a chain but other chains, so up to eight vectors of them run side by side, through two products in one
// breath and f behind them.
#pragma once
#include "functions.h"

namespace bptt {
namespace {

// Packed matrices are panels of NR outputs: [panel][k][NR], the last one padded with zeros.
constexpr int64_t NR = 2 * VW;

// f of rows just stored, while they are in the first cache, there and in those of `to`, if they are others. Not
// inlined: its constants would push the sums of a tile out of the registers.
template <int CELL, bool OTHERS>
NOINLINE void activate_tile(float *s, int64_t ld, int64_t rows, int64_t vectors, float *to, int64_t ldt) {
  for (; rows > 0; rows--, s += ld, to += ldt) {
    for (int64_t at = 0; at < vectors * VW; at += VW) {
      const vf x = activation<CELL>(load(s + at));
      store(s + at, x);
      if (OTHERS) store(to + at, x);
    }
  }
}

using Activate = void (*)(float *, int64_t, int64_t, int64_t, float *, int64_t);
// The class of portable numbers stores all twice, for a smaller addon.
constexpr bool ALWAYS = !BPTT_FUSED;
// By OTHERS and plan::CELL_….
constexpr Activate activations[][4] = {
    {activate_tile<0, ALWAYS>, activate_tile<1, ALWAYS>, activate_tile<2, ALWAYS>, activate_tile<3, ALWAYS>},
    {activate_tile<0, true>, activate_tile<1, true>, activate_tile<2, true>, activate_tile<3, true>}};

// y [N] = f(start + Σ_k a[k]·M[k, …]), N whole vectors of it.
struct Row {
  const float *start;          // [N], or null: +0
  const float *plus1, *plus2;  // [N], added to it one after the other; or null
  struct {
    const float *a, *pack;  // a [K]; M packed in panels
    int64_t K;
  } of[2];  // the chains go on from the first to the second; K may be 0
  int64_t cell;
  float *y;  // may be where a chain starts; and an operand, if N is at most ROW_WIDTH
};
constexpr int64_t ROW_VECTORS = 8, ROW_WIDTH = ROW_VECTORS * VW;

// Vectors `first` … `first + vectors`, of which NV are computed: all, or one more, which the padding of a panel feeds.
template <int NV>
NOINLINE void row_tile(const Row &x, int64_t first, int64_t vectors) {
  const int64_t at = first * VW;
  vf sum[NV] = {};
  const auto each = [=](auto f) { UNROLL for (int v = 0; v < NV; v++) if (v < NV - 1 || NV == vectors) f(v); };
  if (x.start) each([&](int v) { sum[v] = load(x.start + at + v * VW); });
  if (x.plus1) each([&](int v) { sum[v] += load(x.plus1 + at + v * VW); });
  if (x.plus2) each([&](int v) { sum[v] += load(x.plus2 + at + v * VW); });
  for (const auto &[a, pack, K] : x.of) {
    const int64_t panels = NR * K;
    const float *p = pack + at * K;
    for (int64_t k = 0; k < K; k++, p += NR) {
      const vf y = splat(a[k]);
      UNROLL for (int v = 0; v < NV; v++) sum[v] = madd(y, load(p + v / 2 * panels + v % 2 * VW), sum[v]);
    }
  }
  float *const y = x.y + at;
  // What nearly all nets use never leaves the registers.
  if (BPTT_FUSED && VW == 16 && x.cell == plan::CELL_TANH) return each([&](int v) { store(y + v * VW, tanh(sum[v])); });
  each([&](int v) { store(y + v * VW, sum[v]); });
  if (x.cell != plan::CELL_IDENTITY) activations[false][x.cell](y, 0, 1, vectors, y, 0);
}

using RowTile = void (*)(const Row &, int64_t, int64_t);
constexpr RowTile row_tile_of[] = {nullptr,     row_tile<1>, row_tile<2>, row_tile<4>, row_tile<4>,
                                   row_tile<6>, row_tile<6>, row_tile<8>, row_tile<8>};

// The columns of a row as equal tiles of whole panels, at most ROW_VECTORS wide, in vectors.
struct RowTiles {
  int64_t vectors, width, count;
  INLINE explicit RowTiles(int64_t N) : vectors((N + VW - 1) / VW) {
    count = (vectors + ROW_VECTORS - 1) / ROW_VECTORS;
    width = round_up((vectors + count - 1) / count, 2);
  }
  // Of the tile that comes n-th, `back` or forth. To turn round each time finds in the caches what was read last.
  INLINE int64_t first(int64_t n, bool back) const { return (back ? count - 1 - n : n) * width; }
};

NOINLINE void multiply_row(const Row &x, int64_t N, bool back) {
  if (N <= ROW_WIDTH) {  // without a division to wait for
    const int64_t vectors = (N + VW - 1) / VW;
    return row_tile_of[vectors](x, 0, vectors);
  }
  const RowTiles tiles(N);
  for (int64_t n = 0; n < tiles.count; n++) {
    const int64_t first = tiles.first(n, back), vectors = smaller(tiles.width, tiles.vectors - first);
    row_tile_of[vectors](x, first, vectors);
  }
}

}  // namespace
}  // namespace bptt
