// A case in memory of its own, and operations on it.
#pragma once
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "../kernels.h"
#include "cases.h"

namespace bptt::test {

// 64-byte aligned copies of the regions of a case, exactly as long, so that a sanitizer sees every step outside.
struct Memory {
  float *region[plan::REGIONS];
  double result[plan::RESULT_FIELDS];
  explicit Memory(const Case &c) {
    for (int r = 0; r < plan::REGIONS; r++) {
      region[r] = static_cast<float *>(std::aligned_alloc(64, c.region[r].size() * 4 + 64 * c.region[r].empty()));
      if (!c.region[r].empty()) memcpy(region[r], c.region[r].data(), c.region[r].size() * 4);
    }
    memcpy(result, c.result, sizeof result);
  }
  ~Memory() {
    for (float *p : region) std::free(p);
  }
  Memory(const Memory &) = delete;
};

static float *workspaces[3];
static const int32_t go_on = 0;

static Context context(const Case &c, Memory &memory) {
  Context x{};
  memcpy(x.region, memory.region, sizeof x.region);
  x.T = c.T, x.B = c.B, x.R = c.R;
  x.scalars = c.scalars.data();
  x.active = c.active.data(), x.start = c.start.data();
  x.base = c.base.data(), x.tbase = c.tbase.data(), x.last = c.last.data(), x.from = c.from.data();
  x.init = c.init.data(), x.saved = c.saved.data(), x.slot = c.slot.data();
  x.constants = c.constants;
  x.result = memory.result;
  x.workspace = workspaces;
  x.stop = &go_on;
  return x;
}

static void run(Operation operation, const Context &x, const std::vector<int32_t> &args, int parts) {
  for (int part = 0; part < parts; part++) operation(x, args.data(), part, parts);
}
static void run(const Kernels &kernels, int32_t op, const Context &x, const std::vector<int32_t> &args, int parts) {
  run(kernels.run[op], x, args, parts);
}

static std::atomic<int32_t> steps_done[3];
static void meet(int part, int parts, int32_t n) {
  steps_done[part] = n;
  for (int i = 0; i < parts && n != LEFT; i++) {
    while (steps_done[i] < n) std::this_thread::yield();
  }
}

// Each part in a thread of its own, as those need that meet on the way.
static void run_meeting(Operation operation, Context x, const std::vector<int32_t> &args, int parts) {
  x.meet = meet;
  for (auto &each : steps_done) each = 0;
  std::vector<std::thread> threads;
  for (int part = 0; part < parts; part++) threads.emplace_back([&, part] { operation(x, args.data(), part, parts); });
  for (std::thread &each : threads) each.join();
}

// The packed form that an operation needs, made by the same table.
static void prepare(const Kernels &kernels, const Case &c, const Context &x, int parts) {
  using namespace plan;
  const std::vector<int32_t> &a = c.args;
  std::vector<int32_t> pack;
  if (c.op == OP_PROJECT) pack = {a[3], a[2], a[6], a[7], PACK_PROJECT};
  if (c.op == OP_GATHER) pack = {a[3], a[2], a[6], a[7], PACK_GATHER};
  if (c.op == OP_RECUR) pack = {a[3], a[2], a[4], a[4], PACK_PROJECT};
  if (c.op == OP_PROJECT_DX) pack = {a[3], a[2], a[4], a[5], PACK_PROJECT_DX};
  if (c.op == OP_RECUR_BACK) pack = {a[6], a[5], a[7], a[7], PACK_PROJECT_DX};
  if (!pack.empty()) run(kernels, OP_PACK, x, pack, parts);
}

static bool same(float a, float b) { return (a != a && b != b) || memcmp(&a, &b, 4) == 0; }
static bool same(double a, double b) { return (a != a && b != b) || memcmp(&a, &b, 8) == 0; }
}  // namespace bptt::test
