// SSE2, which every x64 machine has, class mul-add.
#if !defined(__SSE2__)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "sse2"
#define BPTT_LANES 4
#define BPTT_FUSED 0
#define BPTT_TABLE kernels_sse2_muladd
#include "../kernels/table.h"
