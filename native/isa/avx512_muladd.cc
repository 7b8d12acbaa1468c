// AVX-512, class mul-add.
#if !defined(__AVX512F__)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "avx512"
#define BPTT_LANES 16
#define BPTT_FUSED 0
#define BPTT_TABLE kernels_avx512_muladd
#include "../kernels/table.h"
