#include "reading.h"

#include <cstring>
#include <limits>

#include "finite.h"
#include "handle.h"

namespace bptt {
namespace {

typedef float Floats __attribute__((vector_size(16)));

// By lanes: in a single chain of comparisons each would wait for the one before.
int32_t place_of_largest(const float *row, size_t width) {
  Floats lanes = Floats{} - std::numeric_limits<float>::infinity();
  size_t j = 0;
  for (Floats x; j + 4 <= width; j += 4) {
    std::memcpy(&x, row + j, sizeof x);
    lanes = x > lanes ? x : lanes;
  }
  for (size_t i = 0; j < width; i++, j++) lanes[i] = row[j] > lanes[i] ? row[j] : lanes[i];
  float most = lanes[0];
  for (size_t i = 1; i < 4; i++) most = lanes[i] > most ? lanes[i] : most;
  for (j = 0; j < width; j++)
    if (row[j] >= most) return static_cast<int32_t>(j);
  return 0;
}

}  // namespace

napi_value finite(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const std::span<float> list = span_of<float>(env, arguments_of<1>(env, info)[0], "list");
    return static_cast<napi_value>(Napi::Boolean::New(env, all_finite(list.data(), list.data() + list.size())));
  });
}

napi_value largest(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto a = arguments_of<2>(env, info);
    const std::span<float> list = span_of<float>(env, a[0], "list");
    const std::span<int32_t> places = span_of<int32_t>(env, a[1], "places");
    const size_t width = places.empty() ? 0 : list.size() / places.size();
    for (size_t i = 0; i < places.size(); i++) places[i] = place_of_largest(list.data() + i * width, width);
    return nullptr;
  });
}

}  // namespace bptt
