// Gradients of matrices: dM [N, K] += Σ_rows dy[row, n]·x[row, k], rows in descending packed order, each element one
// chain. Used by project.h and recur_back.h. Rows are taken in chunks, packed into the thread's workspace and
// multiplied there by the register tile; between chunks the chains rest in float32.
#pragma once
#include "move.h"
#include "tile.h"

namespace bptt {
namespace {

// Rows of a chunk, and columns of dy that are packed at a time: half the second cache. Of x a tile's width is packed,
// which with SSE2's wide tiles would fill the first.
constexpr int64_t CHUNK = MR == 2 ? 256 : 512;
constexpr int64_t BLOCK = 512;
// Floats of the workspace: the packed block, with room for a last vector, the packed width, and what is left.
constexpr int64_t PACKED = (BLOCK + NR) * CHUNK + BLOCK * VW;
constexpr int64_t PANELS = 9 * VW * CHUNK;
constexpr int64_t SPARE = WORKSPACE_BYTES / 4 - PACKED - PANELS;
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
    if (i == 0) return {s0 + (hi - 1) * ld, hi - lo};
    const int32_t *active = context->active, *start = context->start;
    const int64_t back = active[i - 1];  // as long as equally many sequences are alive
    if (back == active[0]) i = 1;
    while (i > 1 && active[i - 2] == back && start[i] > lo) i--;
    return {rows + (hi - 1 - back) * ld, hi - (start[i] > lo ? start[i] : lo)};
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
      UNROLL for (int j = 0; j < NV * VW; j += plan::UNIT_FLOATS) prefetch(src - COMING * x.ld + j);
      UNROLL for (int v = 0; v < NV; v++) {
        store(dst + v * VW, whole ? load(src + v * VW) : load_part(src + v * VW, x.ld - column - v * VW));
      }
    }
    hi -= run.count;
  }
}

// Panels of NR columns: [panel][k][NR]; the last may be one vector wide.
NOINLINE void pack_panels(float *dst, const RowSource &x, int64_t hi, int64_t lo, int64_t step, int64_t column,
                          int64_t vectors) {
  int64_t v = 0;
  for (; v + 1 < vectors; v += 2) pack_columns<2>(dst + v * VW * (hi - lo), NR, x, hi, lo, step, column + v * VW);
  if (v < vectors) pack_columns<1>(dst + v * VW * (hi - lo), NR, x, hi, lo, step, column + v * VW);
}

// Where the packed tile that begins at `row` lies: [tile][k][rows of the tile], with room for a vector behind each.
INLINE int64_t tile_place(int64_t row, int64_t depth) { return row * (depth + VW); }
static_assert(BLOCK * (CHUNK + VW) + VW <= PACKED, "the room of a block");

// Through the rows in strips, so that a strip of rows is read once and whole.
constexpr int64_t STRIP = 16;
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
NOINLINE void edge_tile(Tile<COLUMNS> tile, int64_t depth, const float *a, int64_t lda, int64_t m, const float *b,
                        int64_t ldb, int64_t panels, int64_t width, float *c, int64_t ldc, int64_t columns,
                        float *block) {
  const int64_t ld = width * VW;
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < ld; j += VW)
      store(block + i * ld + j, j < columns ? load_part(c + i * ldc + j, columns - j) : vf{});
  }
  tile(depth, a, lda, b, ldb, panels, block, ld, block, ld, {c, c, 0}, nullptr);
  for (int64_t i = 0; i < m; i++) {
    for (int64_t j = 0; j < columns; j += VW) store_part(c + i * ldc + j, load(block + i * ld + j), columns - j);
  }
}

// c[i, j] += Σ_k a(i, k)·b(k, j) over a chunk of rows, `depth` of them, descending, for M columns of a and `vectors` of
// b. a are rows where they were made, lda floats apart, or (0) packed by pack_tiles; b are so, too, or become packed, a
// tile's width at a time.
struct Chunk {
  int64_t hi, depth;
  const float *a;
  int64_t lda;
  bool packed;
  const RowSource &b;
  int64_t step, j;
};

NOINLINE void multiply_chunk(const Chunk &x, int64_t M, int64_t vectors, float *c, int64_t ldc, int64_t columns,
                             float *b_pack, float *block) {
  const auto next = [=](int64_t at) { return Ahead{c + at, c + at, ldc}; };
  const int64_t largest = largest_tile(M), ldb = x.packed ? NR : -x.b.ld, panels = x.packed ? NR * x.depth : NR;
  for (int64_t v = 0, width; v < vectors; v += width) {
    width = tile_width(largest, vectors - v);
    const int64_t left = columns - v * VW, column = x.j + v * VW;
    const RowSource::Run run = x.b.run(x.hi, x.hi - x.depth, x.step);
    const float *b = x.packed ? b_pack : run.top + column;
    // The first tile packs as it goes, if it is one panel wide and sees whole vectors of rows side by side.
    const bool packing =
        x.packed && width <= 2 && left >= width * VW && run.count == x.depth && column + width * VW <= x.b.ld;
    if (x.packed && !packing) pack_panels(b_pack, x.b, x.hi, x.hi - x.depth, x.step, column, width);
    for_tiles(M, [&](int64_t row, int64_t m) {
      const float *a = x.a + (x.lda ? row : tile_place(row, x.depth));
      const int64_t lda = x.lda ? -x.lda : m;
      float *at = c + row * ldc + v * VW;
      const Tile<COLUMNS> tile = Tiles<COLUMNS>::of(m, width);
      const Ahead ahead = next(row + m < M ? (row + m) * ldc + v * VW : (v + width) * VW);
      if (packing && row == 0)
        Tiles<COLUMNS_PACKING>::of(m, width)(x.depth, a, lda, run.top + column, -x.b.ld, panels, at, ldc, at, ldc,
                                             ahead, b_pack);
      else if (left >= width * VW)
        tile(x.depth, a, lda, b, ldb, panels, at, ldc, at, ldc, ahead, nullptr);
      else
        edge_tile(tile, x.depth, a, lda, m, b, ldb, panels, width, at, ldc, left, block);
    });
  }
}

