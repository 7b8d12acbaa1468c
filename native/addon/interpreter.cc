// The loop over the instructions of a plan.
#include "interpreter.h"

#include <cmath>

#include "fault.h"

namespace bptt {
namespace {

using namespace plan;

// Sharing an operation costs up to a microsecond; this many floating-point operations take 5 to 20.
constexpr double WORTH_SHARING = 1e6;
// So many each part of a step of a time loop must have where the parts meet after it, which takes a microsecond: from
// one sequence of 512 units on two are faster than one.
constexpr double WORTH_MEETING = 2.6e5;

const int32_t NEVER = 0;

constexpr int32_t most_arguments() {
  int32_t most = 0;
  for (const int32_t count : ARGUMENTS) most = count > most ? count : most;
  return most;
}
constexpr int32_t MOST_ARGUMENTS = most_arguments();

// Has a team do an operation, or does it alone where that is as quick.
void run(Operation operation, const Instruction &instruction, const int32_t *args, Context &context, Team &team) {
  const int32_t rows = instruction.per == ROWS ? context.R : instruction.per == SEQUENCES ? context.B : 1;
  if (!team.together() || instruction.work * rows < WORTH_SHARING) return operation(context, args, 0, 1);
  if ((instruction.op != OP_RECUR && instruction.op != OP_RECUR_BACK) || context.B >= FEW_SEQUENCES)
    return team.run(operation, context, args);
  const double parts = instruction.work * context.B / WORTH_MEETING;
  if (parts < 2) return operation(context, args, 0, 1);
  team.run_meeting(operation, context, args, parts < MAX_THREADS ? static_cast<int>(parts) : MAX_THREADS);
}

// Segments of a frame, one after the other: segment() of src/plan/frame.ts.
class Cutter {
 public:
  explicit Cutter(const Context &whole)
      : whole_(whole), ints_(static_cast<size_t>(whole.T) + 1 + 6 * static_cast<size_t>(whole.B)) {}

  Context segment(int32_t m, int32_t steps) {
    const Context &w = whole_;
    const int32_t a = m * steps, b = steps < w.T - a ? a + steps : w.T;
    Context c = w;
    c.T = b - a;
    c.first = w.start[a];
    c.R = w.start[b] - c.first;
    c.before = a > 0 ? w.active[a - 1] : 0;
    c.after = b < w.T ? w.active[b] : 0;
    c.active = w.active + a;
    int32_t *next = ints_.data();
    c.start = next;
    for (int32_t i = a; i <= b; i++) *next++ = w.start[i] - c.first;
    int32_t *field[6];
    for (int32_t *&each : field) each = next, next += w.B;
    c.base = field[0], c.tbase = field[1], c.from = field[2], c.last = field[3], c.saved = field[4], c.slot = field[5];
    for (int32_t q = 0, length = c.T; q < w.B; q++) {
      while (length > 0 && c.active[length - 1] <= q) length--;
      const int32_t row = w.saved[q] < 0 ? -1 : w.saved[q] - c.first;
      const bool here = w.saved[q] < 0 ? m == 0 : row >= 0 && row < c.R;
      const int32_t values[] = {w.base[q] + a,   w.tbase[q] + a,
                                w.from[q] - a,   length > 0 ? c.start[length - 1] + q : -1,
                                here ? row : -1, here ? w.slot[q] : -1};
      for (int32_t i = 0; i < 6; i++) field[i][q] = values[i];
    }
    return c;
  }

 private:
  const Context &whole_;
  std::vector<int32_t> ints_;
};

// The arguments of an instruction in segment m.
void move(const Instruction &instruction, const Context &context, int32_t m, int32_t *args) {
  for (int32_t i = 0; i < ARGUMENTS[instruction.op]; i++) args[i] = instruction.args[i];
  if (m == 0) return;
  for (int32_t i = 0; i < instruction.move_count; i++) {
    const int32_t *const by = instruction.moves + i * MOVE_APART, units = by[move::units];
    int32_t &argument = args[by[move::argument]];
    if (by[move::by] == BY_BEFORE)
      argument = by[move::rows] + (context.first - context.before) * units;
    else
      argument += (by[move::by] == BY_ROW ? context.first : m) * units;
  }
}

// Instructions [from, to) over a frame or over segment m of it. Returns its status.
int32_t run(const Setting &setting, size_t from, size_t to, int32_t m, Context &context, Team &team) {
  const auto &instructions = setting.program.instructions;
  double *const result = context.result;
  int32_t args[MOST_ARGUMENTS];
  for (size_t i = from; i < to; i++) {
    const Instruction &instruction = instructions[i];
    if (__atomic_load_n(context.stop, __ATOMIC_RELAXED)) return STATUS_STOPPED;
    if (instruction.op == OP_GUARD) {
      if (!std::isfinite(result[RESULT_LOSS])) return STATUS_NONFINITE_LOSS;
      if (!std::isfinite(result[RESULT_NORM])) return STATUS_NONFINITE_GRADIENT;
      continue;
    }
    if (instruction.op == OP_SEGMENTS) {
      const int32_t steps = instruction.args[segments::steps], count = segment_count(context.T, steps);
      const size_t begin = i + 1, end = begin + static_cast<size_t>(instruction.body);
      Cutter cutter(context);
      for (int32_t n = 0; n < count; n++) {
        const int32_t at = instruction.args[segments::order] ? count - 1 - n : n;
        Context segment = cutter.segment(at, steps);
        const int32_t status =
            run(setting, begin + static_cast<size_t>(n ? 0 : instruction.skip), end, at, segment, team);
        if (status != STATUS_DONE) return status;
      }
      i = end - 1;
      continue;
    }
    // An update once begun is finished, and so is what follows it.
    if (instruction.op == OP_UPDATE) context.stop = &NEVER;
    if (instruction.leads && i + 1 < to &&
        setting.kernels.go_together(context.B, instruction.args[project::N], instruction.args[project::K])) {
      const Instruction &recurrence = instructions[i + 1];
      int32_t both[2 * MOST_ARGUMENTS], *const behind = both + ARGUMENTS[OP_PROJECT];
      move(instruction, context, m, both);
      move(recurrence, context, m, behind);
      if (both[project::y] == behind[recur::s]) {
        run(setting.kernels.project_recur, recurrence, both, context, team);
        i++;
        continue;
      }
    }
    if (instruction.move_count > 0) move(instruction, context, m, args);
    const Operation operation = setting.kernels.run[instruction.op];
    const int32_t *const here = instruction.move_count > 0 ? args : instruction.args;
    run(operation, instruction, here, context, team);
  }
  return __atomic_load_n(context.stop, __ATOMIC_RELAXED) ? STATUS_STOPPED : STATUS_DONE;
}

}  // namespace

double work_of(const Program &program, const Frame &frame) {
  double sum = 0;
  for (size_t m = 0; m < MEASURES; m++) sum += program.work[m] * static_cast<double>(frame.rows[m]);
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
  context.first = context.before = context.after = 0;
  context.scalars = frame.scalars;
  context.active = frame.active;
  context.start = frame.start;
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
  context.meet = nullptr;

  result[RESULT_CLIP] = 1;
  result[RESULT_STATUS] = run(setting, 0, setting.program.instructions.size(), 0, context, team);
}

}  // namespace bptt
