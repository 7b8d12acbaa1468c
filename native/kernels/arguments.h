// How a kernel reads its operation: arguments in the order of src/plan/operations.ts, its share of the work, and the
// packed rows.
#pragma once
#include "../context.h"
#include "../simd.h"

namespace bptt {
namespace {

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
INLINE int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
// Floats from one row of activations to the next.
INLINE int64_t stride(int64_t size) { return round_up(size, plan::UNIT_FLOATS); }

// Takes one argument after the other.
class Arguments {
 public:
  INLINE Arguments(const Context &context, const int32_t *args) : region_(context.region), next_(args) {}
  INLINE int64_t integer() { return *next_++; }
  // An address; null where it is NONE.
  INLINE float *floats() {
    const int32_t at = *next_++;
    if (at < 0) return nullptr;
    constexpr int32_t offset = (1 << plan::REGION_SHIFT) - 1;
    return region_[at >> plan::REGION_SHIFT] + int64_t{at & offset} * plan::UNIT_FLOATS;
  }
  INLINE const int32_t *integers() { return reinterpret_cast<const int32_t *>(floats()); }
  INLINE double *doubles() { return reinterpret_cast<double *>(floats()); }

 private:
  float *const *region_;
  const int32_t *next_;
};

// Floats of a page, about as far as processors fetch on their own account beyond what they read and write.
constexpr int64_t PAGE = 1024;

struct Range {
  int64_t lo, hi;
};

// Part `part` of `parts` of 0 … total, cut at multiples of grain.
INLINE Range share(int64_t total, int64_t grain, int part, int parts) {
  const int64_t grains = (total + grain - 1) / grain;
  return {smaller(total, grains * part / parts * grain), smaller(total, grains * (part + 1) / parts * grain)};
}

// Part `part` of the sequences: cut where the steps, not the sequences, are equally many. All operations on rows of
// steps go by it, so that a thread finds in its cache what it left there.
NOINLINE Range share_sequences(const Context &context, int part, int parts) {
  if (parts == 1) return {0, context.B};
  int64_t bound[2];
  for (int end = 0; end < 2; end++) {
    const int64_t wanted = int64_t{context.R} * (part + end) / parts;
    int64_t lo = 0, hi = context.B;
    if (context.R == hi * context.T) lo = hi = (hi * (part + end) + parts - 1) / parts;
    while (lo < hi) {
      const int64_t middle = (lo + hi) / 2;
      int64_t rows = 0;
      for (int64_t i = 0; i < context.T; i++) rows += smaller(middle, context.active[i]);
      if (rows < wanted)
        lo = middle + 1;
      else
        hi = middle;
    }
    bound[end] = part + end == parts ? context.B : lo;
  }
  return {bound[0], bound[1]};
}

INLINE int64_t rows_of(const Context &context, int64_t rows) {
  return rows == plan::ROWS_STEPS ? context.R : context.B;
}
INLINE bool stopped(const Context &context) { return __atomic_load_n(context.stop, __ATOMIC_RELAXED) != 0; }

}  // namespace
}  // namespace bptt
