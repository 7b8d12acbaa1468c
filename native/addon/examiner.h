// One instruction of a plan under examination: that its operands lie inside their regions, and the shapes they may
// have.
#pragma once
#include "fault.h"
#include "program.h"

namespace bptt {

using namespace plan;

constexpr int32_t SIZE_LIMIT = 1 << REGION_SHIFT;  // keeps every product below in int64
constexpr int64_t FLOAT = sizeof(float), DOUBLE = sizeof(double), INT = sizeof(int32_t);

// One instruction under examination.
class Examiner {
 public:
  Examiner(Program &program, int32_t index, const int32_t *args, bool inside)
      : program_(program), index_(index), args_(args), inside_(inside) {}

  [[noreturn]] void refuse(int32_t argument, const char *why) const {
    fail("ERR_INTERNAL", "plan: instruction %d (operation %d), argument %d %s", index_, args_[-1], argument, why);
  }

  static constexpr int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
  // Bytes of a row of activations.
  static constexpr int64_t row(int64_t size) { return up(size, UNIT_FLOATS) * FLOAT; }
  static constexpr int64_t dense(int64_t N, int64_t K) { return N * K * FLOAT; }
  // Bytes of a packed matrix [N, K]; panels are at most 64 columns wide on any instruction set.
  static constexpr int64_t packed(int32_t form, int64_t N, int64_t K) {
    if (form == PACK_PROJECT) return dense(up(N, 64), K);
    return form == PACK_PROJECT_DX ? dense(up(K, 64), N) : row(N) * K;
  }

  int64_t size(int32_t argument) const {
    if (args_[argument] < 1 || args_[argument] >= SIZE_LIMIT) refuse(argument, "is no size");
    return args_[argument];
  }
  int32_t choice(int32_t argument, int32_t first, int32_t last) const {
    if (args_[argument] < first || args_[argument] > last) refuse(argument, "is none of its enumeration");
    return args_[argument];
  }
  Measure rows(int32_t argument) const {
    return choice(argument, ROWS_STEPS, ROWS_BATCH) == ROWS_STEPS ? ROWS : SEQUENCES;
  }
  bool given(int32_t argument) const { return args_[argument] != NONE; }
  bool inside() const { return inside_; }

  void in(int32_t argument, Measure rows, int64_t bytes) {
    const int32_t *const move = move_of(argument);
    const int64_t moving = move ? int64_t{move[move::units]} * UNIT_BYTES : 0;
    const int32_t by = move ? move[move::by] : -1;
    if (!move) return covers(argument, args_[argument], inside_ && rows == ROWS ? SEGMENT_ROWS : rows, bytes, 0);
    if (by == BY_SEGMENT && rows == SEQUENCES && moving >= 0)
      return covers(argument, args_[argument], rows, bytes, moving);
    if (by == BY_ROW && rows == ROWS && moving == bytes) return covers(argument, args_[argument], rows, bytes, 0);
    // Who reads more than the rows of the first step could read past the end.
    const bool first_step = args_[-1] == OP_RECUR || args_[-1] == OP_RECUR_DW;
    if (by != BY_BEFORE || rows != SEQUENCES || moving != bytes || !first_step) refuse(argument, "cannot move so");
    covers(argument, move[move::rows], ROWS, bytes, 0);
    covers(argument, args_[argument], rows, bytes, 0);
  }
  // In a segment too it has the rows of the whole frame.
  void whole() {
    if (program_.extents.back().rows == SEGMENT_ROWS) program_.extents.back().rows = ROWS;
  }
  // Every MOVE has found an operand of its own, inside of segments.
  void all_moved() const {
    if (moved_ != program_.instructions.back().move_count) refuse(0, "or another may not move");
  }
  // Plans never write to DATA: the indices there stay what they were when they were checked.
  void out(int32_t argument, Measure rows, int64_t bytes) {
    in(argument, rows, bytes);
    if (program_.extents.back().region == REGION_DATA) refuse(argument, "writes to resident data");
  }
  void in_if_given(int32_t argument, Measure rows, int64_t bytes) {
    if (given(argument)) in(argument, rows, bytes);
  }
  void out_if_given(int32_t argument, Measure rows, int64_t bytes) {
    if (given(argument)) out(argument, rows, bytes);
  }
  void indices(int32_t argument, Measure rows, int64_t limit) {
    in(argument, rows, INT);
    if (program_.extents.back().region != REGION_DATA) refuse(argument, "holds indices outside of resident data");
    Extent &fresh = program_.extents.back();
    for (const Extent &known : program_.extents)
      if (known.limit > 0 && known.offset == fresh.offset && known.rows == fresh.rows && known.limit <= limit) return;
    fresh.limit = static_cast<int32_t>(limit);
  }
  // The shapes that are frequent, by the arguments that have their sizes.
  void in_rows(int32_t argument, Measure rows, int32_t width) { in(argument, rows, row(size(width))); }
  void out_rows(int32_t argument, Measure rows, int32_t width) { out(argument, rows, row(size(width))); }
  void in_matrix(int32_t argument, int32_t N, int32_t K) { in(argument, ONCE, dense(size(N), size(K))); }
  void out_matrix(int32_t argument, int32_t N, int32_t K) { out(argument, ONCE, dense(size(N), size(K))); }
  void in_packed(int32_t argument, int32_t form, int32_t N, int32_t K) {
    in(argument, ONCE, packed(form, size(N), size(K)));
  }
  void in_bias(int32_t argument, int32_t N) {
    if (given(argument)) in(argument, ONCE, size(N) * FLOAT);
  }

  // Multiplications and additions of N·(K + more), or of N·each.
  void work(Measure per, int32_t N, int32_t K, int64_t more = 0) { work_each(per, N, size(K) + more); }
  void work_each(Measure per, int32_t N, int64_t each) {
    const double work = 2.0 * static_cast<double>(size(N)) * static_cast<double>(each);
    program_.instructions.back().work = work;
    program_.instructions.back().per = per;
    program_.work[per] += work;
  }

 private:
  void covers(int32_t argument, int32_t address, Measure rows, int64_t bytes, int64_t shift) {
    if (address < 0 || address >> REGION_SHIFT >= REGIONS) refuse(argument, "is no address");
    const int64_t unit = address & (SIZE_LIMIT - 1);
    program_.extents.push_back({address >> REGION_SHIFT, rows, unit * UNIT_BYTES, bytes, shift, index_, argument, 0});
  }
  // The arguments of the MOVE of an argument, or null.
  const int32_t *move_of(int32_t argument) {
    const Instruction &instruction = program_.instructions.back();
    const int32_t *found = nullptr;
    for (int32_t i = 0; inside_ && i < instruction.move_count; i++) {
      const int32_t *const move = instruction.moves + i * MOVE_APART;
      if (move[move::argument] != argument) continue;
      if (found) refuse(argument, "moves twice");
      found = move;
      moved_++;
    }
    return found;
  }

  Program &program_;
  const int32_t index_;
  const int32_t *const args_;
  const bool inside_;
  int32_t moved_ = 0;
};

// Throws Fault ERR_INTERNAL where operation `op` has arguments that it cannot have.
void examine(Examiner &e, int32_t op, const int32_t *args, size_t constants);

}  // namespace bptt
