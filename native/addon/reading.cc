#include "reading.h"

#include <cstring>

#include "handle.h"

namespace bptt {
namespace {

typedef uint32_t Bits __attribute__((vector_size(16)));

// An exponent of all ones carries into the sign.
bool all_finite(const float *list, size_t count) {
  constexpr size_t LANES = 4, LOADS = 4;
  Bits bad[LOADS] = {};
  size_t i = 0;
  for (; i + LANES * LOADS <= count; i += LANES * LOADS)
    for (size_t n = 0; n < LOADS; n++) {
      Bits bits;
      std::memcpy(&bits, list + i + n * LANES, sizeof bits);
      bad[n] |= (bits & 0x7fffffffu) + 0x00800000u;
    }
  const Bits all = bad[0] | bad[1] | bad[2] | bad[3];
  uint32_t sign = all[0] | all[1] | all[2] | all[3];
  for (; i < count; i++) {
    uint32_t bits;
    std::memcpy(&bits, list + i, sizeof bits);
    sign |= (bits & 0x7fffffffu) + 0x00800000u;
  }
  return sign >> 31 == 0;
}

}  // namespace

napi_value finite(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const std::span<float> list = span_of<float>(env, arguments_of<1>(env, info)[0], "list");
    return static_cast<napi_value>(Napi::Boolean::New(env, all_finite(list.data(), list.size())));
  });
}

}  // namespace bptt
