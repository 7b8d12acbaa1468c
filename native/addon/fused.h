// A plan of one step of one sequence through a whole network, found to be that and made ready for the one kernel that
// does all of it: what a stream pushes. Knows the plan's addresses; the engine knows when it may run.
#pragma once
#include <memory>
#include <vector>

#include "program.h"

namespace bptt {

class Fused {
 public:
  // Null where program and frame, which have been checked, are anything else, or do not take their input from `input`
  // alone and leave their outputs, and nothing but these and the carried states, at `output`.
  static std::unique_ptr<Fused> of(const Program &program, const Frame &frame, const Place &input, const Place &output);

  // Input and output are not copied to their places. `changes` is another number whenever anything else may have moved
  // or written the regions. Allocates nothing. Throws Fault ERR_INTERNAL for a token out of range.
  void run(const Kernels &kernels, const Regions &regions, int64_t changes, const void *input, void *output);

 private:
  struct Layer {
    int32_t U, W, b, bh, carry;
    int64_t carried, K, S, cell;
  };
  bool read(const Program &program, const Frame &frame, const Place &input, const Place &output);
  void resolve(const Regions &regions);

  std::vector<Layer> layers_;
  bool tokens_ = false;
  int32_t V_, packed_, c_;
  int64_t N_, head_;
  // The same with pointers, and with V as the kernel reads it, good until the regions change again.
  std::vector<LayerStep> steps_;
  NetStep net_{};
  Block room_, columns_;
  int64_t changes_ = -1;
};

}  // namespace bptt
