// Norms, clipping and the optimisers, all over flat blocks of 16-float units: NORM STEP_NORMS CLIP UPDATE.
#pragma once
#include "arguments.h"

namespace bptt {
namespace {

// Sum of squares in eight float64 lanes, element j in lane j mod 8, folded 4, 2, 1. Squares of float32 are exact.
INLINE double sum_of_squares(const float *x, int64_t count) {
  double lane[8] = {};
  int64_t j = 0;
  for (; j + 8 <= count; j += 8) {
    UNROLL for (int l = 0; l < 8; l++) {
      const double value = x[j + l];
      lane[l] += value * value;
    }
  }
  for (int l = 0; j + l < count; l++) {
    const double value = x[j + l];
    lane[l] += value * value;
  }
  for (int half = 4; half > 0; half /= 2) {
    for (int l = 0; l < half; l++) lane[l] += lane[l + half];
  }
  return lane[0];
}

void norm(const Context &context, const int32_t *args, int part, int) {
  if (part > 0) return;
  Arguments take(context, args);
  const float *gradients = take.floats();
  const int64_t count = take.integer() * plan::UNIT_FLOATS;
  double sum = 0;
  for (int64_t j = 0; j < count; j += plan::NORM_BLOCK) {
    sum += sum_of_squares(gradients + j, smaller(plan::NORM_BLOCK, count - j));
  }
  context.result[plan::RESULT_NORM] = __builtin_sqrt(sum);
}

void step_norms(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  double *norms0 = take.doubles(), *norms = take.doubles();
  const float *g0 = take.floats(), *g = take.floats();
  const int64_t S = take.integer(), ld = stride(S);
  const Range q = share(context.B, 1, part, parts), rows = share(context.R, 1, part, parts);
  for (int64_t p = q.lo; p < q.hi; p++) norms0[p] = __builtin_sqrt(sum_of_squares(g0 + p * ld, S));
  for (int64_t row = rows.lo; row < rows.hi; row++) norms[row] = __builtin_sqrt(sum_of_squares(g + row * ld, S));
}

void clip(const Context &context, const int32_t *args, int part, int) {
  if (part > 0) return;
  const double scale = context.constants[args[0]] / (context.result[plan::RESULT_NORM] + 1e-6);
  context.result[plan::RESULT_CLIP] = static_cast<float>(scale > 1 ? 1 : scale);
}

// One optimiser over floats lo … hi; the numbered lists of src/plan/optimizers.ts.
struct Update {
  float *p, *g, *m, *v, *a;
  const float *scalar;  // by plan::SCALAR_…
  float clip;
  bool nesterov, centered, amsgrad, momentum, clip_value;

  template <int OPTIMIZER>
  INLINE void run(int64_t lo, int64_t hi, bool decay) const {
    using namespace plan;
    const vf k = splat(clip), minus_lr = splat(-scalar[SCALAR_LR]), wd = splat(scalar[SCALAR_WD]),
             eps = splat(scalar[SCALAR_EPS]);
    const vf A = splat(scalar[SCALAR_A]), B = splat(scalar[SCALAR_B]), C = splat(scalar[SCALAR_C]),
             D = splat(scalar[SCALAR_D]);
    const vf rho = splat(scalar[SCALAR_RHO]), bound = splat(scalar[SCALAR_CLIP]);
    for (int64_t j = lo; j < hi; j += VW) {
      vf w = load(p + j), x = load(g + j) * k, d;
      if (clip_value) {
        x = x < -bound ? -bound : x;
        x = x > bound ? bound : x;
      }
      if constexpr (OPTIMIZER == OPTIMIZER_ADAMW) {
        if (decay) w = w * wd;
      } else {
        if (decay) x = madd(wd, w, x);
      }
      if constexpr (OPTIMIZER == OPTIMIZER_SGD) {
        d = x;
        if (momentum) {
          const vf mean = madd(B, x, A * load(m + j));
          store(m + j, mean);
          d = nesterov ? madd(A, mean, x) : mean;
        }
      } else if constexpr (OPTIMIZER == OPTIMIZER_RMSPROP) {
        vf square = madd(B, x * x, A * load(v + j));
        store(v + j, square);
        if (centered) {
          const vf mean = madd(B, x, A * load(a + j));
          store(a + j, mean);
          square = madd(-mean, mean, square);
          square = square < vf{} ? vf{} : square;
        }
        d = x / (sqrt(square) + eps);
        if (momentum) {
          d = madd(C, load(m + j), d);
          store(m + j, d);
        }
      } else if constexpr (OPTIMIZER == OPTIMIZER_ADAGRAD) {
        const vf square = madd(x, x, load(v + j));
        store(v + j, square);
        d = x / (sqrt(square) + eps);
      } else {
        const vf mean = madd(B, x, A * load(m + j));
        vf square = madd(D, x * x, C * load(v + j));
        store(m + j, mean);
        store(v + j, square);
        if (amsgrad) {
          const vf most = load(a + j);
          square = square > most ? square : most;
          store(a + j, square);
        }
        d = mean / madd(sqrt(square), rho, eps);
      }
      store(p + j, madd(minus_lr, d, w));
    }
  }
};

template <int OPTIMIZER>
NOINLINE void update_share(const Update &update, Range floats, int64_t matrices, bool decay, bool decay_biases) {
  const int64_t middle = floats.hi < matrices ? floats.hi : floats.lo > matrices ? floats.lo : matrices;
  update.run<OPTIMIZER>(floats.lo, middle, decay);
  update.run<OPTIMIZER>(middle, floats.hi, decay && decay_biases);
}

void update(const Context &context, const int32_t *args, int part, int parts) {
  Arguments take(context, args);
  float *p = take.floats(), *g = take.floats(), *m = take.floats(), *v = take.floats(), *a = take.floats();
  const Range units = share(take.integer(), 1, part, parts);
  const int64_t matrices = take.integer() * plan::UNIT_FLOATS, optimizer = take.integer(), flags = take.integer();
  const auto has = [=](int32_t flag) { return (flags & flag) != 0; };
  const Update update{p,
                      g,
                      m,
                      v,
                      a,
                      context.scalars + 1,
                      static_cast<float>(context.result[plan::RESULT_CLIP]),
                      has(plan::UPDATE_FLAG_NESTEROV),
                      has(plan::UPDATE_FLAG_CENTERED),
                      has(plan::UPDATE_FLAG_AMSGRAD),
                      has(plan::UPDATE_FLAG_MOMENTUM),
                      has(plan::UPDATE_FLAG_CLIP_VALUE)};
  constexpr decltype(&update_share<0>) of[] = {update_share<0>, update_share<1>, update_share<2>, update_share<3>,
                                               update_share<4>};
  of[optimizer](update, {units.lo * plan::UNIT_FLOATS, units.hi * plan::UNIT_FLOATS}, matrices,
                has(plan::UPDATE_FLAG_DECAY), has(plan::UPDATE_FLAG_DECAY_BIASES));
}

}  // namespace
}  // namespace bptt