// Rows lo … hi − 1 side by side, in `room`.
NOINLINE const float *gathered(float *room, const RowSource &x, int64_t hi, int64_t lo, int64_t step) {
  while (hi > lo) {
    step = x.step(hi, step);
    const RowSource::Run run = x.run(hi, lo, step);
    hi -= run.count;
    copy_row(room + (hi - lo) * x.ld, run.top - (run.count - 1) * x.ld, run.count * x.ld);
  }
  return room;
}

// Rows so short that a chunk of them need not be packed, and the number from which a run of them is worth a chunk.
// Shorter runs, as where one sequence after the other ends, are gathered.
constexpr int64_t SHORT = 64, LONG = 32;

// c[i, j] += Σ_rows a[row, i]·b[row, j], rows − 1 … 0, for columns i of a and j of b; c begins at i.lo, j.lo and has
// rows of ldc floats, of which only those are touched.
NOINLINE void accumulate(const Context &context, float *c, int64_t ldc, const RowSource &a, Range i, const RowSource &b,
                         Range j, int64_t rows, float *workspace) {
  float *const a_pack = workspace, *const b_pack = workspace + PACKED, *const block = b_pack + PANELS;
  const int64_t i_block = block_of(i.hi - i.lo), vectors = (j.hi - j.lo + VW - 1) / VW;
  int64_t a_step = context.T - 1, b_step = context.T - 1;
  const int64_t chunks = (rows + CHUNK - 1) / CHUNK, size = (rows + chunks - 1) / chunks;
  for (int64_t hi = rows, lo; hi > 0 && !stopped(context); hi = lo) {
    lo = hi > size ? hi - size : 0;
    a_step = a.step(hi, a_step);
    b_step = b.step(hi, b_step);
    if (a.ld <= SHORT && b.ld <= SHORT) {
      const RowSource::Run x = a.run(hi, lo, a_step), y = b.run(hi, lo, b_step);
      const int64_t depth = smaller(x.count, y.count);
      const bool side_by_side = depth >= LONG || depth == hi - lo;
      if (side_by_side) lo = hi - depth;
      if (side_by_side || x.count == hi - lo) {
        const RowSource rows = {side_by_side ? y.top - (depth - 1) * b.ld : gathered(a_pack, b, hi, lo, b_step), b.ld};
        multiply_chunk({hi - lo, hi - lo, x.top + i.lo, a.ld, false, rows, 0, j.lo}, i.hi - i.lo, vectors, c, ldc, ldc,
                       b_pack, block);
        continue;
      }
    }
    for (int64_t i0 = i.lo; i0 < i.hi; i0 += i_block) {
      const int64_t M = smaller(i_block, i.hi - i0);
      pack_tiles(a_pack, a, hi, lo, a_step, i0, M);
      multiply_chunk({hi, hi - lo, a_pack, 0, true, b, b_step, j.lo}, M, vectors, c + (i0 - i.lo) * ldc, ldc, ldc,
                     b_pack, block);
    }
  }
}

// dM [N, K] += dyᵀ·x over all rows: this part's share of the rows of dM.
NOINLINE void matrix_gradient(const Context &context, float *dM, int64_t N, int64_t K, const RowSource &dy,
                              const RowSource &x, int64_t rows, int part, int parts) {
  float *const workspace = context.workspace[part];
  const Range n = share(N, 1, part, parts);
  const int64_t count = n.hi - n.lo, ld = round_up(count, VW);
  if (count == 0 || rows == 0) return;  // a batch of empty sequences has none
  dM += n.lo * K;
  // Vectors lie along k, and dy is packed ahead. Where that wastes lanes or packing (few inputs) they lie along n, on a
  // transposed copy, if what is saved pays for the copying.
  const int64_t packing = dy.ld > SHORT || x.ld > SHORT ? (count - K) * VW : 0;
  const int64_t saved = (count * round_up(K, VW) - K * ld + packing) * rows;
  if (K * ld > SPARE || saved < 8 * VW * count * K)
    return accumulate(context, dM, K, dy, n, x, {0, K}, rows, workspace);
  float *copy = workspace + PACKED + PANELS;
  for (int64_t k = 0; k < K; k++) {
    for (int64_t j = 0; j < count; j++) copy[k * ld + j] = dM[j * K + k];
    for (int64_t j = count; j < ld; j++) copy[k * ld + j] = 0;
  }
  accumulate(context, copy, ld, x, {0, K}, dy, n, rows, workspace);
  for (int64_t j = 0; j < count; j++) {
    for (int64_t k = 0; k < K; k++) dM[j * K + k] = copy[k * ld + j];
  }
}

}  // namespace
}  // namespace bptt
