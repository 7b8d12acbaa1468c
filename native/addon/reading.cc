#include "reading.h"

#include <cstring>

#include "handle.h"

namespace bptt {
namespace {

typedef uint32_t Bits __attribute__((vector_size(16)));

// Of bits, or vectors of bits: an exponent of all ones carries into the sign.
template <typename T>
T carried(const float *from) {
  T bits;
  std::memcpy(&bits, from, sizeof bits);
  return (bits & 0x7fffffffu) + 0x00800000u;
}

bool all_finite(const float *list, const float *end) {
  Bits a = {}, b = {}, c = {}, d = {};  // variables of their own: this file is compiled for its size
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

}  // namespace

napi_value finite(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const std::span<float> list = span_of<float>(env, arguments_of<1>(env, info)[0], "list");
    return static_cast<napi_value>(Napi::Boolean::New(env, all_finite(list.data(), list.data() + list.size())));
  });
}

}  // namespace bptt
