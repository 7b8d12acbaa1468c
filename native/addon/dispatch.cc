// The list of instruction sets and the loop that takes the first that the processor and the operating system support.
#include "dispatch.h"

#include "../kernels.h"
#include "fault.h"

namespace bptt {
namespace {

struct Candidate {
  const char *isa;
  bool (*supported)();
  const Kernels *fast;
  const Kernels *portable;
};

#if defined(__x86_64__)
// __builtin_cpu_supports also asks whether the operating system saves the wide registers (XCR0).
const Candidate CANDIDATES[] = {
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
     },
     &kernels_avx512_fma, &kernels_avx512_muladd},
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, &kernels_avx2_fma,
     &kernels_avx2_muladd},
    {"sse2", [] { return true; }, &kernels_sse2_muladd, &kernels_sse2_muladd},
};
#elif defined(__aarch64__)
const Candidate CANDIDATES[] = {{"neon", [] { return true; }, &kernels_neon_fma, &kernels_neon_muladd}};
#else
#error "no kernels for this processor: the package works on WebAssembly there"
#endif

}  // namespace

const Kernels &select_kernels(const std::string &name, bool portable) {
  std::string valid;
  for (const Candidate &candidate : CANDIDATES) {
    if (!candidate.supported()) continue;
    if (name.empty() || name == candidate.isa) return portable ? *candidate.portable : *candidate.fast;
    valid += valid.empty() ? candidate.isa : std::string(", ") + candidate.isa;
  }
  fail("ERR_INVALID_ARG", "BPTT_ISA names no instruction set of this machine: expected one of %s, received \"%.40s\"",
       valid.c_str(), name.c_str());
}

}  // namespace bptt
