// The one place in C++ that knows what each operand of the table in src/plan/operations.ts covers.
#include "examiner.h"

namespace bptt {

static void examine_update(Examiner &e, const int32_t *args) {
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
  e.work_each(ONCE, units, 20 * UNIT_FLOATS);  // divisions and roots cost more than one
}

void examine(Examiner &e, int32_t op, const int32_t *args, size_t constants) {
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
      e.out_rows(dst, ROWS, K);
      e.in(data, INPUTS, e.size(K) * FLOAT);
      return e.work_each(ROWS, K, 6);  // memory: more than its arithmetic
    }
    case OP_STATE_IN: {
      using namespace state_in;
      e.out_rows(dst, SEQUENCES, S);
      return e.in_rows(carry, CARRIED_IN, S);
    }
    case OP_STATE_OUT: {
      using namespace state_out;
      e.out_rows(carry, CARRIED_OUT, S);
      e.in_rows(s0, SEQUENCES, S);
      return e.in_rows(s, ROWS, S);
    }
    case OP_PACK: {
      using namespace pack;
      const int32_t kind = e.choice(form, PACK_PROJECT, PACK_GATHER);
      e.out(pack::pack, ONCE, e.packed(kind, e.size(N), e.size(K)));
      e.in_matrix(M, N, K);
      return e.work(ONCE, N, K);
    }
    case OP_PROJECT: {
      using namespace project;
      const Measure count = e.rows(rows);
      e.out_rows(y, count, N);
      e.in_rows(x, count, K);
      e.in_matrix(M, N, K);
      e.in_packed(project::pack, PACK_PROJECT, N, K);
      e.in_bias(bias, N);
      e.in_bias(bias2, N);
      return e.work(count, N, K);
    }
    case OP_GATHER: {
      using namespace gather;
      e.out_rows(y, ROWS, N);
      e.indices(tokens, INPUTS, e.size(K));
      e.in_matrix(M, N, K);
      e.in_packed(gather::pack, PACK_GATHER, N, K);
      e.in_bias(bias, N);
      e.in_bias(bias2, N);
      return e.work_each(ROWS, N, 1);
    }
    case OP_RECUR: {
      using namespace recur;
      e.choice(cell, CELL_TANH, CELL_IDENTITY);
      e.out_rows(s, ROWS, S);
      e.in_rows(s0, SEQUENCES, S);
      e.in_matrix(W, S, S);
      e.in_packed(recur::pack, PACK_PROJECT, S, S);
      return e.work(ROWS, S, S, 10);
    }
    case OP_LAST: {
      using namespace last;
      e.out_rows(dst, SEQUENCES, S);
      e.in_rows(s0, SEQUENCES, S);
      return e.in_rows(s, ROWS, S);
    }
    case OP_LOSS: {
      using namespace loss;
      const Measure count = e.rows(rows), data = count == ROWS ? TARGET_STEPS : TARGETS;
      const bool softmax = e.choice(head, HEAD_SOFTMAX, HEAD_LINEAR) == HEAD_SOFTMAX;
      // In a segment targets are those of its first step.
      if (count == SEQUENCES && e.inside()) e.refuse(rows, "has no place inside of segments");
      if (e.given(dz)) e.out_rows(dz, count, N);
      e.in_rows(z, count, N);
      softmax ? e.indices(targets, data, e.size(N)) : e.in(targets, data, e.size(N) * FLOAT);
      e.in(weights, data, softmax ? FLOAT : e.size(N) * FLOAT);
      e.out(rowLoss, count, 2 * DOUBLE);
      e.whole();
      return e.work_each(count, N, 20);
    }
    case OP_SUM_LOSS: {
      using namespace sum_loss;
      return e.in(rowLoss, e.rows(rows), 2 * DOUBLE);
    }
    case OP_ACTIVATE: {
      using namespace activate;
      const Measure count = e.rows(rows);
      e.choice(head, HEAD_SOFTMAX, HEAD_LINEAR);
      e.out_rows(o, count, N);
      e.in_rows(z, count, N);
      return e.work_each(count, N, 15);
    }
    case OP_PROJECT_DX: {
      using namespace project_dx;
      const Measure count = e.rows(rows);
      e.choice(accumulate, 0, 1);
      e.out_rows(dx, count, K);
      e.in_rows(dy, count, N);
      e.in_matrix(M, N, K);
      e.in_packed(project_dx::pack, PACK_PROJECT_DX, N, K);
      return e.work(count, N, K);
    }
    case OP_RECUR_BACK: {
      using namespace recur_back;
      const int32_t kind = e.choice(aboveKind, ABOVE_NONE, ABOVE_LAST);
      e.choice(cell, CELL_TANH, CELL_IDENTITY);
      e.out_rows(d, ROWS, S);
      e.in_rows(s, ROWS, S);
      if (e.given(after) || e.inside()) e.in_rows(after, SEQUENCES, S);
      if (kind != ABOVE_NONE) e.in_rows(above, kind == ABOVE_STEPS ? ROWS : SEQUENCES, S);
      e.in_matrix(W, S, S);
      e.in_packed(recur_back::pack, PACK_PROJECT_DX, S, S);
      if (e.given(g)) e.out_rows(g, ROWS, S);
      if (e.given(g0)) e.out_rows(g0, SEQUENCES, S);
      return e.work(ROWS, S, S, 5);
    }
    case OP_PROJECT_DW: {
      using namespace project_dw;
      const Measure count = e.rows(rows);
      e.out_matrix(dM, N, K);
      e.in_rows(dy, count, N);
      e.in_rows(x, count, K);
      return e.work(count, N, K);
    }
    case OP_RECUR_DW: {
      using namespace recur_dw;
      e.out_matrix(dM, N, K);
      e.in_rows(d, ROWS, N);
      e.in_rows(s, ROWS, K);
      e.in_rows(s0, SEQUENCES, K);
      return e.work(ROWS, N, K);
    }
    case OP_BIAS_DW: {
      using namespace bias_dw;
      const Measure count = e.rows(rows);
      e.out(db, ONCE, e.size(N) * FLOAT);
      e.in_rows(dy, count, N);
      return e.work_each(count, N, 1);
    }
    case OP_GATHER_DW: {
      using namespace gather_dw;
      e.out_matrix(dM, N, K);
      e.in_rows(dy, ROWS, N);
      e.indices(tokens, INPUTS, e.size(K));
      e.out(gather_dw::pack, ONCE, e.row(e.size(N)) * e.size(K));
      return e.work_each(ROWS, N, 1);
    }
    case OP_NORM: {
      using namespace norm;
      e.in(gradients, ONCE, e.size(units) * UNIT_BYTES);
      return e.work_each(ONCE, units, UNIT_FLOATS);
    }
    case OP_STEP_NORMS: {
      using namespace step_norms;
      e.out(norms0, SEQUENCES, DOUBLE);
      e.out(norms, ROWS, DOUBLE);
      e.in_rows(g0, SEQUENCES, S);
      e.in_rows(g, ROWS, S);
      return e.work_each(ROWS, S, 1);
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
    case OP_SEGMENTS: {
      using namespace segments;
      e.size(steps);
      e.choice(order, 0, 1);
      e.choice(skip, 0, e.size(count));
      return;
    }
    default:
      e.refuse(0, "belongs to no known operation");
  }
}

}  // namespace bptt
