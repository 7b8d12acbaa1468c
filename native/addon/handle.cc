// Handles told from other objects, and failures of all kinds as JavaScript's.
#include "handle.h"

#include <new>

namespace bptt {

std::shared_ptr<Handle> handle_of(napi_env env, napi_value value) {
  bool ours = false;
  void *data = nullptr;
  if (type_of(env, value) != napi_object || napi_check_object_type_tag(env, value, &ENGINE_TAG, &ours) != napi_ok ||
      !ours || napi_unwrap(env, value, &data) != napi_ok)
    fail("ERR_INVALID_ARG", "the first argument is no engine");
  return *static_cast<std::shared_ptr<Handle> *>(data);
}

napi_value error_of(napi_env env, const Fault &fault) {
  napi_value code = nullptr, text = nullptr, error = nullptr;
  napi_create_string_utf8(env, fault.code, NAPI_AUTO_LENGTH, &code);
  napi_create_string_utf8(env, fault.text.c_str(), fault.text.size(), &text);
  napi_create_error(env, code, text, &error);
  return error;
}

void raise(napi_env env) noexcept {
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  try {
    throw;
  } catch (const Fault &fault) {
    napi_throw(env, error_of(env, fault));
  } catch (const std::bad_alloc &) {
    napi_throw(env, error_of(env, {"ERR_OUT_OF_MEMORY", "memory could not be had"}));
  } catch (const std::exception &error) {
    napi_throw(env, error_of(env, {"ERR_INTERNAL", error.what()}));
  }
}

}  // namespace bptt
