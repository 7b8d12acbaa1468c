// Gradients of matrices: dM [N, K] += Σ_rows dy[row, n]·x[row, k], rows in descending packed order, each element one
// chain. Used by project.h and recur.h. Rows are taken in chunks, packed into the thread's workspace and multiplied
// there by the register tile; between chunks the chains rest in float32.
#pragma once
#include "tile.h"

namespace bptt {
namespace {

// Rows of a chunk, and columns of either side that are packed at a time.
constexpr int64_t CHUNK = 512;
constexpr int64_t BLOCK = 896;
// Floats of the workspace: two packed blocks, each with room for a last vector, and what is left.
constexpr int64_t PACKED = (BLOCK + NR) * CHUNK;
constexpr int64_t SPARE = WORKSPACE_BYTES / 4 - 2 * PACKED;
static_assert(SPARE > 0 && BLOCK % NR == 0, "workspace too small");

// Columns of each of the equal blocks into which `columns` are cut.
INLINE int64_t block_of(int64_t columns) {
  const int64_t blocks = (columns + BLOCK - 1) / BLOCK;
  return round_up((columns + blocks - 1) / blocks, NR);
}

// Rows of activations in packed order; or, where s0 is given, the states before those rows: that before row (i, q) is
// row (i−1, q).
struct RowSource {
  const float *rows;
  int64_t ld;
  const Context *context = nullptr;
  const float *s0 = nullptr;

  // The step of row hi − 1, given any later one.
  INLINE int64_t step(int64_t hi, int64_t i) const {
    while (s0 && context->start[i] >= hi) i--;
    return i;
  }
  struct Run {
    const float *top;  // row hi − 1; the others lie ld floats lower each
    int64_t count;
  };
  // The longest run of rows below `hi`, down to `lo` at most, that lie side by side; i is the step of row hi − 1.
  INLINE Run run(int64_t hi, int64_t lo, int64_t i) const {
    if (!s0) return {rows + (hi - 1) * ld, hi - lo};
    const int32_t *start = context->start;
    const int64_t q = hi - 1 - start[i];
    return {i > 0 ? rows + (start[i - 1] + q) * ld : s0 + q * ld, smaller(hi - lo, q + 1)};
  }
};

// dst[k][width], k = 0 … for rows hi − 1 … lo: columns column … of x. Whole vectors are read where the row has them,
// and written over what comes next: the caller packs in ascending order and leaves a vector of room.
template <int NV>
INLINE void pack_columns(float *dst, int64_t width, const RowSource &x, int64_t hi, int64_t lo, int64_t step,
                         int64_t column) {
  const bool whole = column + NV * VW <= x.ld;
  while (hi > lo) {
    step = x.step(hi, step);
    const RowSource::Run run = x.run(hi, lo, step);
    const float *src = run.top + column;
    for (int64_t k = 0; k < run.count; k++, dst += width, src -= x.ld) {
      UNROLL for (int v = 0; v < NV; v++) {
        store(dst + v * VW, whole ? load(src + v * VW) : load_part(src + v * VW, x.ld - column - v * VW));
      }
    }
    hi -= run.count;
  }
}

// Both packings go through the rows in strips, so that a strip of rows is read once and whole.
constexpr int64_t STRIP = 16;

// Panels of NR columns: [panel][k][NR]; the last may be one vector wide.
NOINLINE void pack_panels(float *dst, const RowSource &x, int64_t hi, int64_t lo, int64_t step, int64_t column,
                          int64_t vectors) {
  const int64_t depth = hi - lo;
  for (int64_t top = hi; top > lo; top -= STRIP) {
    const int64_t bottom = top - STRIP > lo ? top - STRIP : lo;
    step = x.step(top, step);
    float *strip = dst + (hi - top) * NR;
    int64_t v = 0;
    for (; v + 1 < vectors; v += 2) pack_columns<2>(strip + v * VW * depth, NR, x, top, bottom, step, column + v * VW);
    if (v < vectors) pack_columns<1>(strip + v * VW * depth, NR, x, top, bottom, step, column + v * VW);
  }
}

// Where the packed tile that begins at `row` lies: [tile][k][rows of the tile], with room for a vector behind each.
INLINE int64_t tile_place(int64_t row, int64_t depth) { return row * (depth + VW); }
static_assert(BLOCK * (CHUNK + VW) <= PACKED, "the room of a block");

NOINLINE void pack_tiles(float *dst, const RowSource &x, int64_t hi, int64_t lo, int64_t step, int64_t column,
                         int64_t columns) {
  const int64_t depth = hi - lo;
  for (int64_t top = hi; top > lo; top -= STRIP) {
    const int64_t bottom = top - STRIP > lo ? top - STRIP : lo;
    step = x.step(top, step);
    for_tiles(columns, [&](int64_t row, int64_t m) {
      float *strip = dst + tile_place(row, depth) + (hi - top) * m;
      pack_columns<(MR + VW - 1) / VW>(strip, m, x, top, bottom, step, column + row);
    });
  }
}

// A tile that would reach beyond the rows of c, by way of a block beside it, of which only `columns` go back.
NOINLINE void edge_tile(Tile tile, int64_t rows, const float *a, int64_t m, const float *b, int64_t width, float *c,
                        int64_t ldc, int64_t columns, float *block) {
  const int64_t ld = width * VW;
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < ld; j += VW)
      store(block + i * ld + j, j < columns ? load_part(c + i * ldc + j, columns - j) : vf{});
  }
  tile(rows, a, 0, b, NR * rows, block, ld, block, ld);
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < columns; j += VW) store_part(c + i * ldc + j, load(block + i * ld + j), columns - j);
  }
}

