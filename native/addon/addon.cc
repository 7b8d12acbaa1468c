// The functions that src/backends/native.ts calls, and what each environment (the main thread, every Worker) keeps:
// unpacks arguments, hands over to engine.h and runner.h, settles promises. No arithmetic and no rules about plans.
//
//   describe(isa, portable)              → { isa, arithmetic }
//   availableThreads()                   → processors worth using
//   createEngine(isa, portable, threads) → handle
//   run(handle, …job)                    → seconds, on this thread
//   submit(handle, …job, here)           → Promise of seconds, by the runner; seconds of a brief job, where `here`
//   prepare(handle, bytes, planId, code, constants, frame, inputAt, input, outputAt, output) → function ()
//   stop(handle), giveWay(handle), dispose(handle)
//   finite(list), largest(list, places)  → reading.h
//
// …job: bytes Float64Array [REGIONS], planId, code Int32Array, constants Float64Array, frames Int32Array, count,
//       at Int32Array (addresses of the writes, then of the reads), writes: typed arrays,
//       outputs: results Float64Array [count · RESULT_FIELDS], then an array for each read,
//       onlyFinite: whether the last read leaves its array alone where it is not all finite, and null in its place
#include <list>

#include "dispatch.h"
#include "handle.h"
#include "quota.h"
#include "reading.h"
#include "runner.h"

namespace bptt {
namespace {

// A job on its way: what to fill and whom to tell when it is done.
struct Pending {
  std::unique_ptr<Job> job;
  napi_deferred deferred = nullptr;
  napi_ref outputs = nullptr;
  std::shared_ptr<Handle> handle;
};

// One environment's own state; nothing here is shared between threads but what the runner locks.
struct Instance {
  napi_env env;
  std::unique_ptr<Runner> runner;
  napi_threadsafe_function completion = nullptr;
  std::list<Pending> pending;
};

Instance &instance_of(napi_env env) {
  void *data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<Instance *>(data);
}

// The arguments behind the handle, of run() and submit(). The request borrows: use it before JavaScript runs again.
Request request_of(napi_env env, const napi_value *arguments) {
  const std::vector<napi_value> writes = list_of(env, arguments[7], "writes"),
                                outputs = list_of(env, arguments[8], "outputs");
  Request request;
  request.bytes = sizes_of(env, arguments[0]);
  request.plan = static_cast<int32_t>(integer_of(env, arguments[1], INT32_MIN, INT32_MAX, "planId"));
  request.count = integer_of(env, arguments[5], 0, INT32_MAX, "count");
  request.code = span_of<int32_t>(env, arguments[2], "code");
  request.constants = span_of<double>(env, arguments[3], "constants");
  request.frames = span_of<int32_t>(env, arguments[4], "frames");
  const std::span<int32_t> at = span_of<int32_t>(env, arguments[6], "at");
  if (outputs.empty() || at.size() != writes.size() + outputs.size() - 1)
    fail("ERR_INTERNAL", "%zu addresses for %zu writes and %zu outputs", at.size(), writes.size(), outputs.size());
  if (span_of<double>(env, outputs[0], "results").size() != static_cast<size_t>(request.count) * plan::RESULT_FIELDS)
    fail("ERR_INTERNAL", "results: wrong length for %lld frames", static_cast<long long>(request.count));
  const int32_t *next = at.data();
  for (const napi_value value : writes) {
    const View view = view_of(env, value, "writes[…].data");
    request.writes.push_back({{*next++, view.bytes()}, view.data});
  }
  for (size_t i = 1; i < outputs.size(); i++)
    request.reads.push_back({*next++, view_of(env, outputs[i], "outputs").bytes()});
  request.only_finite = boolean_of(env, arguments[9], "onlyFinite") && !request.reads.empty();
  return request;
}

// Results and reads into their arrays, which are looked at anew.
void deliver(napi_env env, napi_value outputs, const Job &job) {
  const std::vector<napi_value> list = list_of(env, outputs, "outputs");
  if (list.size() != job.reads.size() + 1) fail("ERR_DETACHED", "the list of outputs has changed");
  const std::span<double> results = span_of<double>(env, list[0], "results");
  if (results.size() != job.results.size()) fail("ERR_DETACHED", "the results were resized");
  std::copy(job.results.begin(), job.results.end(), results.begin());
  for (size_t i = 0; i < job.reads.size(); i++) {
    const View view = view_of(env, list[i + 1], "outputs");
    if (view.bytes() != job.reads[i].bytes) fail("ERR_DETACHED", "an output was resized");
    if (job.only_finite && i + 1 == job.reads.size() && !job.engine->finite(job.reads[i])) {
      napi_value none = nullptr;
      napi_get_null(env, &none);
      napi_set_element(env, outputs, static_cast<uint32_t>(i + 1), none);
    } else {
      job.engine->copy_out(job.reads[i], view.data);
    }
  }
}

napi_value describe(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const auto a = arguments_of<2>(env, info);
    const Kernels &kernels = select_kernels(string_of(env, a[0], "isa"), boolean_of(env, a[1], "portable"));
    Napi::Object description = Napi::Object::New(env);
    description.Set("isa", kernels.isa);
    description.Set("arithmetic", kernels.arithmetic);
    return static_cast<napi_value>(description);
  });
}

