// NEON, class mul-add.
#if !defined(__ARM_NEON)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "neon"
#define BPTT_LANES 4
#define BPTT_FUSED 0
#define BPTT_TABLE kernels_neon_muladd
#include "../kernels/table.h"
