// The floating-point mode that docs/numerics.md asks for, for as long as a scope lasts: rounding to nearest, subnormal
// numbers kept, no traps, whatever a stranger's library has left behind on this thread.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace bptt {

class FloatMode {
 public:
  FloatMode() : before_(read()) {
    if (!usual()) write(DEFAULT);
  }
  ~FloatMode() {
    if (!usual()) write(before_);
  }
  FloatMode(const FloatMode &) = delete;
  FloatMode &operator=(const FloatMode &) = delete;

 private:
#if defined(__x86_64__)
  using Register = uint32_t;
  static constexpr Register DEFAULT = 0x1F80, FLAGS = 0x3F;  // what has happened so far, which is no mode
  static Register read() { return _mm_getcsr(); }
  static void write(Register mode) { _mm_setcsr(mode); }
#else
  using Register = uint64_t;
  static constexpr Register DEFAULT = 0, FLAGS = 0;
  static Register read() {
    Register mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void write(Register mode) { __asm__ volatile("msr fpcr, %0" ::"r"(mode)); }
#endif
  // Nearly always: writing would cost more than the rest of a small step's way in.
  bool usual() const { return (before_ & ~FLAGS) == DEFAULT; }

  const Register before_;
};

}  // namespace bptt
