// What the addon knows of a plan after it has checked it: its instructions, the memory that each operand covers as a
// function of the frame, and the places that hold indices. And the same for frames. Nothing that TypeScript says is
// believed past these two.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
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
  MEASURES
};

// Bytes [offset, offset + rows · row) of a region, for one operand of one instruction.
struct Extent {
  int32_t region;
  Measure rows;
  int64_t offset, row;
  int32_t instruction, argument;
};

// int32 values in memory that a kernel uses as indices: tokens and classes, one for each step or each sequence, in [0,
// limit).
struct Indices {
  int64_t offset;  // bytes, in DATA, where no plan writes
  Measure rows;
  int32_t limit;
};

struct Instruction {
  int32_t op;
  const int32_t *args;
  double work;  // floating-point operations for each …
  Measure per;  // … of these
};

struct Program {
  std::vector<int32_t> code;
  std::vector<double> constants;
  std::vector<Instruction> instructions;
  std::vector<Extent> extents;
  std::vector<Indices> indices;

  // Checks everything about a plan that does not depend on the frame. Throws Fault ERR_INTERNAL.
  static std::shared_ptr<const Program> check(std::vector<int32_t> code, std::vector<double> constants);
};

struct Frame {
  int32_t T, B, R;
  const float *scalars;
  const int32_t *active, *base, *tbase, *last, *from, *init, *saved, *slot;
  std::vector<int32_t> start;   // [T + 1]
  std::vector<int32_t> length;  // [B]
  std::array<int64_t, MEASURES> rows;

  // The frame at the head of `ints`, of which there are `available`. Throws Fault ERR_INTERNAL. The frame points into
  // `ints`.
  static Frame check(const int32_t *ints, int64_t available);
};

// Throws Fault ERR_INTERNAL where an operand of the program reaches past its region in this frame.
void check_extents(const Program &program, const Frame &frame, const RegionSizes &sizes);
// False where a token or a class target that this frame uses is out of range.
bool indices_in_range(const Program &program, const Frame &frame, const Regions &regions);

}  // namespace bptt
