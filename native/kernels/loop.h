// What a part does of a loop over time, and where it works: RECUR and RECUR_BACK. Threads divide the sequences and
// never meet inside, or the units of one step.
#pragma once
#include "move.h"
#include "row.h"

namespace bptt {
namespace {

// What a part does of a time loop: some sequences, all units; or some units of all, and then the parts must meet
// between steps.
struct Loop {
  Range q{}, units{};
  void (*const meeting)(int, int, int32_t);
  const int part, parts;
  int32_t steps = 0;

  NOINLINE Loop(const Context &context, int64_t S, int part, int parts)
      : meeting(context.meet), part(part), parts(parts) {
    const int64_t grain = NR > plan::UNIT_FLOATS ? NR : plan::UNIT_FLOATS;
    q = meeting ? Range{0, context.B} : share_sequences(context, part, parts);
    units = meeting ? share(stride(S), grain, part, parts) : Range{0, stride(S)};
  }
  ~Loop() {
    if (meeting) meeting(part, parts, LEFT);
  }
  Loop(const Loop &) = delete;
  // Before every step but the first.
  INLINE void next() {
    if (meeting) meeting(part, parts, ++steps);
  }
};

// Where a part works on the rows of its steps: where they belong; or in two places of its workspace, in turns from step
// to step, where rows are a line further apart, and then it stores them where they belong as well. That is better where
// those lie a multiple of 4 KiB apart, in one set of the first cache, which holds fewer lines than a tile has rows; and
// where they lie among those of other parts, whose processors fetch beyond their own and so take lines away in the
// middle of the work.
struct Desk {
  float *own = nullptr;
  int64_t ld, room;

  NOINLINE Desk(const Context &context, const Loop &loop, int64_t stride) : ld(stride) {
    constexpr int64_t CROWDED = 1024, SET = 8;
    const int64_t count = loop.q.hi - loop.q.lo, apart = stride + plan::UNIT_FLOATS;
    const bool crowded = stride % CROWDED == 0 && count > SET, contested = loop.parts > 1 && count > 1;
    room = count * apart;
    // Where parts meet, each reads the units that others have stored.
    if (loop.meeting || (!crowded && !contested) || 2 * room * 4 > WORKSPACE_BYTES) return;
    own = context.workspace[loop.part];
    ld = apart;
  }
  // Where those of a step are worked on, which lie at `place`.
  INLINE float *rows(int64_t step, float *place) const { return own ? own + step % 2 * room : place; }
  // Where those from which the loop begins are read, as if they were of that step.
  NOINLINE const float *begin(int64_t step, const float *place, int64_t count, int64_t stride) const {
    if (!own) return place;
    copy_rows(own + step % 2 * room, ld, place, stride, count, stride);
    return own + step % 2 * room;
  }
};

}  // namespace
}  // namespace bptt
