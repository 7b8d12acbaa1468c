// The checks of frames: each is whole, and every operand of the plan (program.cc) stays inside its region in it.
// engine.cc runs them before each job.
#include <algorithm>
#include <cstring>

#include "fault.h"
#include "program.h"

namespace bptt {

using namespace plan;

int32_t segment_count(int32_t T, int32_t steps) { return T > steps ? (T - 1) / steps + 1 : 1; }

namespace {

// start [T + 1] and length [B] of a frame, written to `shape`; or those of the frame before it, where they are the
// same.
void find_shape(Frame &f, int32_t *shape, const Frame *before) {
  if (before && before->T == f.T && before->B == f.B && before->R == f.R &&
      std::memcmp(before->active, f.active, static_cast<size_t>(f.T) * sizeof(int32_t)) == 0) {
    f.start = before->start;
    f.length = before->length;
    return;
  }
  int32_t *const start = shape, *const length = shape + f.T + 1;
  f.start = start;
  f.length = length;
  int64_t rows = 0;
  int32_t alive = f.B;
  for (int32_t i = 0; i < f.T; i++) {
    if (f.active[i] < 1 || f.active[i] > alive)
      fail("ERR_INTERNAL", "frame: active[%d] is %d after %d", i, f.active[i], alive);
    for (int32_t q = f.active[i]; q < alive; q++) length[q] = i;
    alive = f.active[i];
    start[i] = static_cast<int32_t>(rows);
    rows += alive;
    if (rows > f.R) break;
  }
  if (rows != f.R)
    fail("ERR_INTERNAL", "frame: the steps have %lld rows or more, R is %d", static_cast<long long>(rows), f.R);
  for (int32_t q = 0; q < alive; q++) length[q] = f.T;
  start[f.T] = f.R;
}

// The frame at the head of `ints`, of which there are `available`. It points into `ints` and `shape`.
Frame check_frame(const int32_t *ints, int64_t available, int32_t *shape, const Frame *before) {
  if (available < FRAME_HEADER) fail("ERR_INTERNAL", "frame: the header is cut off");
  Frame f;
  f.B = ints[FRAME_B];
  f.T = ints[FRAME_T];
  f.R = ints[FRAME_R];
  if (f.B < 1 || f.T < 0 || f.R < 0) fail("ERR_INTERNAL", "frame: B = %d, T = %d, R = %d", f.B, f.T, f.R);
  const int64_t size = FRAME_HEADER + int64_t{f.T} + int64_t{SEQUENCE_FIELD_COUNT} * f.B;
  if (ints[FRAME_SIZE] != size || size > available)
    fail("ERR_INTERNAL", "frame: has %d ints, needs %lld, and %lld are there", ints[FRAME_SIZE],
         static_cast<long long>(size), static_cast<long long>(available));

  const int32_t *next = ints + FRAME_HEADER;
  f.scalars = reinterpret_cast<const float *>(ints + FRAME_SCALE);
  f.active = next;
  next += f.T;
  for (const int32_t **field : {&f.base, &f.tbase, &f.last, &f.from, &f.init, &f.saved, &f.slot}) {
    *field = next;
    next += f.B;
  }
  find_shape(f, shape, before);

  f.rows.fill(0);
  f.rows[ONCE] = 1;
  f.rows[ROWS] = f.R;
  f.rows[SEQUENCES] = f.B;
  const auto reach = [&f](Measure measure, int64_t rows) {
    if (rows > f.rows[measure]) f.rows[measure] = rows;
  };
  for (int32_t q = 0; q < f.B; q++) {
    if (f.base[q] < 0 || f.tbase[q] < 0 || f.from[q] < 0 || f.last[q] < -1 || f.last[q] >= f.R || f.saved[q] < -1 ||
        f.saved[q] >= f.R || f.init[q] < -1 || f.slot[q] < -1)
      fail("ERR_INTERNAL", "frame: a field of sequence %d is out of range", q);
    if (f.length[q] > 0) reach(INPUTS, int64_t{f.base[q]} + f.length[q]);
    if (f.length[q] > 0) reach(TARGET_STEPS, int64_t{f.tbase[q]} + f.length[q]);
    reach(TARGETS, int64_t{f.tbase[q]} + 1);
    reach(CARRIED_IN, int64_t{f.init[q]} + 1);
    reach(CARRIED_OUT, int64_t{f.slot[q]} + 1);
  }
  return f;
}

// Throws where an operand of the program reaches past its region in this frame.
void check_extents(const Program &program, const Frame &frame, const RegionSizes &sizes) {
  const int32_t segments = program.steps > 0 ? segment_count(frame.T, program.steps) : 1;
  int64_t most = 0;
  for (int64_t m = 0; m < segments; m++) {
    const int64_t a = m * program.steps, b = a + program.steps < frame.T ? a + program.steps : frame.T;
    const int64_t inside = frame.start[b] - frame.start[a];
    if (inside > most) most = inside;
  }
  for (const Extent &e : program.extents) {
    const int64_t rows = e.rows == SEGMENT_ROWS ? most : frame.rows[e.rows];
    const int64_t left = sizes[e.region] - e.offset;
    // Division, not multiplication: a product could overflow.
    if (rows > 0 && (left < 0 || (e.shift > 0 && segments - 1 > left / e.shift) ||
                     rows > (left - (segments - 1) * e.shift) / e.row))
      fail(
          "ERR_INTERNAL",
          "plan: instruction %d, argument %d: %lld rows of %lld bytes at %lld end past region %d, which has %lld bytes",
          e.instruction, e.argument, static_cast<long long>(frame.rows[e.rows]), static_cast<long long>(e.row),
          static_cast<long long>(e.offset), e.region, static_cast<long long>(sizes[e.region]));
  }
}

// For each measure, the rows with which every operand stays inside its region; none where that is not all to be said.
std::array<int64_t, MEASURES> safe_rows(const Program &program, const RegionSizes &sizes) {
  std::array<int64_t, MEASURES> rows;
  rows.fill(program.steps > 0 ? -1 : INT64_MAX);
  for (const Extent &e : program.extents) {
    const int64_t left = sizes[e.region] - e.offset;
    rows[e.rows] = std::min(rows[e.rows], left < 0 ? 0 : left / e.row);
  }
  return rows;
}

}  // namespace

void Frames::check(const Program &program, std::span<const int32_t> ints, int64_t count, const RegionSizes &sizes) {
  list_.clear();
  ints_.assign(ints.begin(), ints.end());  // copied first: the original may be shared memory
  const auto total = static_cast<int64_t>(ints_.size());
  if (count < 0 || count > total) fail("ERR_INTERNAL", "frames: %lld are too many", static_cast<long long>(count));
  // The shape of a frame takes less room than the frame.
  if (shapes_.size() < ints_.size()) shapes_.resize(ints_.size());
  list_.reserve(static_cast<size_t>(count));
  const std::array<int64_t, MEASURES> safe = safe_rows(program, sizes);
  for (int64_t at = 0; static_cast<int64_t>(list_.size()) < count; at += ints_[static_cast<size_t>(at)]) {
    const Frame *const before = list_.empty() ? nullptr : &list_.back();
    const Frame &frame = list_.emplace_back(check_frame(ints_.data() + at, total - at, shapes_.data() + at, before));
    bool sure = true;
    for (size_t m = 0; m < MEASURES; m++) sure = sure && frame.rows[m] <= safe[m];
    if (!sure) check_extents(program, frame, sizes);
  }
}

bool indices_in_range(const Program &program, const Frame &frame, const Regions &regions) {
  for (const Extent &indices : program.extents) {
    if (indices.limit == 0) continue;
    const auto *const values =
        reinterpret_cast<const int32_t *>(reinterpret_cast<const char *>(regions.base(REGION_DATA)) + indices.offset);
    const int32_t *const first = indices.rows == INPUTS ? frame.base : frame.tbase;
    uint32_t bad = 0;
    for (int32_t q = 0; q < frame.B; q++) {
      const int32_t count = indices.rows == TARGETS ? 1 : frame.length[q];
      for (int32_t i = 0; i < count; i++)  // no early exit: this loop is a few vector instructions
        bad |= static_cast<uint32_t>(values[int64_t{first[q]} + i]) >= static_cast<uint32_t>(indices.limit);
    }
    if (bad) return false;
  }
  return true;
}

}  // namespace bptt
