// tanh, sigmoid, relu, exp and ln, and the derivatives of the cells: the formulas of docs/numerics.md, operation by
// operation.
#pragma once
#include "arguments.h"

namespace bptt {
namespace {

// In this order so that NaN passes.
INLINE vf clamp(vf x, float lo, float hi) { return lesser(splat(hi), larger(splat(lo), x)); }

template <int N>
INLINE vf horner(vf x, const float (&c)[N]) {
  vf p = splat(c[0]);
  UNROLL for (int i = 1; i < N; i++) p = madd(p, x, splat(c[i]));
  return p;
}

INLINE vf tanh(vf x) {
  x = clamp(x, -plan::TANH_BOUND, plan::TANH_BOUND);
  const vf y = x * x;
  const vf p = horner(y, {plan::TANH_P0, plan::TANH_P1, plan::TANH_P2, plan::TANH_P3, plan::TANH_P4});
  const vf q = horner(y, {plan::TANH_Q0, plan::TANH_Q1, plan::TANH_Q2, plan::TANH_Q3, plan::TANH_Q4});
  return x * p / q;
}

INLINE vf sigmoid(vf x) {
  const vf half = splat(0.5f);
  return madd(half, tanh(half * x), half);
}

INLINE vf relu(vf x) { return larger(vf{}, x); }

INLINE vf exp(vf x0) {
  const vf x = clamp(x0, plan::EXP_LOW, plan::EXP_HIGH);
  const vf t = madd(x, splat(plan::EXP_LOG2E), splat(plan::ROUND));
  const vf n = t - splat(plan::ROUND);
  const vf f = madd(n, splat(-plan::EXP_LN2_LOW), madd(n, splat(-plan::EXP_LN2_HIGH), x));
  vf p = horner(f, {plan::EXP_P0, plan::EXP_P1, plan::EXP_P2, plan::EXP_P3, plan::EXP_P4, plan::EXP_P5});
  p = madd(p, f * f, f) + splat(1.0f);
  const vf y = (vf)((vi)p + ((vi)t << 23));
  return x0 == x0 ? y : x0;
}

INLINE double ln(double x) {
  uint64_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  const int64_t exponent = static_cast<int64_t>(bits >> 52);  // with the sign
  if (exponent < 1 || exponent > 0x7fe) return x;
  const uint64_t high = bits >> 32 & 0xfffff;
  const uint64_t halve = (high + plan::LN_SHIFT) >> 20 & 1;
  const uint64_t mantissa = (bits & 0xfffffffffffff) | (0x3ff - halve) << 52;
  double f;
  __builtin_memcpy(&f, &mantissa, sizeof f);
  f -= 1.0;
  const double k = static_cast<double>(exponent - 0x3ff + static_cast<int64_t>(halve));
  const double s = f / (2.0 + f), z = s * s, w = z * z;
  const double t1 = w * (plan::LN_L2 + w * (plan::LN_L4 + w * plan::LN_L6));
  const double t2 = z * (plan::LN_L1 + w * (plan::LN_L3 + w * (plan::LN_L5 + w * plan::LN_L7)));
  const double h = 0.5 * f * f;
  return k * plan::LN_LN2_HIGH - ((h - (s * (h + (t2 + t1)) + k * plan::LN_LN2_LOW)) - f);
}

template <int CELL>
INLINE vf activation(vf x) {
  if constexpr (CELL == plan::CELL_TANH) return tanh(x);
  if constexpr (CELL == plan::CELL_SIGMOID) return sigmoid(x);
  if constexpr (CELL == plan::CELL_RELU) return relu(x);
  return x;
}

// g·f′ with f′ from the state s; what is below 2⁻¹⁰⁰ vanishes, so that δ never becomes subnormal.
template <int CELL>
INLINE vf derivative(vf g, vf s) {
  const vf one = splat(1.0f);
  vf d = g;
  if constexpr (CELL == plan::CELL_TANH) d = g * madd(-s, s, one);
  if constexpr (CELL == plan::CELL_SIGMOID) d = g * (s * (one - s));
  if constexpr (CELL == plan::CELL_RELU) d = s > vf{} ? g : vf{};
  const vf size = (vf)((vi)d & splat(INT32_MAX));
  return size < splat(plan::TINY) ? vf{} : d;
}

}  // namespace
}  // namespace bptt
