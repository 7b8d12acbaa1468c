// The register tile that does nearly all arithmetic of the package, and the loops around it for rows times a packed
// matrix. Every element of a product is one chain over k, ascending, in one lane: tiles, blocks and threads never
// change a bit.
#pragma once
#include <type_traits>

#include "row.h"

namespace bptt {
namespace {

// Rows of the largest tile, two vectors wide: its accumulators, the two vectors and one broadcast fill the registers.
// SSE2's is low and six wide: a broadcast takes it two instructions, and the unit that multiplies.
#if BPTT_LANES == 16
constexpr int MR = BPTT_FUSED ? 14 : 8;  // with a multiplication for each addition, 8 rows keep the adders busy
#elif BPTT_LANES == 8
constexpr int MR = 6;
#elif defined(__aarch64__)
constexpr int MR = BPTT_FUSED ? 8 : 7;  // GCC keeps the products of mul-add side by side
#else
constexpr int MR = 2;
#endif
// Vectors of the widest tile of that many rows. Few rows leave the multiplier waiting for itself unless tiles are
// wider.
constexpr int widest(int64_t rows) { return rows == 1 ? 8 : MR == 2 ? 6 : rows <= (BPTT_LANES == 16 ? 3 : 2) ? 4 : 2; }

// What the tile that comes next begins or ends with, rows `ld` floats apart in one or two places: fetched while this
// one computes, a row at a time, because nothing in the machine foresees a jump to other rows and a burst of misses
// stalls.
struct Ahead {
  const float *one, *two;
  int64_t ld;
};
constexpr int64_t APART = 16;  // steps of k from one row ahead to the next
INLINE auto nothing_ahead(const float *any) {
  return [=](int64_t) { return Ahead{any, any, 0}; };
}

// What a tile multiplies. ROWS of a: a(i, k) = a[i·lda + k], b packed, its panels `panels` floats apart. COLUMNS of a:
// a(i, k) = a[k·lda + i], and lines of b are ldb floats apart. COLUMNS_PACKING: the same for b where it was made, which
// is packed on the way into a panel.
enum Form { ROWS, COLUMNS, COLUMNS_PACKING };

// Rows between the one that is packed and the one that is fetched: nothing in the machine foresees such strides.
constexpr int64_t COMING = 32;

// A factor and another, which is packed: rows of a, lda floats apart, times a matrix of panels over its columns.
struct Factors {
  const float *a;
  int64_t lda;
  const float *pack;
  int64_t K;

  // Those of the tile that begins there.
  INLINE Factors at(int64_t row, int64_t vector) const { return {a + row * lda, lda, pack + vector * VW * K, K}; }
};

// The class of portable numbers trades chains that go on through another product for a smaller addon.
constexpr bool GOES_ON = BPTT_FUSED;

// Of ROWS: what the chains go on through, or null. Of COLUMNS_PACKING: the panel.
template <Form FORM>
using Also = std::conditional_t<FORM == ROWS, const Factors *, float *>;

// c[i, 0 … NV·VW) = from[i, …] + Σ_k a(i, k)·b(k, …).
template <int M, int NV, Form FORM>
NOINLINE void tile(int64_t K, const float *a, int64_t lda, const float *b, int64_t ldb, int64_t panels,
                   const float *from, int64_t ldf, float *c, int64_t ldc, const Ahead &ahead, Also<FORM> also) {
  vf sum[M][NV];
  UNROLL for (int i = 0; i < M; i++) { UNROLL for (int v = 0; v < NV; v++) sum[i][v] = load(from + i * ldf + v * VW); }
  for (int64_t k = 0; k < K;) {
    if (k < M * APART) {
      const int64_t row = k / APART * ahead.ld;
      UNROLL for (int j = 0; j < NV * VW; j += plan::UNIT_FLOATS) {
        prefetch(ahead.one + row + j);
        prefetch_to_write(ahead.two + row + j);
      }
    }
    for (const int64_t end = K - k < 2 * APART ? K : k + APART; k < end; k++) {
      const auto x = [&](int i) { return splat(FORM == ROWS ? a[i * lda] : a[i]); };
      const auto y = [&](int v) { return load(b + v / 2 * panels + v % 2 * VW); };
      if constexpr (M < NV && FORM != COLUMNS_PACKING) {  // fewer registers hold the broadcasts
        vf xs[M];
        UNROLL for (int i = 0; i < M; i++) xs[i] = x(i);
        UNROLL for (int v = 0; v < NV; v++) {
          const vf yv = y(v);
          UNROLL for (int i = 0; i < M; i++) sum[i][v] = madd(xs[i], yv, sum[i][v]);
        }
      } else {
        vf ys[NV];
        UNROLL for (int v = 0; v < NV; v++) {
          ys[v] = y(v);
          if constexpr (FORM == COLUMNS_PACKING) {
            if (v * VW % plan::UNIT_FLOATS == 0) prefetch(b + COMING * ldb + v * VW);
            store(also + v * VW, ys[v]);
          }
        }
        if constexpr (FORM == COLUMNS_PACKING) also += NR;
        UNROLL for (int i = 0; i < M; i++) {
          const vf xi = x(i);
          UNROLL for (int v = 0; v < NV; v++) sum[i][v] = madd(xi, ys[v], sum[i][v]);
        }
      }
      b += FORM == ROWS ? NR : ldb;
      a += FORM == ROWS ? 1 : lda;
    }
    if constexpr (FORM == ROWS && GOES_ON) {
      if (k == K && also) {
        a = also->a, lda = also->lda, b = also->pack, panels = NR * also->K, K = also->K;
        k = 0, also = nullptr;
      }
    }
  }
  UNROLL for (int i = 0; i < M; i++) { UNROLL for (int v = 0; v < NV; v++) store(c + i * ldc + v * VW, sum[i][v]); }
}

template <Form FORM>
using Tile = void (*)(int64_t, const float *, int64_t, const float *, int64_t, int64_t, const float *, int64_t, float *,
                      int64_t, const Ahead &, Also<FORM>);

// All tiles, by rows and vectors; those that pack are one panel wide at most. One row alone is row.h's, and a
// product of several has a tile of one only where two are the most. A table of addresses would take 32 bytes for each,
// as every one is relocated at load; this becomes a jump, and takes 12.
template <Form FORM>
struct Tiles {
  static NOINLINE Tile<FORM> of(int64_t rows, int64_t vectors) {
    return find<MR, most(MR)>(static_cast<int>(rows * 9 + vectors));
  }

