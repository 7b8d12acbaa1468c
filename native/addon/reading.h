// What reading the user's data is helped with, because JavaScript takes long over it.
#pragma once
#include <napi.h>

namespace bptt {

// finite(Float32Array) → whether no element is NaN or an infinity.
napi_value finite(napi_env env, napi_callback_info info);

}  // namespace bptt
