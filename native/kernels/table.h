// All kernels of one instruction set as one table, the only thing that its library exports. Included by isa/*.cc, which
// define
//   BPTT_LANES, BPTT_FUSED  see simd.h      BPTT_ISA  its name      BPTT_TABLE  the table's (kernels.h)
#pragma once
#include "../kernels.h"
#include "head.h"
#include "move.h"
#include "optimize.h"
#include "project.h"
#include "recur.h"
#include "recur_back.h"
#include "step.h"

namespace bptt {

// By opcode: the order of src/plan/operations.ts.
extern "C" const Kernels BPTT_TABLE = {
    BPTT_ISA,
    BPTT_FUSED ? "fma" : "mul-add",
    {nullptr, zero,      copy, fetch,      state_in, state_out,  pack,       project,    gather,
     recur,   last,      loss, sum_loss,   activate, project_dx, recur_back, project_dw, recur_dw,
     bias_dw, gather_dw, norm, step_norms, clip,     nullptr,    update,     nullptr,    nullptr},
    project_recur,
    go_together,
    step,
};

static_assert(plan::OP_ZERO == 1 && plan::OP_PROJECT == 7 && plan::OP_ACTIVATE == 13 && plan::OP_UPDATE == 24 &&
                  plan::OPERATIONS == 26,
              "the table above follows the opcodes");

}  // namespace bptt
