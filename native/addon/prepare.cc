// prepare() and the function that it makes: one step of a stream, again and again on the same places.
#include "handle.h"

namespace bptt {
namespace {

// A step and the arrays that it reads and writes, which lie in one buffer, the output last. The memory stays where it
// is until that is detached. native.ts, the only one to call, looks for that before each call, in a nanosecond; from
// here it takes nine.
struct Prepared {
  std::unique_ptr<Step> step;
  const void *input;
  int64_t floats;  // of the input; 0 where it is tokens
  void *output;
  napi_ref reference = nullptr;  // to the output: keeps the buffer
};

// The hot call of a stream: no arguments, no allocation. Returns undefined, or false where an input is not finite.
napi_value run_step(napi_env env, napi_callback_info info) {
  void *data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  const auto &prepared = *static_cast<const Prepared *>(data);
  return guarded(env, [&]() -> napi_value {
    napi_value refused = nullptr;
    if (!prepared.step->run(prepared.input, prepared.floats, prepared.output)) napi_get_boolean(env, false, &refused);
    return refused;
  });
}

}  // namespace

napi_value prepare(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const auto a = arguments_of<10>(env, info);
    const std::shared_ptr<Handle> handle = handle_of(env, a[0]);
    const View input = view_of(env, a[7], "input");
    if (input.type == napi_float64_array) fail("ERR_INVALID_ARG", "input is a typed array of another kind");
    const auto in = static_cast<int32_t>(integer_of(env, a[6], 0, INT32_MAX, "inputAt"));
    const auto out = static_cast<int32_t>(integer_of(env, a[8], 0, INT32_MAX, "outputAt"));
    Request request;
    request.bytes = sizes_of(env, a[1]);
    request.plan = static_cast<int32_t>(integer_of(env, a[2], INT32_MIN, INT32_MAX, "planId"));
    request.code = span_of<int32_t>(env, a[3], "code");
    request.constants = span_of<double>(env, a[4], "constants");
    request.frames = span_of<int32_t>(env, a[5], "frame");
    request.count = 1;
    request.writes = {{{in, input.bytes()}, nullptr}};
    const std::span<float> output = span_of<float>(env, a[9], "output");
    request.reads = {{out, static_cast<int64_t>(output.size_bytes())}};
    if (!same_buffer(env, a[7], a[9]) ||
        static_cast<char *>(input.data) + input.bytes() > static_cast<void *>(output.data()))
      fail("ERR_INVALID_ARG", "output does not lie behind input in one buffer");
    std::unique_ptr<Prepared> prepared(new Prepared{handle->engine->prepare(request), input.data,
                                                    input.type == napi_float32_array ? input.length : 0,
                                                    output.data()});
    handle->report(env);

    const auto finalize = [](napi_env env, void *data, void *) {
      const std::unique_ptr<Prepared> prepared(static_cast<Prepared *>(data));
      napi_delete_reference(env, prepared->reference);
    };
    napi_value function = nullptr;
    if (napi_create_reference(env, a[9], 1, &prepared->reference) != napi_ok ||
        napi_create_function(env, "step", NAPI_AUTO_LENGTH, run_step, prepared.get(), &function) != napi_ok ||
        napi_add_finalizer(env, function, prepared.get(), finalize, nullptr, nullptr) != napi_ok)
      fail("ERR_INTERNAL", "the step could not be made");
    prepared.release();
    return function;
  });
}

}  // namespace bptt
