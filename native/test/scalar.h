// The contract of docs/numerics.md and src/plan/operations.ts once more, element by element in plain loops: what the
// kernels are compared with, to the last bit. Nothing here is shared with them but the constants. FUSED: the arithmetic
// class.
#pragma once
#include "arithmetic.h"

namespace bptt::test {

inline int64_t stride(int64_t n) { return (n + 15) / 16 * 16; }

inline float *at(const Context &c, int32_t address) {
  return address < 0
             ? nullptr
             : c.region[address >> plan::REGION_SHIFT] + int64_t{address & ((1 << plan::REGION_SHIFT) - 1)} * 16;
}

template <bool FUSED>
struct Scalar : Arithmetic<FUSED> {
  using Arithmetic<FUSED>::madd;
  using Arithmetic<FUSED>::clamp;
  using Arithmetic<FUSED>::sigmoid;
  using Arithmetic<FUSED>::exp;
  using Arithmetic<FUSED>::ln;
  using Arithmetic<FUSED>::activation;
  using Arithmetic<FUSED>::derivative;
  using Arithmetic<FUSED>::bias;
  using Arithmetic<FUSED>::softmax;
  using Arithmetic<FUSED>::squares;

  // The step of packed row r, and its row of the state before.
  static const float *before(const Context &c, const float *s, const float *s0, int64_t r, int64_t ld) {
    int64_t i = 0;
    while (c.start[i + 1] <= r) i++;
    const int64_t q = r - c.start[i];
    return i ? s + (c.start[i - 1] + q) * ld : s0 + q * ld;
  }

  static void gradient(float *dM, const float *dy, const float *x, const float *s0, const Context &c, int64_t N,
                       int64_t K, int64_t rows) {
    for (int64_t r = rows - 1; r >= 0; r--) {
      const float *row = s0 ? before(c, x, s0, r, stride(K)) : x + r * stride(K);
      for (int64_t n = 0; n < N; n++) {
        for (int64_t k = 0; k < K; k++) dM[n * K + k] = madd(dy[r * stride(N) + n], row[k], dM[n * K + k]);
      }
    }
  }

  static void loss_row(const Context &c, float *dz, const float *z, const float *targets, const float *weights,
                       double *out, int64_t N, int32_t head, int64_t t, bool counts) {
    const float scale = c.scalars[0];
    out[0] = out[1] = 0;
    if (head == plan::HEAD_SOFTMAX) {
      const float w = counts ? weights[t] : 0;
      if (w == 0) {
        for (int64_t j = 0; dz && j < N; j++) dz[j] = 0;
        return;
      }
      const int32_t y = reinterpret_cast<const int32_t *>(targets)[t];
      float *e = new float[size_t(N)], m, best = z[0];
      int64_t first = 0;
      for (int64_t j = 1; j < N; j++) {
        if (z[j] > best) best = z[first = j];
      }
      const double zy = z[y];
      const float sum = softmax(e, z, N, m), g = w * scale;
      out[0] = double{w} * ((double{m} + ln(sum)) - zy);
      out[1] = first == y;
      for (int64_t j = 0; dz && j < N; j++) {
        const float p = e[j] / sum, difference = p - (j == y ? 1.0f : 0.0f);
        dz[j] = difference * g;
      }
      delete[] e;
      return;
    }
    for (int64_t j = 0; j < N; j++) {
      const float w = counts ? weights[t * N + j] : 0, y = w == 0 ? 0 : targets[t * N + j], x = z[j], g = w * scale;
      if (w == 0) {
        if (dz) dz[j] = 0;
      } else if (head == plan::HEAD_SIGMOID) {
        const double a = x, b = y;
        out[0] += double{w} * (((a > 0 ? a : 0) - a * b) + ln(1 + double{exp(x > 0 ? -x : x)}));
        out[1] += (a >= 0) == (b >= 0.5);
        const float difference = sigmoid(x) - y;
        if (dz) dz[j] = difference * g;
      } else {
        const float d = x - y;
        out[0] += double{w} * double{d} * double{d};
        out[1] += double{d} * double{d};
        if (dz) dz[j] = d * g;
      }
    }
  }

