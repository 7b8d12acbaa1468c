// Jobs and prepared steps over an engine's regions.
#include "engine.h"

#include <cstring>

#include "finite.h"
#include "float_mode.h"

namespace bptt {
namespace {

using namespace plan;

const int32_t NEVER = 0;
// A job of less work than this, some 50 microseconds, is over before parked workers have woken up.
constexpr double WORTH_A_TEAM = 5e6;
// A job of less work than this, with weights that the second cache holds, takes about a quarter of a millisecond; the
// way to another thread and back some 40 microseconds.
constexpr double WORTH_A_THREAD = 2.5e7;
constexpr int64_t NEAR_BYTES = 1 << 20;
// Plans that an engine remembers: a model uses a handful.
constexpr size_t PROGRAMS = 64;

void check_place(const Place &place, const RegionSizes &sizes, const char *what) {
  const int32_t region = place.at >> REGION_SHIFT;
  if (place.at < 0 || region >= REGIONS) fail("ERR_INTERNAL", "%s: %d is no address", what, place.at);
  const int64_t offset = int64_t{place.at & ((1 << REGION_SHIFT) - 1)} * UNIT_BYTES;
  if (offset > sizes[region] || place.bytes > sizes[region] - offset)
    fail("ERR_INTERNAL", "%s: %lld bytes at %lld end past region %d, which has %lld bytes", what,
         static_cast<long long>(place.bytes), static_cast<long long>(offset), region,
         static_cast<long long>(sizes[region]));
}

}  // namespace

std::shared_ptr<const Program> Engine::check(const Request &request, Frames &frames) {
  std::shared_ptr<const Program> program;
  if (const auto known = programs_.find(request.plan); known != programs_.end()) {
    program = known->second;
  } else {
    program = Program::check({request.code.begin(), request.code.end()},
                             {request.constants.begin(), request.constants.end()});
    if (programs_.size() >= PROGRAMS) programs_.clear();
    programs_.emplace(request.plan, program);
  }
  const RegionSizes sizes = regions_.after(request.bytes);
  frames.check(*program, request.frames, request.count, sizes);
  for (const Write &write : request.writes) check_place(write, sizes, "write");
  for (const Place &read : request.reads) check_place(read, sizes, "read");
  return program;
}

void Engine::make_room(const Request &request) {
  if (workspaces_.empty()) {
    std::vector<Block> blocks;
    std::vector<float *> bases;
    for (int i = 0; i < threads_; i++) bases.push_back(blocks.emplace_back(WORKSPACE_BYTES).base());
    workspaces_ = std::move(blocks);
    workspace_ = std::move(bases);
  }
  regions_.grow(request.bytes);
  changes_++;
}

std::unique_ptr<Job> Engine::begin(const Request &request) {
  if (disposed_ || (jobs_ > 0 && !may_follow(request))) refuse();
  auto job = std::make_unique<Job>();
  job->engine = shared_from_this();
  job->frames = std::move(spare_);
  job->program = check(request, job->frames);
  job->reads = request.reads;
  job->only_finite = request.only_finite;
  const std::vector<Frame> &frames = job->frames.list();
  job->results.assign(frames.size() * RESULT_FIELDS, 0);
  for (const Frame &frame : frames) job->work += work_of(*job->program, frame);
  make_room(request);
  for (const Write &write : request.writes)
    if (write.bytes > 0) std::memcpy(regions_.at(write.at), write.data, static_cast<size_t>(write.bytes));
  if (jobs_++ == 0) {
    stop_ = give_way_ = 0;
    began_ = {};
  }
  reading_ = !request.reads.empty();
  return job;
}

std::unique_ptr<Step> Engine::prepare(const Request &request) {
  must_be_free();
  auto step = std::make_unique<Step>();
  step->engine = shared_from_this();
  step->program = check(request, step->frames);
  step->input = request.writes.at(0);
  step->output = request.reads.at(0);
  step->fused = Fused::of(*step->program, step->frames.list().front(), step->input, step->output);
  make_room(request);
  return step;
}

void Engine::finish(Job &job) {
  jobs_--;
  spare_ = std::move(job.frames);
  if (disposed_) {
    dispose();
    fail("ERR_DISPOSED", "the model was disposed of while it was at work");
  }
  if (job.fault) throw *job.fault;
}

void Engine::copy_out(const Place &place, void *to) const {
  if (place.bytes > 0) std::memcpy(to, regions_.at(place.at), static_cast<size_t>(place.bytes));
}

bool Engine::finite(const Place &place) const {
  const float *const list = regions_.at(place.at);
  return all_finite(list, list + place.bytes / static_cast<int64_t>(sizeof *list));
}

void Engine::dispose() {
  disposed_ = true;
  stop();
  if (jobs_ > 0) return;
  regions_.clear();
  workspaces_.clear();
  programs_.clear();
  spare_ = {};
}

int64_t Engine::bytes() const { return regions_.total(); }

void Engine::refuse() const {
  if (disposed_) fail("ERR_DISPOSED", "the model was disposed of");
  fail("ERR_BUSY", "a job is in flight on this engine");
}

bool Engine::may_follow(const Request &request) const {
  return !reading_ && request.writes.empty() && regions_.after(request.bytes) == regions_.after({});
}

Setting Engine::setting(const Program &program, const int32_t *stop) const {
  return {kernels_, program, regions_, workspace_.data(), stop};
}

bool Job::brief() const {
  return engine->jobs_ == 1 && work < WORTH_A_THREAD && engine->regions_.bytes(REGION_PACK) <= NEAR_BYTES;
}

void Job::run() noexcept {
  const FloatMode mode;
  const auto begin = Clock::now();
  if (engine->began_ == Clock::time_point{}) engine->began_ = begin;
  bool whole = true;
  try {
    const Setting setting = engine->setting(*program, &engine->stop_);
    Team team(work >= WORTH_A_TEAM ? engine->threads_ : 1, engine->judge_);
    double *result = results.data();
    for (const Frame &frame : frames.list()) {
      if (engine->gives_way()) engine->stop();
      run_frame(setting, frame, team, result);
      team.judge(work_of(*program, frame));
      whole = result[RESULT_STATUS] == STATUS_DONE;
      if (!whole) break;
      result += RESULT_FIELDS;
    }
  } catch (const Fault &caught) {
    fault = caught;
  } catch (const std::exception &caught) {
    fault = Fault{"ERR_INTERNAL", caught.what()};
  }
  if (!whole || fault) engine->stop();  // whatever is queued behind it builds on all of it
  seconds = std::chrono::duration<double>(Clock::now() - begin).count();
}

bool Step::run(const void *input_data, int64_t floats, void *output_data) const {
  engine->must_be_free();
  const FloatMode mode;
  const float *const in = static_cast<const float *>(input_data);
  if (!all_finite(in, in + floats)) return false;
  if (fused) {
    fused->run(engine->kernels_, engine->regions_, engine->changes_, input_data, output_data);
    return true;
  }
  Judge none;
  Team alone(1, none);
  double result[RESULT_FIELDS] = {};
  std::memcpy(engine->regions_.at(input.at), input_data, static_cast<size_t>(input.bytes));
  run_frame(engine->setting(*program, &NEVER), frames.list().front(), alone, result);
  engine->copy_out(output, output_data);
  return true;
}

}  // namespace bptt
