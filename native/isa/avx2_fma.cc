// AVX2 with FMA, class fma.
#if !defined(__FMA__)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "avx2"
#define BPTT_LANES 8
#define BPTT_FUSED 1
#define BPTT_TABLE kernels_avx2_fma
#include "../kernels/table.h"
