// What an operation sees: the memory map, the frame in hand and where results go. Filled by the interpreter
// (interpreter.cc), read by the kernels of every instruction set. Plain data, no standard library: this header is
// compiled into each instruction set's library.
#pragma once
#include <cstdint>

#include "plan.gen.h"

namespace bptt {

// Bytes of private workspace that each thread brings, 64-byte aligned: room for the packed operands of weight
// gradients, and for the rows on which a time loop works.
constexpr int64_t WORKSPACE_BYTES = plan::WORKSPACE_BYTES;

// With fewer sequences than this, threads divide the units of a time loop and meet after each step.
constexpr int32_t FEW_SEQUENCES = 8;
constexpr int32_t LEFT = INT32_MAX;

struct Context {
  // Base of each region, 64-byte aligned; an address is resolved by floats() and its kin.
  float *region[plan::REGIONS];
  // The frame (src/plan/frame.ts): T steps, B sequences, R packed rows. Or a segment of one: then its first row in the
  // frame, and the rows of the steps before and behind it.
  int32_t T, B, R;
  int32_t first, before, after;
  const float *scalars;   // [1 + SCALAR_COUNT]: SCALE, then the optimiser's (index by plan::SCALAR_… + 1)
  const int32_t *active;  // [T] rows alive at each step
  const int32_t *start;   // [T + 1] packed row at which each step starts
  const int32_t *base;    // [B] …, as named in frame.ts
  const int32_t *tbase;
  const int32_t *last;
  const int32_t *from;
  const int32_t *init;
  const int32_t *saved;
  const int32_t *slot;
  const double *constants;  // the plan's
  double *result;           // [RESULT_FIELDS] of this frame; CLIP is 1 until CLIP runs
  float *const *workspace;  // [parts] one block of WORKSPACE_BYTES for each thread
  const int32_t *stop;      // not 0: give up; polled in all long loops (read with __atomic_load_n)
  // Where each part has a thread of its own, which divide units: waits until all parts have done n steps, or have LEFT,
  // as each does at last, without waiting. Null where they divide sequences.
  void (*meet)(int part, int parts, int32_t n);
};

// One operation of the plan on one thread of a team: does part `part` of `parts` equal shares, and nothing else's. The
// team meets after each operation, and inside one only by `meet`. How an operation is shared out never changes a bit of
// its result.
using Operation = void (*)(const Context &context, const int32_t *args, int part, int parts);

// One step of one sequence through a network, all addresses known ahead: what a stream does again and again.
struct LayerStep {
  const float *U, *W;   // packed; U as rows of columns where tokens come in
  const float *b, *bh;  // [S] or null, in whole units
  float *s;             // [stride(S)], the state before and after
  int64_t K, S, cell;
};
struct NetStep {
  const LayerStep *layers;
  int64_t depth;
  bool tokens;
  // V up to NARROW outputs as its columns, one close behind the other, and NARROW floats more, for vectors to read
  // beyond; else packed. c [N] or null.
  const float *V, *c;
  int64_t N, head;
  float *room;        // stride of the largest of S and N
  bool back = false;  // which way the last step went through the columns
};

// Few outputs would leave most of a packed V's lines empty, and these would take the first cache away from W.
constexpr int64_t NARROW = plan::UNIT_FLOATS;

// w [K of the first layer], or one token; o [stride(N)].
using StepFunction = void (*)(NetStep &step, const void *w, float *o);

// Everything one instruction set exports.
struct Kernels {
  const char *isa;                      // "sse2", "avx2", "avx512", "neon"
  const char *arithmetic;               // "fma" or "mul-add"
  Operation run[plan::OPERATIONS + 1];  // by opcode; null where the interpreter does it
  // PROJECT and the RECUR that goes on from it in one, with the arguments of both; and whether that is sooner done, of
  // B sequences, S units and K inputs. Only then may it be called.
  Operation project_recur;
  bool (*go_together)(int64_t B, int64_t S, int64_t K);
  StepFunction step;
};

}  // namespace bptt
