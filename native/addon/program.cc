// The checks of plans and frames. The one place in C++ that knows what each operand of the table in
// src/plan/operations.ts covers.
#include "program.h"

#include "fault.h"

namespace bptt {
namespace {

using namespace plan;

constexpr int32_t SIZE_LIMIT = 1 << REGION_SHIFT;  // keeps every product below in int64
constexpr int64_t FLOAT = sizeof(float), DOUBLE = sizeof(double), INT = sizeof(int32_t);

constexpr int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
// Bytes of a row of activations.
constexpr int64_t row(int64_t size) { return up(size, UNIT_FLOATS) * FLOAT; }
constexpr int64_t dense(int64_t N, int64_t K) { return N * K * FLOAT; }

// Bytes of a packed matrix [N, K]; panels are at most 64 columns wide on any instruction set.
int64_t packed(int32_t form, int64_t N, int64_t K) {
  switch (form) {
    case PACK_PROJECT:
      return dense(up(N, 64), K);
    case PACK_PROJECT_DX:
      return dense(up(K, 64), N);
    default:
      return row(N) * K;
  }
}

// One instruction under examination.
class Examiner {
 public:
  Examiner(Program &program, int32_t index, const int32_t *args) : program_(program), index_(index), args_(args) {}

  [[noreturn]] void refuse(int32_t argument, const char *why) const {
    fail("ERR_INTERNAL", "plan: instruction %d (operation %d), argument %d %s", index_, args_[-1], argument, why);
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

  void in(int32_t argument, Measure rows, int64_t bytes) {
    const int32_t address = args_[argument];
    if (address < 0 || address >> REGION_SHIFT >= REGIONS) refuse(argument, "is no address");
    const int64_t unit = address & (SIZE_LIMIT - 1);
    program_.extents.push_back({address >> REGION_SHIFT, rows, unit * UNIT_BYTES, bytes, index_, argument});
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
    const Indices fresh{program_.extents.back().offset, rows, static_cast<int32_t>(limit)};
    for (const Indices &known : program_.indices)
      if (known.offset == fresh.offset && known.rows == fresh.rows && known.limit <= fresh.limit) return;
    program_.indices.push_back(fresh);
  }
  void work(Measure per, double flops) {
    program_.instructions.back().work = flops;
    program_.instructions.back().per = per;
  }

 private:
  Program &program_;
  const int32_t index_;
  const int32_t *const args_;
};

void examine_update(Examiner &e, const int32_t *args) {
  using namespace update;
  const int64_t bytes = e.size(units) * UNIT_BYTES;
  e.choice(matrixUnits, 0, args[units]);
  const int32_t kind = e.choice(optimizer, OPTIMIZER_SGD, OPTIMIZER_ADAMW), bits = e.choice(flags, 0, 127);
  const bool adam = kind == OPTIMIZER_ADAM || kind == OPTIMIZER_ADAMW, rmsprop = kind == OPTIMIZER_RMSPROP;
  e.out(p, ONCE, bytes);
  e.out(g, ONCE, bytes);
  const auto moment = [&](int32_t argument, bool needed) {
    needed ? e.out(argument, ONCE, bytes) : e.out_if_given(argument, ONCE, bytes);
  };
  moment(m, adam || ((bits & UPDATE_FLAG_MOMENTUM) && kind != OPTIMIZER_ADAGRAD));
  moment(v, kind != OPTIMIZER_SGD);
  moment(a, (adam && (bits & UPDATE_FLAG_AMSGRAD)) || (rmsprop && (bits & UPDATE_FLAG_CENTERED)));
  e.work(ONCE, 40.0 * UNIT_FLOATS * static_cast<double>(args[units]));  // divisions and roots cost more than one
}

void examine(Examiner &e, int32_t op, const int32_t *args, size_t constants) {
  const auto flops = [](auto a, auto b) { return 2.0 * static_cast<double>(a) * static_cast<double>(b); };
  switch (op) {
    case OP_ZERO: {
      using namespace zero;
      return e.out(dst, ONCE, e.size(units) * UNIT_BYTES);
    }
    case OP_COPY: {
      using namespace copy;
      e.out(dst, ONCE, e.size(units) * UNIT_BYTES);
      return e.in(src, ONCE, e.size(units) * UNIT_BYTES);
    }
    case OP_FETCH: {
      using namespace fetch;
      e.out(dst, ROWS, row(e.size(K)));
      e.in(data, INPUTS, e.size(K) * FLOAT);
      return e.work(ROWS, flops(e.size(K), 1));
    }
    case OP_STATE_IN: {
      using namespace state_in;
      e.out(dst, SEQUENCES, row(e.size(S)));
      return e.in(carry, CARRIED_IN, row(e.size(S)));
    }
    case OP_STATE_OUT: {
      using namespace state_out;
      e.out(carry, CARRIED_OUT, row(e.size(S)));
      e.in(s0, SEQUENCES, row(e.size(S)));
      return e.in(s, ROWS, row(e.size(S)));
    }
    case OP_PACK: {
      using namespace pack;
      const int32_t kind = e.choice(form, PACK_PROJECT, PACK_GATHER);
      e.out(pack::pack, ONCE, packed(kind, e.size(N), e.size(K)));
      e.in(M, ONCE, dense(e.size(N), e.size(K)));
      return e.work(ONCE, flops(e.size(N), e.size(K)));
    }
    case OP_PROJECT: {
      using namespace project;
      const Measure count = e.rows(rows);
      e.out(y, count, row(e.size(N)));
      e.in(x, count, row(e.size(K)));
      e.in(M, ONCE, dense(e.size(N), e.size(K)));
      e.in(project::pack, ONCE, packed(PACK_PROJECT, e.size(N), e.size(K)));
      e.in_if_given(bias, ONCE, e.size(N) * FLOAT);
      e.in_if_given(bias2, ONCE, e.size(N) * FLOAT);
      return e.work(count, flops(e.size(N), e.size(K)));
    }
    case OP_GATHER: {
      using namespace gather;
      e.out(y, ROWS, row(e.size(N)));
      e.indices(tokens, INPUTS, e.size(K));
      e.in(M, ONCE, dense(e.size(N), e.size(K)));
      e.in(gather::pack, ONCE, packed(PACK_GATHER, e.size(N), e.size(K)));
      e.in_if_given(bias, ONCE, e.size(N) * FLOAT);
      e.in_if_given(bias2, ONCE, e.size(N) * FLOAT);
      return e.work(ROWS, flops(e.size(N), 1));
    }
    case OP_RECUR: {
      using namespace recur;
      e.choice(cell, CELL_TANH, CELL_IDENTITY);
      e.out(s, ROWS, row(e.size(S)));
      e.in(s0, SEQUENCES, row(e.size(S)));
      e.in(W, ONCE, dense(e.size(S), e.size(S)));
      e.in(recur::pack, ONCE, packed(PACK_PROJECT, e.size(S), e.size(S)));
      return e.work(ROWS, flops(e.size(S), e.size(S) + 10));
    }
    case OP_LAST: {
      using namespace last;
      e.out(dst, SEQUENCES, row(e.size(S)));
      e.in(s0, SEQUENCES, row(e.size(S)));
      return e.in(s, ROWS, row(e.size(S)));
    }
    case OP_LOSS: {
      using namespace loss;
      const Measure count = e.rows(rows), data = count == ROWS ? TARGET_STEPS : TARGETS;
      const bool softmax = e.choice(head, HEAD_SOFTMAX, HEAD_LINEAR) == HEAD_SOFTMAX;
      e.out_if_given(dz, count, row(e.size(N)));
      e.in(z, count, row(e.size(N)));
      softmax ? e.indices(targets, data, e.size(N)) : e.in(targets, data, e.size(N) * FLOAT);
      e.in(weights, data, softmax ? FLOAT : e.size(N) * FLOAT);
      e.out(rowLoss, count, 2 * DOUBLE);
      return e.work(count, flops(e.size(N), 20));
    }
    case OP_SUM_LOSS: {
      using namespace sum_loss;
      return e.in(rowLoss, e.rows(rows), 2 * DOUBLE);
    }
    case OP_ACTIVATE: {
      using namespace activate;
      const Measure count = e.rows(rows);
      e.choice(head, HEAD_SOFTMAX, HEAD_LINEAR);
      e.out(o, count, row(e.size(N)));
      e.in(z, count, row(e.size(N)));
      return e.work(count, flops(e.size(N), 15));
    }
    case OP_PROJECT_DX: {
      using namespace project_dx;
      const Measure count = e.rows(rows);
      e.choice(accumulate, 0, 1);
      e.out(dx, count, row(e.size(K)));
      e.in(dy, count, row(e.size(N)));
      e.in(M, ONCE, dense(e.size(N), e.size(K)));
      e.in(project_dx::pack, ONCE, packed(PACK_PROJECT_DX, e.size(N), e.size(K)));
      return e.work(count, flops(e.size(N), e.size(K)));
    }
    case OP_RECUR_BACK: {
      using namespace recur_back;
      const int32_t kind = e.choice(aboveKind, ABOVE_NONE, ABOVE_LAST);
      e.choice(cell, CELL_TANH, CELL_IDENTITY);
      e.out(d, ROWS, row(e.size(S)));
      e.in(s, ROWS, row(e.size(S)));
      e.in(s0, SEQUENCES, row(e.size(S)));
      if (kind != ABOVE_NONE) e.in(above, kind == ABOVE_STEPS ? ROWS : SEQUENCES, row(e.size(S)));
      e.in(W, ONCE, dense(e.size(S), e.size(S)));
      e.in(recur_back::pack, ONCE, packed(PACK_PROJECT_DX, e.size(S), e.size(S)));
      e.out_if_given(g, ROWS, row(e.size(S)));
      e.out_if_given(g0, SEQUENCES, row(e.size(S)));
      return e.work(ROWS, flops(e.size(S), e.size(S) + 5));
    }
    case OP_PROJECT_DW: {
      using namespace project_dw;
      const Measure count = e.rows(rows);
      e.out(dM, ONCE, dense(e.size(N), e.size(K)));
      e.in(dy, count, row(e.size(N)));
      e.in(x, count, row(e.size(K)));
      return e.work(count, flops(e.size(N), e.size(K)));
    }
    case OP_RECUR_DW: {
      using namespace recur_dw;
      e.out(dM, ONCE, dense(e.size(N), e.size(K)));
      e.in(d, ROWS, row(e.size(N)));
      e.in(s, ROWS, row(e.size(K)));
      e.in(s0, SEQUENCES, row(e.size(K)));
      return e.work(ROWS, flops(e.size(N), e.size(K)));
    }
    case OP_BIAS_DW: {
      using namespace bias_dw;
      const Measure count = e.rows(rows);
      e.out(db, ONCE, e.size(N) * FLOAT);
      e.in(dy, count, row(e.size(N)));
      return e.work(count, flops(e.size(N), 1));
    }
    case OP_GATHER_DW: {
      using namespace gather_dw;
      e.out(dM, ONCE, dense(e.size(N), e.size(K)));
      e.in(dy, ROWS, row(e.size(N)));
      e.indices(tokens, INPUTS, e.size(K));
      e.out(gather_dw::pack, ONCE, row(e.size(N)) * e.size(K));
      return e.work(ROWS, flops(e.size(N), 1));
    }
    case OP_NORM: {
      using namespace norm;
      e.in(gradients, ONCE, e.size(units) * UNIT_BYTES);
      return e.work(ONCE, flops(e.size(units), UNIT_FLOATS));
    }
    case OP_STEP_NORMS: {
      using namespace step_norms;
      e.out(norms0, SEQUENCES, DOUBLE);
      e.out(norms, ROWS, DOUBLE);
      e.in(g0, SEQUENCES, row(e.size(S)));
      e.in(g, ROWS, row(e.size(S)));
      return e.work(ROWS, flops(e.size(S), 1));
    }
    case OP_CLIP: {
      if (args[clip::maxNorm] < 0 || static_cast<size_t>(args[clip::maxNorm]) >= constants)
        e.refuse(clip::maxNorm, "is no constant of the plan");
      return;
    }
    case OP_GUARD:
      return;
    case OP_UPDATE:
      return examine_update(e, args);
    default:
      e.refuse(0, "belongs to no known operation");
  }
}

}  // namespace

std::shared_ptr<const Program> Program::check(std::vector<int32_t> code, std::vector<double> constants) {
  const auto program = std::shared_ptr<Program>(new Program);
  program->code = std::move(code);
  program->constants = std::move(constants);
  const size_t size = program->code.size();
  for (size_t at = 0; at < size;) {
    const int32_t op = program->code[at], index = static_cast<int32_t>(program->instructions.size());
    if (op < 1 || op > OPERATIONS) fail("ERR_INTERNAL", "plan: instruction %d has the unknown opcode %d", index, op);
    if (size - at - 1 < static_cast<size_t>(ARGUMENTS[op]))
      fail("ERR_INTERNAL", "plan: instruction %d lacks arguments", index);
    const int32_t *const args = program->code.data() + at + 1;
    program->instructions.push_back({op, args, 0, ONCE});
    Examiner examiner(*program, index, args);
    examine(examiner, op, args, program->constants.size());
    at += 1 + static_cast<size_t>(ARGUMENTS[op]);
  }
  return program;
}

Frame Frame::check(const int32_t *ints, int64_t available) {
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

  int64_t start = 0;
  f.start.resize(static_cast<size_t>(f.T) + 1);
  f.length.assign(static_cast<size_t>(f.B), 0);
  int32_t alive = f.B;
  for (int32_t i = 0; i < f.T; i++) {
    if (f.active[i] < 1 || f.active[i] > alive)
      fail("ERR_INTERNAL", "frame: active[%d] is %d after %d", i, f.active[i], alive);
    for (int32_t q = f.active[i]; q < alive; q++) f.length[q] = i;
    alive = f.active[i];
    f.start[i] = static_cast<int32_t>(start);
    start += alive;
    if (start > f.R) break;
  }
  if (start != f.R)
    fail("ERR_INTERNAL", "frame: the steps have %lld rows or more, R is %d", static_cast<long long>(start), f.R);
  for (int32_t q = 0; q < alive; q++) f.length[q] = f.T;
  f.start[f.T] = f.R;

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

void check_extents(const Program &program, const Frame &frame, const RegionSizes &sizes) {
  for (const Extent &e : program.extents) {
    const int64_t rows = frame.rows[e.rows];
    // Division, not multiplication: a product could overflow.
    if (rows > 0 && (e.offset > sizes[e.region] || rows > (sizes[e.region] - e.offset) / e.row))
      fail(
          "ERR_INTERNAL",
          "plan: instruction %d, argument %d: %lld rows of %lld bytes at %lld end past region %d, which has %lld bytes",
          e.instruction, e.argument, static_cast<long long>(rows), static_cast<long long>(e.row),
          static_cast<long long>(e.offset), e.region, static_cast<long long>(sizes[e.region]));
  }
}

bool indices_in_range(const Program &program, const Frame &frame, const Regions &regions) {
  for (const Indices &indices : program.indices) {
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
