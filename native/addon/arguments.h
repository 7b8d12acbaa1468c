// What comes in from JavaScript, read from the engine's own slots: a typed array's `length`, `buffer` and prototype can
// all lie, Node-API does not. Pointers are good until JavaScript runs next, so they are fetched last and never kept.
#pragma once
#include <napi.h>

#include <array>
#include <span>
#include <string>

#include "fault.h"
#include "regions.h"

namespace bptt {

struct View {
  napi_typedarray_type type;
  void *data;
  int64_t length;  // elements

  int64_t bytes() const { return length * (type == napi_float64_array ? 8 : 4); }
};

inline napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env, value, &type);
  return type;
}

// A Float32Array, Int32Array or Float64Array that is still there.
inline View view_of(napi_env env, napi_value value, const char *name) {
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0, offset = 0;
  void *data = nullptr;
  napi_value buffer = nullptr;
  if (napi_get_typedarray_info(env, value, &type, &length, &data, &buffer, &offset) != napi_ok ||
      (type != napi_float32_array && type != napi_int32_array && type != napi_float64_array))
    fail("ERR_INVALID_ARG", "%s is no Float32Array, Int32Array or Float64Array", name);
  bool detached = false;
  if (length == 0 && napi_is_detached_arraybuffer(env, buffer, &detached) == napi_ok && detached)
    fail("ERR_DETACHED", "%s was transferred or detached", name);
  return {type, data, static_cast<int64_t>(length)};
}

inline bool same_buffer(napi_env env, napi_value a, napi_value b) {
  napi_value of_a = nullptr, of_b = nullptr;
  bool same = false;
  return napi_get_typedarray_info(env, a, nullptr, nullptr, nullptr, &of_a, nullptr) == napi_ok &&
         napi_get_typedarray_info(env, b, nullptr, nullptr, nullptr, &of_b, nullptr) == napi_ok &&
         napi_strict_equals(env, of_a, of_b, &same) == napi_ok && same;
}

template <typename T>
constexpr napi_typedarray_type ARRAY_OF = napi_int32_array;
template <>
constexpr napi_typedarray_type ARRAY_OF<float> = napi_float32_array;
template <>
constexpr napi_typedarray_type ARRAY_OF<double> = napi_float64_array;

template <typename T>
std::span<T> span_of(napi_env env, napi_value value, const char *name) {
  const View view = view_of(env, value, name);
  if (view.type != ARRAY_OF<T>) fail("ERR_INVALID_ARG", "%s is a typed array of another kind", name);
  return {static_cast<T *>(view.data), static_cast<size_t>(view.length)};
}

// A whole number in [low, high]; never coerced.
inline int64_t integer_of(napi_env env, napi_value value, int64_t low, int64_t high, const char *name) {
  double number = 0;
  if (napi_get_value_double(env, value, &number) != napi_ok) fail("ERR_INVALID_ARG", "%s is no number", name);
  if (!(number >= static_cast<double>(low) && number <= static_cast<double>(high)) ||
      number != static_cast<double>(static_cast<int64_t>(number)))
    fail("ERR_OUT_OF_RANGE", "%s is no whole number from %lld to %lld", name, static_cast<long long>(low),
         static_cast<long long>(high));
  return static_cast<int64_t>(number);
}

// The elements of an array, before any of their pointers is fetched.
inline std::vector<napi_value> list_of(napi_env env, napi_value value, const char *name) {
  uint32_t length = 0;
  if (napi_get_array_length(env, value, &length) != napi_ok) fail("ERR_INVALID_ARG", "%s is no array", name);
  std::vector<napi_value> list(length);
  for (uint32_t i = 0; i < length; i++)
    if (napi_get_element(env, value, i, &list[i]) != napi_ok) fail("ERR_INVALID_ARG", "%s[%u] cannot be read", name, i);
  return list;
}

template <size_t N>
std::array<napi_value, N> arguments_of(napi_env env, napi_callback_info info) {
  std::array<napi_value, N> values;
  size_t count = N;
  napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr);  // those not given are undefined
  return values;
}

inline std::string string_of(napi_env env, napi_value value, const char *name) {
  char text[64];
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, text, sizeof text, &length) != napi_ok)
    fail("ERR_INVALID_ARG", "%s is no string", name);
  return {text, length};
}

inline bool boolean_of(napi_env env, napi_value value, const char *name) {
  bool result = false;
  if (napi_get_value_bool(env, value, &result) != napi_ok) fail("ERR_INVALID_ARG", "%s is no boolean", name);
  return result;
}

inline RegionSizes sizes_of(napi_env env, napi_value value) {
  const std::span<double> bytes = span_of<double>(env, value, "bytes");
  if (bytes.size() != plan::REGIONS) fail("ERR_INTERNAL", "bytes: %zu regions", bytes.size());
  RegionSizes sizes;
  for (size_t r = 0; r < bytes.size(); r++) {
    const double size = bytes[r];
    if (!(size >= 0 && size < 0x1p53)) fail("ERR_INTERNAL", "bytes[%zu] is no size", r);
    sizes[r] = static_cast<int64_t>(size);
  }
  return sizes;
}

}  // namespace bptt
