// An engine as JavaScript holds it, and what every function that JavaScript calls does: failures become exceptions.
#pragma once
#include <memory>

#include "arguments.h"
#include "engine.h"

namespace bptt {

constexpr napi_type_tag ENGINE_TAG = {0x6270747400000001, 0x9d1c54e07f3a4b62};

// With the memory that the garbage collector has been told of.
struct Handle {
  std::shared_ptr<Engine> engine;
  int64_t reported = 0;

  void report(napi_env env) {
    int64_t ignored = 0;
    const int64_t now = engine->bytes();
    if (now != reported) napi_adjust_external_memory(env, now - reported, &ignored);
    reported = now;
  }
};

// @throws Fault where the value is none
std::shared_ptr<Handle> handle_of(napi_env env, napi_value value);

napi_value error_of(napi_env env, const Fault &fault);

// The failure in hand becomes a pending JavaScript exception; one that is pending already stays.
void raise(napi_env env) noexcept;

// What every function that JavaScript calls runs in.
template <typename Body>
napi_value guarded(napi_env env, Body body) noexcept {
  try {
    return body();
  } catch (...) {
    raise(env);
  }
  return nullptr;
}

// addon.cc says what it takes and gives.
napi_value prepare(napi_env env, napi_callback_info info);

}  // namespace bptt
