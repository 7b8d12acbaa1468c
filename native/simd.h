// The vector of one instruction set and the operations that kernels are written in: + − × ÷, compare, c ? a : b,
// integer + << & (of the compiler's vector types) and the functions below. Included first by isa/*.cc, which define
//   BPTT_LANES  float32 lanes of a vector      BPTT_FUSED  1: madd rounds once, 0: mul then add
#pragma once
#include <cstdint>
#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

// Everything below and in kernels/ is private to one object file: the linker must never hand an AVX-512 copy of a
// function to an older CPU.
#define INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define UNROLL _Pragma("GCC unroll 16")

namespace bptt {
namespace {

constexpr int VW = BPTT_LANES;
typedef float vf __attribute__((vector_size(4 * VW)));
typedef int32_t vi __attribute__((vector_size(4 * VW)));

INLINE vf load(const float *p) {
  typedef float memory __attribute__((vector_size(4 * VW), aligned(4), may_alias));
  return *reinterpret_cast<const memory *>(p);
}

INLINE void store(float *p, vf x) {
  typedef float memory __attribute__((vector_size(4 * VW), aligned(4), may_alias));
  *reinterpret_cast<memory *>(p) = x;
}

typedef float quad __attribute__((vector_size(16)));

INLINE vf splat(float x) { return x - vf{}; }  // − keeps the sign of −0
INLINE vi splat(int32_t x) { return x - vi{}; }

// 0, 1, 2, … in the lanes.
INLINE vi lanes() {
  vi x = {};
  UNROLL for (int l = 0; l < VW; l++) x[l] = l;
  return x;
}

// a > b ? a : b, and the same of <: one instruction where that is just what it does, of NaN and of zeros too.
#if defined(__aarch64__)
INLINE vf larger(vf a, vf b) { return a > b ? a : b; }
INLINE vf lesser(vf a, vf b) { return a < b ? a : b; }
#else
INLINE quad larger(quad a, quad b) { return (quad)_mm_max_ps((__m128)a, (__m128)b); }
#endif

#if BPTT_LANES == 16

// GCC 12 warns of the plain forms of these three.
INLINE vf sqrt(vf x) { return (vf)_mm512_maskz_sqrt_ps(0xffff, (__m512)x); }
INLINE vf larger(vf a, vf b) { return (vf)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b); }
INLINE vf lesser(vf a, vf b) { return (vf)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b); }
INLINE __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
INLINE vf load_edge(const float *p, int64_t n) { return (vf)_mm512_maskz_loadu_ps(first(n), p); }
INLINE void store_edge(float *p, vf x, int64_t n) { _mm512_mask_storeu_ps(p, first(n), (__m512)x); }

#elif BPTT_LANES == 8

INLINE vf sqrt(vf x) { return (vf)_mm256_sqrt_ps((__m256)x); }
INLINE vf larger(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vf lesser(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE __m256i first(int64_t n) { return (__m256i)(lanes() < splat(static_cast<int32_t>(n))); }
INLINE vf load_edge(const float *p, int64_t n) { return (vf)_mm256_maskload_ps(p, first(n)); }
INLINE void store_edge(float *p, vf x, int64_t n) { _mm256_maskstore_ps(p, first(n), (__m256)x); }

#else

#if defined(__aarch64__)
INLINE vf sqrt(vf x) { return (vf)vsqrtq_f32((float32x4_t)x); }
#else
INLINE vf sqrt(vf x) { return (vf)_mm_sqrt_ps((__m128)x); }
INLINE vf lesser(vf a, vf b) { return (vf)_mm_min_ps((__m128)a, (__m128)b); }
#endif
INLINE vf load_edge(const float *p, int64_t n) {
  return vf{n > 0 ? p[0] : 0.0f, n > 1 ? p[1] : 0.0f, n > 2 ? p[2] : 0.0f, n > 3 ? p[3] : 0.0f};
}
INLINE void store_edge(float *p, vf x, int64_t n) {
  UNROLL for (int l = 0; l < VW; l++) {
    if (l < n) p[l] = x[l];
  }
}

#endif

// a·b + c: the only operation that may be fused.
INLINE vf madd(vf a, vf b, vf c) {
#if !BPTT_FUSED
  return a * b + c;
#elif BPTT_LANES == 16
  return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif BPTT_LANES == 8
  return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#endif
}

// The line of p, on its way to the first cache. Any address will do.
INLINE void prefetch(const float *p) { __builtin_prefetch(p); }
// The same where it will be written: another processor that has it must give it up.
INLINE void prefetch_to_write(const float *p) { __builtin_prefetch(p, 1); }

// The edge of a dense row: the first n lanes are memory, the others read as +0 and are not written. n may exceed the
// vector.
INLINE vf load_part(const float *p, int64_t n) { return n >= VW ? load(p) : load_edge(p, n); }
INLINE void store_part(float *p, vf x, int64_t n) {
  if (n >= VW)
    store(p, x);
  else
    store_edge(p, x, n);
}

}  // namespace
}  // namespace bptt