  static void update(const Context &c, const int32_t *a) {
    using namespace plan;
    float *p = at(c, a[0]), *g = at(c, a[1]), *m = at(c, a[2]), *v = at(c, a[3]), *most = at(c, a[4]);
    const float *sc = c.scalars + 1;
    const float LR = sc[SCALAR_LR], WD = sc[SCALAR_WD], CLIP = sc[SCALAR_CLIP], EPS = sc[SCALAR_EPS], A = sc[SCALAR_A],
                B = sc[SCALAR_B];
    const float C = sc[SCALAR_C], D = sc[SCALAR_D], RHO = sc[SCALAR_RHO], k = float(c.result[RESULT_CLIP]);
    const int32_t optimizer = a[7], flags = a[8];
    for (int64_t j = 0; j < int64_t{a[5]} * 16; j++) {
      const bool decay = (flags & UPDATE_FLAG_DECAY) && (j < int64_t{a[6]} * 16 || (flags & UPDATE_FLAG_DECAY_BIASES));
      float x = g[j] * k, w = p[j], d;
      if (flags & UPDATE_FLAG_CLIP_VALUE) x = clamp(x, -CLIP, CLIP);
      if (decay && optimizer != OPTIMIZER_ADAMW) x = madd(WD, w, x);
      if (decay && optimizer == OPTIMIZER_ADAMW) w = w * WD;
      if (optimizer == OPTIMIZER_SGD) {
        d = x;
        if (flags & UPDATE_FLAG_MOMENTUM) {
          const float old = A * m[j];
          m[j] = madd(B, x, old);
          d = flags & UPDATE_FLAG_NESTEROV ? madd(A, m[j], x) : m[j];
        }
      } else if (optimizer == OPTIMIZER_RMSPROP) {
        const float old = A * v[j], square = x * x;
        float q = v[j] = madd(B, square, old);
        if (flags & UPDATE_FLAG_CENTERED) {
          const float mean = A * most[j];
          most[j] = madd(B, x, mean);
          q = madd(-most[j], most[j], q);
          q = q < 0 ? 0 : q;
        }
        const float root = std::sqrt(q), below = root + EPS;
        d = x / below;
        if (flags & UPDATE_FLAG_MOMENTUM) d = m[j] = madd(C, m[j], d);
      } else if (optimizer == OPTIMIZER_ADAGRAD) {
        v[j] = madd(x, x, v[j]);
        const float root = std::sqrt(v[j]), below = root + EPS;
        d = x / below;
      } else {
        const float mean = A * m[j], old = C * v[j], square = x * x;
        m[j] = madd(B, x, mean);
        float q = v[j] = madd(D, square, old);
        if (flags & UPDATE_FLAG_AMSGRAD) q = most[j] = q > most[j] ? q : most[j];
        d = m[j] / madd(std::sqrt(q), RHO, EPS);
      }
      p[j] = madd(-LR, d, w);
    }
  }

