// The check of a plan, instruction by instruction; frames are checked in frames.cc.
#include "program.h"

#include "examiner.h"

namespace bptt {

// Whether an instruction is a RECUR that goes on from what the PROJECT before it has made.
static bool follows(const Instruction &instruction, const Instruction &before) {
  return before.op == OP_PROJECT && instruction.op == OP_RECUR &&
         before.args[project::N] == instruction.args[recur::S] && before.args[project::rows] == ROWS_STEPS;
}

std::shared_ptr<const Program> Program::check(std::vector<int32_t> code, std::vector<double> constants) {
  const auto program = std::shared_ptr<Program>(new Program);
  program->code = std::move(code);
  program->constants = std::move(constants);
  const size_t size = program->code.size();
  int32_t left = 0, skip = 0;  // of SEGMENTS, MOVEs included
  size_t place = 0;            // its own
  const int32_t *moves = nullptr;
  int32_t move_count = 0;
  for (size_t at = 0; at < size;) {
    const int32_t op = program->code[at], index = static_cast<int32_t>(program->instructions.size());
    if (op < 1 || op > OPERATIONS) fail("ERR_INTERNAL", "plan: instruction %d has the unknown opcode %d", index, op);
    if (size - at - 1 < static_cast<size_t>(ARGUMENTS[op]))
      fail("ERR_INTERNAL", "plan: instruction %d lacks arguments", index);
    const int32_t *const args = program->code.data() + at + 1;
    const bool inside = left > 0;
    if (op == OP_MOVE) {
      if (!moves) moves = args;
      move_count++;
    } else {
      program->instructions.push_back({op, args, 0, ONCE, moves, move_count});
      Examiner examiner(*program, index, args, inside);
      examine(examiner, op, args, program->constants.size());
      examiner.all_moved();
      if (index > 0)
        program->instructions[index - 1].leads =
            follows(program->instructions[index], program->instructions[index - 1]);
      moves = nullptr;
      move_count = 0;
      if (inside) {
        program->instructions[place].body++;
        if (skip > 0) program->instructions[place].skip++;
      }
    }
    if (inside) left--, skip--;
    if (op == OP_SEGMENTS) {
      if (inside || (program->steps > 0 && program->steps != args[segments::steps]))
        Examiner(*program, index, args, inside).refuse(segments::steps, "is of segments in others, or unlike others");
      program->steps = args[segments::steps];
      left = args[segments::count];
      skip = args[segments::skip];
      place = static_cast<size_t>(index);
    }
    at += 1 + static_cast<size_t>(ARGUMENTS[op]);
  }
  if (left > 0 || move_count > 0) fail("ERR_INTERNAL", "plan: ends in the middle of its segments");
  return program;
}

}  // namespace bptt
