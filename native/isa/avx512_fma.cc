// AVX-512, class fma.
#if !defined(__AVX512F__)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "avx512"
#define BPTT_LANES 16
#define BPTT_FUSED 1
#define BPTT_TABLE kernels_avx512_fma
#include "../kernels/table.h"
