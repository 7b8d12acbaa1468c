// The loop over the instructions of a plan.
#include "interpreter.h"

#include <cmath>

#include "fault.h"

namespace bptt {
namespace {

using namespace plan;

// Sharing an operation costs up to a microsecond; this many floating-point operations take 5 to 20.
constexpr double WORTH_SHARING = 1e6;
// Recurrence is shared out by sequences; with fewer than this, halving the batch leaves each step as long as it was.
constexpr int32_t SEQUENCES_WORTH_SHARING = 8;

const int32_t NEVER = 0;

bool worth_sharing(const Instruction &instruction, const Frame &frame) {
  const bool recurrence = instruction.op == OP_RECUR || instruction.op == OP_RECUR_BACK;
  if (recurrence && frame.B < SEQUENCES_WORTH_SHARING) return false;
  return instruction.work * static_cast<double>(frame.rows[instruction.per]) >= WORTH_SHARING;
}

}  // namespace

double work_of(const Program &program, const Frame &frame) {
  double sum = 0;
  for (const Instruction &instruction : program.instructions)
    sum += instruction.work * static_cast<double>(frame.rows[instruction.per]);
  return sum;
}

void run_frame(const Setting &setting, const Frame &frame, Team &team, double *result) {
  if (!indices_in_range(setting.program, frame, setting.regions))
    fail("ERR_INTERNAL", "frame: a token or a class is out of range");

  Context context;
  for (int r = 0; r < REGIONS; r++) context.region[r] = setting.regions.base(r);
  context.T = frame.T;
  context.B = frame.B;
  context.R = frame.R;
  context.scalars = frame.scalars;
  context.active = frame.active;
  context.start = frame.start.data();
  context.base = frame.base;
  context.tbase = frame.tbase;
  context.last = frame.last;
  context.from = frame.from;
  context.init = frame.init;
  context.saved = frame.saved;
  context.slot = frame.slot;
  context.constants = setting.program.constants.data();
  context.result = result;
  context.workspace = setting.workspace;
  context.stop = setting.stop;

  result[RESULT_CLIP] = 1;
  for (const Instruction &instruction : setting.program.instructions) {
    if (__atomic_load_n(context.stop, __ATOMIC_RELAXED)) {
      result[RESULT_STATUS] = STATUS_STOPPED;
      return;
    }
    if (instruction.op == OP_GUARD) {
      const bool loss = std::isfinite(result[RESULT_LOSS]);
      if (loss && std::isfinite(result[RESULT_NORM])) continue;
      result[RESULT_STATUS] = loss ? STATUS_NONFINITE_GRADIENT : STATUS_NONFINITE_LOSS;
      return;
    }
    // An update once begun is finished, and so is what follows it.
    if (instruction.op == OP_UPDATE) context.stop = &NEVER;
    team.run(setting.kernels.run[instruction.op], context, instruction.args, worth_sharing(instruction, frame));
  }
  result[RESULT_STATUS] = STATUS_DONE;
}

}  // namespace bptt
