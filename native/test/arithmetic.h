// The functions of docs/numerics.md once more, one number at a time: what scalar.h is written with. FUSED: the
// arithmetic class.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../context.h"

namespace bptt::test {

template <bool FUSED>
struct Arithmetic {
  static float madd(float a, float b, float c) {
    if constexpr (FUSED) return __builtin_fmaf(a, b, c);
    const float product = a * b;
    return product + c;
  }

  static float clamp(float x, float lo, float hi) {
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
  }
  template <int N>
  static float horner(float x, const float (&c)[N]) {
    float p = c[0];
    for (int i = 1; i < N; i++) p = madd(p, x, c[i]);
    return p;
  }
  static float tanh(float x) {
    using namespace plan;
    x = clamp(x, -TANH_BOUND, TANH_BOUND);
    const float y = x * x;
    const float p = horner(y, {TANH_P0, TANH_P1, TANH_P2, TANH_P3, TANH_P4});
    const float xp = x * p;
    return xp / horner(y, {TANH_Q0, TANH_Q1, TANH_Q2, TANH_Q3, TANH_Q4});
  }
  static float sigmoid(float x) { return madd(0.5f, tanh(0.5f * x), 0.5f); }
  static float exp(float x) {
    using namespace plan;
    if (x != x) return x;
    x = clamp(x, EXP_LOW, EXP_HIGH);
    const float t = madd(x, EXP_LOG2E, ROUND), n = t - ROUND;
    float f = madd(n, -EXP_LN2_HIGH, x);
    f = madd(n, -EXP_LN2_LOW, f);
    float p = horner(f, {EXP_P0, EXP_P1, EXP_P2, EXP_P3, EXP_P4, EXP_P5});
    const float square = f * f;
    p = madd(p, square, f) + 1.0f;
    uint32_t bits, shift;
    memcpy(&bits, &p, 4);
    memcpy(&shift, &t, 4);
    bits += shift << 23;
    memcpy(&p, &bits, 4);
    return p;
  }
  static double ln(double x) {
    using namespace plan;
    if (!(x >= 0x1p-1022 && x < INFINITY)) return x;
    int k;
    double m = std::frexp(x, &k) * 2;  // 1 ≤ m < 2
    k--;
    uint64_t bits;
    memcpy(&bits, &m, 8);
    if ((bits >> 32 & 0xfffff) + LN_SHIFT >= 0x100000) {
      m /= 2;
      k++;
    }
    const double f = m - 1, s = f / (2 + f), z = s * s, w = z * z;
    const double t1 = w * (LN_L2 + w * (LN_L4 + w * LN_L6));
    const double t2 = z * (LN_L1 + w * (LN_L3 + w * (LN_L5 + w * LN_L7)));
    const double h = (0.5 * f) * f, dk = k;
    return dk * LN_LN2_HIGH - ((h - (s * (h + (t2 + t1)) + dk * LN_LN2_LOW)) - f);
  }
  static float activation(int32_t cell, float x) {
    switch (cell) {
      case plan::CELL_TANH:
        return tanh(x);
      case plan::CELL_SIGMOID:
        return sigmoid(x);
      case plan::CELL_RELU:
        return x < 0 ? 0 : x;
      default:
        return x;
    }
  }
  static float derivative(int32_t cell, float g, float s) {
    float d = g;
    if (cell == plan::CELL_TANH) d = g * madd(-s, s, 1);
    if (cell == plan::CELL_SIGMOID) {
      const float rest = 1 - s, slope = s * rest;
      d = g * slope;
    }
    if (cell == plan::CELL_RELU) d = s > 0 ? g : 0;
    return std::fabs(d) < plan::TINY ? 0 : d;
  }
  static float bias(const float *b, const float *b2, int64_t n) { return b ? b2 ? b[n] + b2[n] : b[n] : 0; }

  static float softmax(float *e, const float *z, int64_t N, float &m) {  // e = exp(z − m); its sum
    m = z[0];
    for (int64_t j = 1; j < N; j++) m = z[j] > m ? z[j] : m;
    float lane[16] = {};
    for (int64_t j = 0; j < N; j++) {
      const float difference = z[j] - m;
      e[j] = exp(difference);
      lane[j % 16] += e[j];
    }
    for (int half = 8; half > 0; half /= 2) {
      for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    }
    return lane[0];
  }
  static double squares(const float *x, int64_t n) {
    double lane[8] = {};
    for (int64_t j = 0; j < n; j++) lane[j % 8] += double{x[j]} * x[j];
    for (int half = 4; half > 0; half /= 2) {
      for (int l = 0; l < half; l++) lane[l] += lane[l + half];
    }
    return lane[0];
  }
};

}  // namespace bptt::test