 private:
  static constexpr int most(int rows) { return FORM == COLUMNS_PACKING ? 2 : widest(rows); }
  template <int M, int NV>
  static INLINE Tile<FORM> find(int wanted) {
    if (wanted == M * 9 + NV) return tile<M, NV, FORM>;
    if constexpr (NV > 1)
      return find<M, NV - 1>(wanted);
    else if constexpr (M > (FORM == ROWS && MR > 2 ? 2 : 1))
      return find<M - 1, most(M - 1)>(wanted);
    else
      return nullptr;
  }
};

// Vectors that the next tile covers, of those left: all, or whole panels, so that tiles are about equal. `rows` is the
// largest tile in the column.
INLINE int64_t tile_width(int64_t rows, int64_t left) {
  const int64_t most = widest(rows);
  if (left <= most || most == 2) return left < most ? left : most;
  const int64_t tiles = (left + most - 1) / most;
  return round_up((left + tiles - 1) / tiles, 2);
}

// Cuts `rows` into equal tiles and calls each(first row, rows of the tile).
template <class Each>
INLINE void for_tiles(int64_t rows, Each each) {
  const int64_t tiles = (rows + MR - 1) / MR, size = rows / tiles, larger = rows % tiles;
  for (int64_t t = 0, row = 0; t < tiles; t++) {
    const int64_t m = size + (t < larger);
    each(row, m);
    row += m;
  }
}
INLINE int64_t largest_tile(int64_t rows) {
  const int64_t tiles = (rows + MR - 1) / MR;
  return (rows + tiles - 1) / tiles;
}

// Where the chains of a product start: at rows of activations, or (rows == null) at a bias, two biases or +0, the same
// for every row.
struct Start {
  const float *rows;
  int64_t ld;
  const float *bias = nullptr, *bias2 = nullptr;

  INLINE vf bias_at(int64_t column, int64_t N) const {
    if (!bias || column >= N) return vf{};
    const vf b = load_part(bias + column, N - column);
    return bias2 ? b + load_part(bias2 + column, N - column) : b;
  }
};

// c [rows, N] = start + a [rows, K]·M, M packed in panels over N, and then, of several rows, another such product on
// top where `then` is given; then after(row, rows, vector, vectors) for each tile just stored. soon(first element)
// tells what to fetch for the tile that begins there, given as an offset into rows of start.ld, or beyond all of them
// for the first tile of what comes next. c may be where the chains start.
template <class Soon, class After>
INLINE void multiply(int64_t rows, int64_t N, const Factors &x, const Factors *then, const Start &start, float *c,
                     int64_t ldc, Soon soon, After after) {
  if (rows <= 0) return;
  if (rows == 1) {
    const bool given = start.rows;
    multiply_row({given ? start.rows : start.bias,
                  given ? nullptr : start.bias2,
                  nullptr,
                  {{x.a, x.pack, x.K}, {}},
                  plan::CELL_IDENTITY,
                  c},
                 N, false);
    return after(0, 1, 0, (N + VW - 1) / VW);
  }
  const int64_t vectors = (N + VW - 1) / VW, largest = largest_tile(rows);
  float line[8 * VW];
  for (int64_t v = 0, width; v < vectors; v += width) {
    width = tile_width(largest, vectors - v);
    const float *from = line;
    if (start.rows) {
      from = start.rows + v * VW;
    } else {
      for (int64_t w = 0; w < width; w++) store(line + w * VW, start.bias_at((v + w) * VW, N));
    }
    const int64_t ldf = start.rows ? start.ld : 0;
    const int64_t beyond = v + width < vectors ? (v + width) * VW : rows * start.ld;
    for_tiles(rows, [&](int64_t row, int64_t m) {
      const int64_t next = row + m < rows ? (row + m) * start.ld + v * VW : beyond;
      Factors on;
      if (GOES_ON && then) on = then->at(row, v);
      Tiles<ROWS>::of(m, width)(x.K, x.a + row * x.lda, x.lda, x.pack + v * VW * x.K, NR, NR * x.K, from + row * ldf,
                                ldf, c + row * ldc + v * VW, ldc, soon(next), GOES_ON && then ? &on : nullptr);
      after(row, m, v, width);
    });
  }
}

// The same, with nothing to fetch and nothing to do after.
NOINLINE void multiply_alone(int64_t rows, int64_t N, const Factors &x, const Start &start, float *c, int64_t ldc) {
  multiply(rows, N, x, nullptr, start, c, ldc, nothing_ahead(c), [](int64_t, int64_t, int64_t, int64_t) {});
}

}  // namespace
}  // namespace bptt
