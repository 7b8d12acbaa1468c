// Looks for what is not finite.
#pragma once
#include <cstdint>
#include <cstring>

namespace bptt {

// Of bits, or vectors of bits: an exponent of all ones carries into the sign.
template <typename T>
T carried(const float *from) {
  T bits;
  std::memcpy(&bits, from, sizeof bits);
  return (bits & 0x7fffffffu) + 0x00800000u;
}

inline bool all_finite(const float *list, const float *end) {
  typedef uint32_t Bits __attribute__((vector_size(16)));
  Bits a = {}, b = {}, c = {}, d = {};  // variables of their own: the addon is compiled for its size
  for (; end - list >= 16; list += 16) {
    a |= carried<Bits>(list);
    b |= carried<Bits>(list + 4);
    c |= carried<Bits>(list + 8);
    d |= carried<Bits>(list + 12);
  }
  a |= b | c | d;
  uint32_t signs = a[0] | a[1] | a[2] | a[3];
  for (; list < end; list++) signs |= carried<uint32_t>(list);
  return signs >> 31 == 0;
}

}  // namespace bptt