napi_value available(napi_env env, napi_callback_info) {
  return guarded(env, [&] { return static_cast<napi_value>(Napi::Number::New(env, available_threads())); });
}

napi_value create_engine(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const auto a = arguments_of<3>(env, info);
    const Kernels &kernels = select_kernels(string_of(env, a[0], "isa"), boolean_of(env, a[1], "portable"));
    const int threads = static_cast<int>(integer_of(env, a[2], 1, MAX_THREADS, "threads"));
    auto handle =
        std::make_unique<std::shared_ptr<Handle>>(new Handle{std::shared_ptr<Engine>(new Engine(kernels, threads))});
    const auto finalize = [](napi_env env, void *data, void *) {
      const std::unique_ptr<std::shared_ptr<Handle>> handle(static_cast<std::shared_ptr<Handle> *>(data));
      (*handle)->engine->dispose();
      (*handle)->report(env);
    };
    napi_value object = nullptr;
    if (napi_create_object(env, &object) != napi_ok || napi_type_tag_object(env, object, &ENGINE_TAG) != napi_ok ||
        napi_wrap(env, object, handle.get(), finalize, nullptr, nullptr) != napi_ok)
      fail("ERR_INTERNAL", "the engine's handle could not be made");
    handle.release();
    return object;
  });
}

// All of a job that has begun, on this thread.
napi_value run_here(napi_env env, Handle &handle, Job &job, napi_value outputs) {
  job.run();
  handle.engine->finish(job);
  handle.report(env);
  deliver(env, outputs, job);
  return Napi::Number::New(env, job.seconds);
}

napi_value run(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const auto a = arguments_of<11>(env, info);
    const std::shared_ptr<Handle> handle = handle_of(env, a[0]);
    handle->engine->must_be_free();
    const std::unique_ptr<Job> job = handle->engine->begin(request_of(env, a.data() + 1));
    return run_here(env, *handle, *job, a[9]);
  });
}

// The end of a submitted job, on the JavaScript thread. Failures to reach JavaScript are ignored: the environment is
// going down then.
void settle(napi_env env, Instance &instance, Pending &pending) noexcept {
  std::optional<Fault> fault;
  napi_value value = nullptr;
  try {
    napi_get_reference_value(env, pending.outputs, &value);
    std::optional<Fault> undelivered;
    try {
      // What a job that failed has left goes nowhere, not even by one that was queued behind it.
      if (!pending.job->fault && !pending.job->engine->disposed()) deliver(env, value, *pending.job);
    } catch (const Fault &caught) {
      undelivered = caught;
    }
    pending.handle->engine->finish(*pending.job);
    if (undelivered) throw *undelivered;
  } catch (const Fault &caught) {
    fault = caught;
  } catch (const std::exception &caught) {
    fault = Fault{"ERR_OUT_OF_MEMORY", caught.what()};
  }
  pending.handle->report(env);
  napi_delete_reference(env, pending.outputs);
  if (fault) {
    napi_reject_deferred(env, pending.deferred, error_of(env, *fault));
  } else {
    napi_create_double(env, pending.job->seconds, &value);
    napi_resolve_deferred(env, pending.deferred, value);
  }
  instance.pending.remove_if([&](const Pending &other) { return &other == &pending; });
}

