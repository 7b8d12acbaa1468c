// Runs the instructions of a checked plan for one checked frame. Knows nothing of JavaScript, queues or ownership.
#pragma once
#include "pool.h"
#include "program.h"

namespace bptt {

// What all frames of a job have in common.
struct Setting {
  const Kernels &kernels;
  const Program &program;
  const Regions &regions;
  float *const *workspace;  // one block for each share of the team
  const int32_t *stop;
};

// Floating-point operations of one frame, roughly.
double work_of(const Program &program, const Frame &frame);

// Fills result [RESULT_FIELDS]. Throws Fault ERR_INTERNAL, before anything is run, where a token or class is out of
// range.
void run_frame(const Setting &setting, const Frame &frame, Team &team, double *result);

}  // namespace bptt
