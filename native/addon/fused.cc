// The recognition of one step in a plan, and its run.
#include "fused.h"

#include "fault.h"

namespace bptt {

using namespace plan;

std::unique_ptr<Fused> Fused::of(const Program &program, const Frame &frame, const Place &input, const Place &output) {
  std::unique_ptr<Fused> fused(new Fused);
  if (!fused->read(program, frame, input, output)) return nullptr;
  int64_t widest = fused->N_;
  for (const Layer &layer : fused->layers_) widest = layer.S > widest ? layer.S : widest;
  fused->room_ = Block((widest + UNIT_FLOATS) * static_cast<int64_t>(sizeof(float)));
  if (fused->N_ <= NARROW)
    fused->columns_ = Block((fused->layers_.back().S * fused->N_ + NARROW) * static_cast<int64_t>(sizeof(float)));
  fused->steps_.resize(fused->layers_.size());
  return fused;
}

// Floats of a row of activations.
static int64_t stride(int64_t size) { return (size + UNIT_FLOATS - 1) / UNIT_FLOATS * UNIT_FLOATS; }

bool Fused::read(const Program &program, const Frame &frame, const Place &input, const Place &output) {
  // A sequence that comes from its carried state and leaves one there.
  if (frame.B != 1 || frame.T != 1 || frame.base[0] != 0 || frame.init[0] < 0 || frame.slot[0] != frame.init[0] ||
      frame.saved[0] != 0 || frame.last[0] != 0)
    return false;
  size_t at = 0;
  const auto next = [&](int32_t op) {
    const bool here = at < program.instructions.size() && program.instructions[at].op == op;
    return here ? program.instructions[at++].args : nullptr;
  };
  // What lies between the operations is not written: nobody may want it.
  const auto passing = [](int32_t address) { return address >> REGION_SHIFT == REGION_SCRATCH; };
  constexpr int64_t FLOAT = sizeof(float);

  std::vector<const int32_t *> carried;
  while (const int32_t *in = next(OP_STATE_IN)) carried.push_back(in);
  int32_t below = NONE, width = 0;  // what the next layer reads, and how many of it
  const int32_t *a = next(OP_FETCH);
  if (a) {
    if (a[fetch::data] != input.at || input.bytes != a[fetch::K] * FLOAT || !passing(a[fetch::dst])) return false;
    below = a[fetch::dst];
    width = a[fetch::K];
  }
  std::vector<int32_t> states;
  for (const int32_t *in : carried) {
    Layer layer{};
    int32_t s = NONE;
    if (below == NONE && (a = next(OP_GATHER))) {
      using namespace gather;
      if (a[gather::tokens] != input.at || input.bytes != FLOAT) return false;
      tokens_ = true;
      s = a[y];
      layer = {a[gather::pack], NONE, a[bias], a[bias2], NONE, 0, a[K], a[N], 0};
    } else if ((a = next(OP_PROJECT))) {
      using namespace project;
      if (a[x] != below || a[K] != width || a[rows] != ROWS_STEPS) return false;
      s = a[y];
      layer = {a[project::pack], NONE, a[bias], a[bias2], NONE, 0, a[K], a[N], 0};
    } else {
      return false;
    }
    const int32_t *const recurrence = next(OP_RECUR);
    if (!recurrence || !passing(s) || !passing(in[state_in::dst])) return false;
    if (recurrence[recur::s] != s || recurrence[recur::s0] != in[state_in::dst] || recurrence[recur::S] != layer.S ||
        in[state_in::S] != layer.S)
      return false;
    layer.W = recurrence[recur::pack];
    layer.cell = recurrence[recur::cell];
    layer.carry = in[state_in::carry];
    layer.carried = frame.init[0];
    layers_.push_back(layer);
    states.push_back(s);
    below = s;
    width = layer.S;
  }
  for (size_t k = 0; k < layers_.size(); k++) {
    const int32_t *const out = next(OP_STATE_OUT);
    if (!out || out[state_out::S] != layers_[k].S || out[state_out::s] != states[k] ||
        out[state_out::carry] != layers_[k].carry)
      return false;
  }
  a = next(OP_LAST);
  if (layers_.empty() || !a || a[last::s] != below || a[last::S] != layers_.back().S || !passing(a[last::dst]))
    return false;
  const int32_t *const product = next(OP_PROJECT), *const activation = next(OP_ACTIVATE);
  if (!product || !activation || at != program.instructions.size()) return false;
  if (product[project::x] != a[last::dst] || product[project::K] != layers_.back().S ||
      product[project::bias2] != NONE || !passing(product[project::y]) ||
      activation[activate::z] != product[project::y] || activation[activate::N] != product[project::N] ||
      activation[activate::o] != output.at || !passing(output.at) ||
      output.bytes != stride(product[project::N]) * FLOAT)
    return false;
  V_ = product[project::M];
  packed_ = product[project::pack];
  c_ = product[project::bias];
  N_ = product[project::N];
  head_ = activation[activate::head];
  return true;
}

void Fused::resolve(const Regions &regions) {
  for (size_t k = 0; k < layers_.size(); k++) {
    const Layer &l = layers_[k];
    steps_[k] = {regions.at(l.U),
                 regions.at(l.W),
                 regions.at(l.b),
                 regions.at(l.bh),
                 regions.at(l.carry) + l.carried * stride(l.S),
                 l.K,
                 l.S,
                 l.cell};
  }
  net_.layers = steps_.data();
  net_.depth = static_cast<int64_t>(steps_.size());
  net_.tokens = tokens_;
  net_.V = regions.at(packed_);
  if (float *const columns = columns_.base()) {
    const float *const V = regions.at(V_);
    const int64_t K = layers_.back().S;
    for (int64_t n = 0; n < N_; n++)
      for (int64_t k = 0; k < K; k++) columns[k * N_ + n] = V[n * K + k];
    net_.V = columns;
  }
  net_.c = regions.at(c_);
  net_.N = N_;
  net_.head = head_;
  net_.room = room_.base();
}

void Fused::run(const Kernels &kernels, const Regions &regions, int64_t changes, const void *input, void *output) {
  if (changes_ != changes) resolve(regions);
  changes_ = changes;
  if (tokens_ && static_cast<uint64_t>(*static_cast<const int32_t *>(input)) >= static_cast<uint64_t>(layers_[0].K))
    fail("ERR_INTERNAL", "frame: a token or a class is out of range");
  kernels.step(net_, input, static_cast<float *>(output));
}

}  // namespace bptt