void completed(napi_env env, napi_value, void *context, void *data) {
  if (!env) return;  // the environment is gone, and has taken its jobs with it
  auto *const instance = static_cast<Instance *>(context);
  for (Pending &pending : instance->pending) {
    if (pending.job.get() != data) continue;
    settle(env, *instance, pending);
    break;
  }
  // Only jobs in flight keep the process alive.
  if (instance->pending.empty()) napi_unref_threadsafe_function(env, instance->completion);
}

void start_runner(napi_env env, Instance &instance) {
  if (instance.runner) return;
  napi_value name = nullptr;
  napi_create_string_utf8(env, "bptt", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, &instance, completed,
                                      &instance.completion) != napi_ok)
    fail("ERR_INTERNAL", "a thread-safe function could not be made");
  napi_unref_threadsafe_function(env, instance.completion);
  instance.runner = std::make_unique<Runner>(
      [&instance](Job *job) { napi_call_threadsafe_function(instance.completion, job, napi_tsfn_nonblocking); });
  // Hooks run in reverse order: this one stops and joins before the thread-safe function's own, which was added above.
  const auto stop = [](void *data) {
    auto *const instance = static_cast<Instance *>(data);
    instance->runner.reset();
    for (const Pending &pending : instance->pending) napi_delete_reference(instance->env, pending.outputs);
    napi_release_threadsafe_function(instance->completion, napi_tsfn_abort);
  };
  napi_add_env_cleanup_hook(env, stop, &instance);
}

napi_value submit(napi_env env, napi_callback_info info) {
  return guarded(env, [&] {
    const auto a = arguments_of<12>(env, info);
    const std::shared_ptr<Handle> handle = handle_of(env, a[0]);
    Instance &instance = instance_of(env);
    const bool here = boolean_of(env, a[11], "here");
    start_runner(env, instance);
    Pending &pending = instance.pending.emplace_back();
    napi_value promise = nullptr;
    try {
      if (napi_create_reference(env, a[9], 1, &pending.outputs) != napi_ok)
        fail("ERR_INVALID_ARG", "outputs is no array");
      pending.handle = handle;
      pending.job = handle->engine->begin(request_of(env, a.data() + 1));
    } catch (...) {
      if (pending.outputs) napi_delete_reference(env, pending.outputs);
      instance.pending.pop_back();
      throw;
    }
    if (here && pending.job->brief()) {
      const std::unique_ptr<Job> job = std::move(pending.job);
      napi_delete_reference(env, pending.outputs);
      instance.pending.pop_back();
      return run_here(env, *handle, *job, a[9]);
    }
    napi_create_promise(env, &pending.deferred, &promise);
    handle->report(env);
    if (instance.pending.size() == 1) napi_ref_threadsafe_function(env, instance.completion);
    if (!instance.runner->submit(pending.job.get())) {
      pending.job->run();
      napi_call_threadsafe_function(instance.completion, pending.job.get(), napi_tsfn_nonblocking);
    }
    return promise;
  });
}

napi_value stop(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    handle_of(env, arguments_of<1>(env, info)[0])->engine->stop();
    return nullptr;
  });
}

napi_value give_way(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    handle_of(env, arguments_of<1>(env, info)[0])->engine->give_way();
    return nullptr;
  });
}

napi_value dispose(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const std::shared_ptr<Handle> handle = handle_of(env, arguments_of<1>(env, info)[0]);
    handle->engine->dispose();
    handle->report(env);
    return nullptr;
  });
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Instance{env, nullptr, nullptr, {}});
  retain_pool();
  env.AddCleanupHook([] { release_pool(); });
  const std::pair<const char *, napi_callback> functions[] = {
      {"describe", describe},
      {"availableThreads", available},
      {"createEngine", create_engine},
      {"run", run},
      {"submit", submit},
      {"prepare", prepare},
      {"stop", stop},
      {"giveWay", give_way},
      {"dispose", dispose},
      {"finite", finite},
      {"largest", largest},
  };
  for (const auto &[name, callback] : functions) {
    napi_value function = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
    exports.Set(name, function);
  }
  return exports;
}

NODE_API_MODULE(bptt, initialize)

}  // namespace
}  // namespace bptt
