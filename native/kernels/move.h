// Operations that only move rows: ZERO, COPY, FETCH, STATE_IN, STATE_OUT. Rows of activations are moved whole, stride
// and all.
#pragma once
#include "arguments.h"

namespace bptt {
namespace {

INLINE void copy_row(float *dst, const float *src, int64_t ld) {
  for (int64_t j = 0; j < ld; j += VW) store(dst + j, load(src + j));
}

NOINLINE void copy_rows(float *dst, int64_t ldd, const float *src, int64_t lds, int64_t rows, int64_t width) {
  for (; rows > 0; rows--, dst += ldd, src += lds) copy_row(dst, src, width);
}

INLINE void zero_row(float *dst, int64_t ld) {
  for (int64_t j = 0; j < ld; j += VW) store(dst + j, vf{});
}

void zero(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dst = take.floats();
  const Range units = share(take.integer(), 1, part, parts);
  zero_row(dst + units.lo * plan::UNIT_FLOATS, (units.hi - units.lo) * plan::UNIT_FLOATS);
}

void copy(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dst = take.floats();
  const float *src = take.floats();
  const Range units = share(take.integer(), 1, part, parts);
  const int64_t at = units.lo * plan::UNIT_FLOATS;
  copy_row(dst + at, src + at, (units.hi - units.lo) * plan::UNIT_FLOATS);
}

void fetch(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dst = take.floats();
  const float *data = take.floats();
  const int64_t K = take.integer(), ld = stride(K);
  // Steps ahead: each of many sequences goes on by a row, which nothing in the machine foresees.
  constexpr int64_t SOON = 4;
  const Range q = share_sequences(context, part, parts);
  for (int64_t i = 0; i < context.T; i++) {
    const int64_t end = smaller(q.hi, context.active[i]);
    for (int64_t p = q.lo; p < end; p++) {
      float *row = dst + (context.start[i] + p) * ld;
      const float *from = data + (int64_t{context.base[p]} + i) * K;
      for (int64_t j = 0; j < ld; j += VW) {
        prefetch(from + SOON * K + j);
        store(row + j, j < K ? load_part(from + j, K - j) : vf{});
      }
    }
  }
}

void state_in(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *dst = take.floats();
  const float *carry = take.floats();
  const int64_t ld = stride(take.integer());
  const Range q = share(context.B, 1, part, parts);
  for (int64_t p = q.lo; p < q.hi; p++) {
    const int64_t from = context.init[p];
    if (from < 0)
      zero_row(dst + p * ld, ld);
    else
      copy_row(dst + p * ld, carry + from * ld, ld);
  }
}

void state_out(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *carry = take.floats();
  const float *s0 = take.floats();
  const float *s = take.floats();
  const int64_t ld = stride(take.integer());
  const Range q = share(context.B, 1, part, parts);
  for (int64_t p = q.lo; p < q.hi; p++) {
    const int64_t to = context.slot[p], saved = context.saved[p];
    if (to >= 0) copy_row(carry + to * ld, saved < 0 ? s0 + p * ld : s + saved * ld, ld);
  }
}

}  // namespace
}  // namespace bptt
