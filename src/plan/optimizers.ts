/*
 * The optimisers as numbered lists of float32 operations, and where each finds its scalars in a frame. PyTorch's forms
 * (torch.optim of 2.x); k is result.CLIP, every line rounds as docs/numerics.md says. All scalars are computed in float64 by
 * training/scalars.ts and rounded once.
 *
 *   all       g ← g·k;  where CLIP_VALUE: g ← clamp(g, −CLIP, CLIP);  where DECAY and not adamw: g ← madd(WD, p, g)
 *   sgd       where MOMENTUM: m ← madd(KEEP, g, MU·m);  d ← NESTEROV ? madd(MU, m, g) : m;  else d ← g;   p ← madd(−LR, d, p)
 *   rmsprop   v ← madd(1−α, g·g, α·v);  where CENTERED: a ← madd(1−α, g, α·a), q ← max(0, madd(−a, a, v)), else q ← v;
 *             d ← g ÷ (√q + ε);  where MOMENTUM: m ← madd(MU, m, d), d ← m;   p ← madd(−LR, d, p)
 *   adagrad   v ← madd(g, g, v);   p ← madd(−LR, g ÷ (√v + ε), p)            (LR already divided by 1 + (step−1)·lrDecay)
 *   adam      m ← madd(1−β₁, g, β₁·m);  v ← madd(1−β₂, g·g, β₂·v);  where AMSGRAD: a ← v > a ? v : a, q ← a, else q ← v;
 *             p ← madd(−LR, m ÷ madd(√q, RHO, ε), p)                          (LR = lr/(1−β₁ᵗ), RHO = 1/√(1−β₂ᵗ))
 *   adamw     where DECAY first p ← p·SHRINK (SHRINK = 1 − lr·decay), then as adam
 */

/** Index of each scalar in a frame, counted from SCALARS. */
export const Scalar = {
  LR: 0, // learning rate as used above (corrected for adam and adagrad)
  WD: 1, // weight decay; SHRINK for adamw
  CLIP: 2, // bound of CLIP_VALUE
  EPS: 3,
  A: 4, // sgd: MU; rmsprop: α; adam: β₁
  B: 5, // sgd: KEEP (1 − dampening, 1 at the first step); rmsprop: 1 − α; adam: 1 − β₁
  C: 6, // rmsprop: MU; adam: β₂
  D: 7, // adam: 1 − β₂
  RHO: 8, // adam
} as const
