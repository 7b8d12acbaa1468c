// The kernels that do what several operations do, against these.
#pragma once
#include "harness.h"

namespace bptt::test {

// One step of one sequence by the kernel for it against the operations that it stands for, twice: one to three layers.
static bool check_step(const Kernels &kernels) {
  using namespace plan;
  Case c;
  c.T = c.B = c.R = 1;
  c.active = {1}, c.start = {0, 1}, c.base = {0};
  const bool tokens = bits() % 3 == 0;
  const int depth = int(integer(1, 3));
  struct Layer {
    int32_t U, W, b, bh, Up, Wp, y, s0, s, K, S, cell;
  };
  std::vector<Layer> layers;
  const int32_t w = tokens ? c.integers(1, 5) : c.rows(1, 130), first = tokens ? 5 : int32_t(size() % 130 + 1);
  for (int k = 0; k < depth; k++) {
    const int32_t K = k ? layers.back().S : first, S = int32_t(size() % 600 + 1);
    const int32_t b = bits() % 4 ? c.dense(S) : NONE, bh = b != NONE && bits() % 2 ? c.dense(S) : NONE;
    layers.push_back({c.dense(int64_t{S} * K), c.dense(int64_t{S} * S), b, bh, c.packed(S, K), c.packed(S, S),
                      c.rows(1, S), c.rows(1, S), c.rows(1, S), K, S, int32_t(bits() % 4)});
  }
  const int32_t S = layers.back().S, N = int32_t(size()), head = int32_t(bits() % 3);
  const int32_t V = c.dense(int64_t{N} * S), Vp = c.packed(N, S), bias = bits() % 4 ? c.dense(N) : NONE;
  const int32_t z = c.rows(1, N);
  c.fill();
  Memory memory(c);
  const Context x = context(c, memory);
  for (const Layer &l : layers) {
    run(kernels, OP_PACK, x, {l.Up, l.U, l.S, l.K, tokens && &l == layers.data() ? PACK_GATHER : PACK_PROJECT}, 1);
    run(kernels, OP_PACK, x, {l.Wp, l.W, l.S, l.S, PACK_PROJECT}, 1);
    memcpy(at(x, l.s), at(x, l.s0), size_t(l.S) * 4);
  }
  run(kernels, OP_PACK, x, {Vp, V, N, S, PACK_PROJECT}, 1);

  const auto place = [&](int32_t address) { return address == NONE ? nullptr : at(x, address); };
  std::vector<LayerStep> steps;
  for (const Layer &l : layers)
    steps.push_back({at(x, l.Up), at(x, l.Wp), place(l.b), place(l.bh), at(x, l.s), l.K, l.S, l.cell});
  std::vector<float> room(1024), o(size_t(stride(N)) + 1, 0.25f);
  std::vector<float> columns(size_t(S * N + NARROW));
  for (int32_t n = 0; n < N; n++)
    for (int32_t k = 0; k < S; k++) columns[size_t(k * N + n)] = at(x, V)[n * S + k];
  NetStep step{steps.data(), depth, tokens, N <= NARROW ? columns.data() : at(x, Vp),
               place(bias),  N,     head,   room.data()};
  for (int turn = 0; turn < 2; turn++) {
    int32_t below = w;
    for (const Layer &l : layers) {
      if (tokens && below == w)
        run(kernels, OP_GATHER, x, {l.y, w, l.U, l.Up, l.b, l.bh, l.S, l.K}, 1);
      else
        run(kernels, OP_PROJECT, x, {l.y, below, l.U, l.Up, l.b, l.bh, l.S, l.K, ROWS_STEPS}, 1);
      run(kernels, OP_RECUR, x, {l.y, l.s0, l.W, l.Wp, l.S, l.cell}, 1);
      memcpy(at(x, l.s0), at(x, l.y), size_t(l.S) * 4);
      below = l.y;
    }
    run(kernels, OP_PROJECT, x, {z, below, V, Vp, bias, NONE, N, S, ROWS_STEPS}, 1);
    run(kernels, OP_ACTIVATE, x, {z, z, N, head, ROWS_STEPS}, 1);
    kernels.step(step, at(x, w), o.data());
    bool ok = o.back() == 0.25f;
    for (int32_t n = 0; n < N; n++) ok &= same(at(x, z)[n], o[size_t(n)]);
    for (const Layer &l : layers)
      for (int32_t n = 0; n < l.S; n++) ok &= same(at(x, l.s0)[n], at(x, l.s)[n]);
    if (!ok) return false;
  }
  return true;
}

// PROJECT of few inputs and RECUR in one against both, one after the other: parts that divide sequences, or units.
static bool check_project_recur(const Kernels &kernels) {
  using namespace plan;
  Case c;
  c.frame();
  const int32_t S = int32_t(size() % 80 + 1), K = int32_t(integer(1, 20));
  if (!kernels.go_together(c.B, S, K)) return true;
  const int32_t s = c.rows(c.R, S), w = c.rows(c.R, K), s0 = c.rows(c.B, S), U = c.dense(int64_t{S} * K),
                W = c.dense(int64_t{S} * S), b = bits() % 4 ? c.dense(S) : NONE,
                bh = b != NONE && bits() % 2 ? c.dense(S) : NONE, Up = c.packed(S, K), Wp = c.packed(S, S);
  const std::vector<int32_t> project = {s, w, U, Up, b, bh, S, K, ROWS_STEPS},
                             recur = {s, s0, W, Wp, S, int32_t(bits() % 4)};
  std::vector<int32_t> both = project;
  both.insert(both.end(), recur.begin(), recur.end());
  c.fill();
  Memory memory(c);
  const Context x = context(c, memory);
  run(kernels, OP_PACK, x, {Up, U, S, K, PACK_PROJECT}, 1);
  run(kernels, OP_PACK, x, {Wp, W, S, S, PACK_PROJECT}, 1);
  const int parts = int(integer(1, 3));
  if (c.B < FEW_SEQUENCES && parts > 1)
    run_meeting(kernels.project_recur, x, both, parts);
  else
    run(kernels.project_recur, x, both, parts);
  const std::vector<float> states(at(x, s), at(x, s) + c.R * stride(S));
  run(kernels, OP_PROJECT, x, project, 1);
  run(kernels, OP_RECUR, x, recur, 1);
  bool ok = true;
  for (int64_t i = 0; i < c.R; i++)
    for (int64_t n = 0; n < S; n++) ok &= same(at(x, s)[i * stride(S) + n], states[size_t(i * stride(S) + n)]);
  return ok;
}
}  // namespace bptt::test