  static void run(int32_t op, const Context &c, const int32_t *a) {
    using namespace plan;
    const auto rows_of = [&](int32_t rows) { return int64_t{rows == ROWS_STEPS ? c.R : c.B}; };
    const auto each_row = [&](auto f) {
      for (int64_t i = 0; i < c.T; i++) {
        for (int64_t q = 0; q < c.active[i]; q++) f(i, q, c.start[i] + q);
      }
    };
    const auto copy = [](float *dst, const float *src, int64_t n) {
      for (int64_t j = 0; j < n; j++) dst[j] = src ? src[j] : 0;
    };
    float *x0 = at(c, a[0]);
    switch (op) {
      case OP_ZERO:
        return copy(x0, nullptr, int64_t{a[1]} * 16);
      case OP_COPY:
        return copy(x0, at(c, a[1]), int64_t{a[2]} * 16);
      case OP_FETCH:
        return each_row([&](int64_t i, int64_t q, int64_t r) {
          copy(x0 + r * stride(a[2]), nullptr, stride(a[2]));
          copy(x0 + r * stride(a[2]), at(c, a[1]) + (c.base[q] + i) * a[2], a[2]);
        });
      case OP_STATE_IN:
        for (int64_t q = 0; q < c.B; q++) {
          copy(x0 + q * stride(a[2]), c.init[q] < 0 ? nullptr : at(c, a[1]) + c.init[q] * stride(a[2]), a[2]);
        }
        return;
      case OP_STATE_OUT:
      case OP_LAST:
        for (int64_t q = 0; q < c.B; q++) {
          const int64_t from = op == OP_LAST ? c.last[q] : c.saved[q], to = op == OP_LAST ? q : c.slot[q],
                        ld = stride(a[3]);
          if (to >= 0) copy(x0 + to * ld, from < 0 ? at(c, a[1]) + q * ld : at(c, a[2]) + from * ld, a[3]);
        }
        return;
      case OP_PROJECT: {
        const int64_t N = a[6], K = a[7];
        for (int64_t r = 0; r < rows_of(a[8]); r++) {
          for (int64_t n = 0; n < N; n++) {
            float y = bias(at(c, a[4]), at(c, a[5]), n);
            for (int64_t k = 0; k < K; k++) y = madd(at(c, a[1])[r * stride(K) + k], at(c, a[2])[n * K + k], y);
            x0[r * stride(N) + n] = y;
          }
        }
        return;
      }
      case OP_GATHER:
        return each_row([&](int64_t i, int64_t q, int64_t r) {
          const int64_t N = a[6], K = a[7], token = reinterpret_cast<int32_t *>(at(c, a[1]))[c.base[q] + i];
          for (int64_t n = 0; n < N; n++)
            x0[r * stride(N) + n] = bias(at(c, a[4]), at(c, a[5]), n) + at(c, a[2])[n * K + token];
        });
      case OP_RECUR: {
        const int64_t S = a[4];
        return each_row([&](int64_t, int64_t, int64_t r) {
          const float *s = before(c, x0, at(c, a[1]), r, stride(S));
          for (int64_t n = 0; n < S; n++) {
            float y = x0[r * stride(S) + n];
            for (int64_t k = 0; k < S; k++) y = madd(s[k], at(c, a[2])[n * S + k], y);
            x0[r * stride(S) + n] = activation(a[5], y);
          }
        });
      }
      case OP_LOSS: {
        const int64_t N = a[5];
        const auto row = [&](int64_t r, int64_t t, bool counts) {
          loss_row(c, x0 ? x0 + r * stride(N) : nullptr, at(c, a[1]) + r * stride(N), at(c, a[2]), at(c, a[3]),
                   reinterpret_cast<double *>(at(c, a[4])) + 2 * r, N, a[6], t, counts);
        };
        if (a[7] == ROWS_STEPS)
          return each_row([&](int64_t i, int64_t q, int64_t r) { row(r, c.tbase[q] + i, i >= c.from[q]); });
        for (int64_t q = 0; q < c.B; q++) row(q, c.tbase[q], true);
        return;
      }
      case OP_SUM_LOSS:
        c.result[RESULT_LOSS] = c.result[RESULT_SCORE] = 0;
        for (int64_t r = 0; r < rows_of(a[1]); r++) {
          c.result[RESULT_LOSS] += reinterpret_cast<double *>(x0)[2 * r];
          c.result[RESULT_SCORE] += reinterpret_cast<double *>(x0)[2 * r + 1];
        }
        return;
      case OP_ACTIVATE:
        for (int64_t r = 0; r < rows_of(a[4]); r++) {
          const int64_t N = a[2];
          float *o = x0 + r * stride(N), m;
          const float *z = at(c, a[1]) + r * stride(N);
          const float sum = a[3] == HEAD_SOFTMAX ? softmax(o, z, N, m) : 0;
          for (int64_t j = 0; j < N; j++)
            o[j] = a[3] == HEAD_SOFTMAX ? o[j] / sum : a[3] == HEAD_SIGMOID ? sigmoid(z[j]) : z[j];
        }
        return;
      case OP_PROJECT_DX: {
        const int64_t N = a[4], K = a[5];
        for (int64_t r = 0; r < rows_of(a[6]); r++) {
          for (int64_t k = 0; k < K; k++) {
            float x = a[7] ? x0[r * stride(K) + k] : 0;
            for (int64_t n = 0; n < N; n++) x = madd(at(c, a[1])[r * stride(N) + n], at(c, a[2])[n * K + k], x);
            x0[r * stride(K) + k] = x;
          }
        }
        return;
      }
      case OP_RECUR_BACK: {
        const int64_t S = a[7], ld = stride(S);
        const float *above = at(c, a[3]), *s = at(c, a[1]), *W = at(c, a[5]);
        float *keep = at(c, a[9]), *keep0 = at(c, a[10]);
        for (int64_t i = c.T - 1; i >= -1; i--) {
          for (int64_t q = 0; q < (i < 0 ? c.B : c.active[i]); q++) {
            const bool ends = i + 1 == c.T || q >= c.active[i + 1];
            const int64_t r = i < 0 ? 0 : c.start[i] + q;
            for (int64_t k = 0; k < S; k++) {
              float g = 0;
              if (a[4] == ABOVE_STEPS && i >= 0) g = above[r * ld + k];
              if (a[4] == ABOVE_LAST && ends) g = above[q * ld + k];
              for (int64_t n = 0; n < S && !ends; n++) g = madd(x0[(c.start[i + 1] + q) * ld + n], W[n * S + k], g);
              if (i < 0) {
                if (keep0) keep0[q * ld + k] = g;
                continue;
              }
              if (keep) keep[r * ld + k] = g;
              x0[r * ld + k] = derivative(a[8], g, s[r * ld + k]);
            }
          }
        }
        return;
      }
      case OP_PROJECT_DW:
        return gradient(x0, at(c, a[1]), at(c, a[2]), nullptr, c, a[3], a[4], rows_of(a[5]));
      case OP_RECUR_DW:
        return gradient(x0, at(c, a[1]), at(c, a[2]), at(c, a[3]), c, a[4], a[5], c.R);
      case OP_BIAS_DW:
        for (int64_t r = rows_of(a[3]) - 1; r >= 0; r--) {
          for (int64_t n = 0; n < a[2]; n++) x0[n] += at(c, a[1])[r * stride(a[2]) + n];
        }
        return;
      case OP_GATHER_DW:
        for (int64_t i = c.T - 1; i >= 0; i--) {
          for (int64_t q = c.active[i] - 1; q >= 0; q--) {
            const int64_t token = reinterpret_cast<int32_t *>(at(c, a[2]))[c.base[q] + i];
            for (int64_t n = 0; n < a[4]; n++) x0[n * a[5] + token] += at(c, a[1])[(c.start[i] + q) * stride(a[4]) + n];
          }
        }
        return;
      case OP_NORM: {
        double sum = 0;
        for (int64_t j = 0, n = int64_t{a[1]} * 16; j < n; j += 4096)
          sum += squares(x0 + j, n - j < 4096 ? n - j : 4096);
        c.result[RESULT_NORM] = std::sqrt(sum);
        return;
      }
      case OP_STEP_NORMS: {
        const int64_t S = a[4];
        for (int64_t q = 0; q < c.B; q++)
          reinterpret_cast<double *>(x0)[q] = std::sqrt(squares(at(c, a[2]) + q * stride(S), S));
        for (int64_t r = 0; r < c.R; r++) {
          reinterpret_cast<double *>(at(c, a[1]))[r] = std::sqrt(squares(at(c, a[3]) + r * stride(S), S));
        }
        return;
      }
      case OP_CLIP: {
        const double scale = c.constants[a[0]] / (c.result[RESULT_NORM] + 1e-6);
        c.result[RESULT_CLIP] = float(scale > 1 ? 1 : scale);
        return;
      }
      case OP_UPDATE:
        return update(c, a);
    }
  }
};

}  // namespace bptt::test
