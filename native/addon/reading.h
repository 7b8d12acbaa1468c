// What reading data and making answers is helped with, because JavaScript takes long over it.
#pragma once
#include <napi.h>

namespace bptt {

// finite(Float32Array) → whether no element is NaN or an infinity.
napi_value finite(napi_env env, napi_callback_info info);

// largest(Float32Array, places Int32Array): of each row, as many as there are places, the first place of the largest
// element, or 0 where all are NaN.
napi_value largest(napi_env env, napi_callback_info info);

}  // namespace bptt
