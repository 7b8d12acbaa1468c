// AVX2, class mul-add.
#if !defined(__AVX2__)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "avx2"
#define BPTT_LANES 8
#define BPTT_FUSED 0
#define BPTT_TABLE kernels_avx2_muladd
#include "../kernels/table.h"
