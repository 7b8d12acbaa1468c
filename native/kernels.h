// The tables of kernels: one for each instruction set and arithmetic class, each in a static library of its own
// (binding.gyp). Which of them a machine can run is dispatch's business.
#pragma once
#include "context.h"

namespace bptt {

extern "C" {
#if defined(__aarch64__)
extern const Kernels kernels_neon_fma, kernels_neon_muladd;
#else
extern const Kernels kernels_sse2_muladd;
extern const Kernels kernels_avx2_fma, kernels_avx2_muladd;
extern const Kernels kernels_avx512_fma, kernels_avx512_muladd;
#endif
}

}  // namespace bptt
