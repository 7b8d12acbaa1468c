// NEON, class fma.
#if !defined(__ARM_NEON)
#error "wrong compiler flags: see binding.gyp"
#endif
#define BPTT_ISA "neon"
#define BPTT_LANES 4
#define BPTT_FUSED 1
#define BPTT_TABLE kernels_neon_fma
#include "../kernels/table.h"