// c[i, j] += Σ_rows a[row, i]·b[row, j], rows − 1 … 0, for columns i of a and j of b; c begins at i.lo, j.lo and has
// rows of ldc floats, of which only those are touched.
NOINLINE void accumulate(float *c, int64_t ldc, const RowSource &a, Range i, const RowSource &b, Range j, int64_t rows,
                         int64_t T, float *workspace) {
  float *const a_pack = workspace, *const b_pack = workspace + PACKED;
  const int64_t i_block = block_of(i.hi - i.lo), j_block = block_of(j.hi - j.lo);
  for (int64_t hi = rows; hi > 0; hi -= CHUNK) {
    const int64_t lo = hi > CHUNK ? hi - CHUNK : 0, depth = hi - lo;
    for (int64_t j0 = j.lo; j0 < j.hi; j0 += j_block) {
      const int64_t vectors = (smaller(j_block, j.hi - j0) + VW - 1) / VW;
      pack_panels(b_pack, b, hi, lo, T - 1, j0, vectors);
      for (int64_t i0 = i.lo; i0 < i.hi; i0 += i_block) {
        const int64_t M = smaller(i_block, i.hi - i0), largest = largest_tile(M);
        pack_tiles(a_pack, a, hi, lo, T - 1, i0, M);
        for (int64_t v = 0, width; v < vectors; v += width) {
          width = tile_width(largest, vectors - v);
          const float *panel = b_pack + v * VW * depth;
          const int64_t column = j0 - j.lo + v * VW, left = ldc - column;
          for_tiles(M, [&](int64_t row, int64_t m) {
            float *at = c + (i0 - i.lo + row) * ldc + column;
            const Tile tile = packed_tiles.of(m, width);
            if (left >= width * VW)
              tile(depth, a_pack + tile_place(row, depth), 0, panel, NR * depth, at, ldc, at, ldc);
            else
              edge_tile(tile, depth, a_pack + tile_place(row, depth), m, panel, width, at, ldc, left,
                        workspace + 2 * PACKED);
          });
        }
      }
    }
  }
}

// dM [N, K] += dyᵀ·x over all rows: this part's share of the rows of dM.
INLINE void matrix_gradient(float *dM, int64_t N, int64_t K, const RowSource &dy, const RowSource &x, int64_t rows,
                            int64_t T, float *workspace, int part, int parts) {
  const Range n = share(N, 1, part, parts);
  const int64_t count = n.hi - n.lo, ld = round_up(count, VW);
  if (count == 0) return;
  dM += n.lo * K;
  // Vectors lie along k. Where that wastes lanes (few inputs) they lie along n, on a transposed copy, if the lanes pay
  // for the copying.
  const int64_t saved = (count * round_up(K, VW) - K * ld) * rows;
  if (K * ld > SPARE || saved < 8 * VW * count * K) return accumulate(dM, K, dy, n, x, {0, K}, rows, T, workspace);
  float *copy = workspace + 2 * PACKED;
  for (int64_t k = 0; k < K; k++) {
    for (int64_t j = 0; j < count; j++) copy[k * ld + j] = dM[j * K + k];
    for (int64_t j = count; j < ld; j++) copy[k * ld + j] = 0;
  }
  accumulate(copy, ld, x, {0, K}, dy, n, rows, T, workspace);
  for (int64_t j = 0; j < count; j++) {
    for (int64_t k = 0; k < K; k++) dM[j * K + k] = copy[k * ld + j];
  }
}

}  // namespace
}  // namespace bptt
