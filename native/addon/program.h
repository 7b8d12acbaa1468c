// What the addon knows of a plan after it has checked it: its instructions, the memory that each operand covers as a
// function of the frame, and the places that hold indices. And the same for frames. Nothing that TypeScript says is
// believed past these two.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "../context.h"
#include "regions.h"

namespace bptt {

// What the number of rows of an operand is, in a frame.
enum Measure {
  ONCE,          // 1
  ROWS,          // R
  SEQUENCES,     // B
  INPUTS,        // rows of the resident inputs up to the last one used: max(base[q] + length of q)
  TARGET_STEPS,  // the same of the resident targets, with one target a step
  TARGETS,       // and with one target a sequence: max(tbase[q] + 1)
  CARRIED_IN,    // rows of the carried states: max(init[q] + 1)
  CARRIED_OUT,   // max(slot[q] + 1)
  SEGMENT_ROWS,  // R of the largest segment
  MEASURES
};

// Bytes [offset, offset + rows · row) of a region, for one operand of one instruction; in each segment further by
// shift.
struct Extent {
  int32_t region;
  Measure rows;
  int64_t offset, row, shift;
  int32_t instruction, argument;
  // Not 0: int32 values that a kernel uses as indices, in [0, limit); they lie in DATA, where no plan writes. Of equal
  // ones, the strictest.
  int32_t limit;
};

struct Instruction {
  int32_t op;
  const int32_t *args;
  double work = 0;     // floating-point operations for each …
  Measure per = ONCE;  // … of these
  // In segments: the arguments of the MOVEs in front of it, an instruction apart from each other.
  const int32_t *moves = nullptr;
  int32_t move_count = 0;
  // SEGMENTS: instructions behind it that it repeats, and those of them that the first segment leaves out; without
  // MOVEs, which are none here.
  int32_t body = 0, skip = 0;
  // PROJECT of all steps, with a RECUR of as many units behind it.
  bool leads = false;
};
constexpr int32_t MOVE_APART = 1 + plan::ARGUMENTS[plan::OP_MOVE];

struct Program {
  std::vector<int32_t> code;
  std::vector<double> constants;
  std::vector<Instruction> instructions;
  std::vector<Extent> extents;
  std::array<double, MEASURES> work{};  // of all instructions, for each of these
  int32_t steps = 0;                    // of a segment; 0: there are none

  // Checks everything about a plan that does not depend on the frame. Throws Fault ERR_INTERNAL.
  static std::shared_ptr<const Program> check(std::vector<int32_t> code, std::vector<double> constants);
};

struct Frame {
  int32_t T, B, R;
  const float *scalars;
  const int32_t *active, *base, *tbase, *last, *from, *init, *saved, *slot;
  const int32_t *start;   // [T + 1]
  const int32_t *length;  // [B]
  std::array<int64_t, MEASURES> rows;
};

// Segments that T steps have.
int32_t segment_count(int32_t T, int32_t steps);

// The frames of a job, and the memory that they point into, which is used again from job to job: of small nets hundreds
// of frames are checked where a job begins.
class Frames {
 public:
  // Replaces the frames by the `count` that lie end to end in `ints`. Throws Fault ERR_INTERNAL where one is not whole,
  // or where an operand of the program reaches past its region in it.
  void check(const Program &program, std::span<const int32_t> ints, int64_t count, const RegionSizes &sizes);

  const std::vector<Frame> &list() const { return list_; }

 private:
  std::vector<int32_t> ints_, shapes_;
  std::vector<Frame> list_;
};

// False where a token or a class target that this frame uses is out of range.
bool indices_in_range(const Program &program, const Frame &frame, const Regions &regions);

}  // namespace bptt
