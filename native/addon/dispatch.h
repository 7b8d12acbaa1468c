// Which kernels this machine runs: an ordered list of instruction sets, tried from the best.
#pragma once
#include <string>
#include <vector>

#include "../context.h"

namespace bptt {

// Kernels of the named instruction set, or of the best one where name is empty; of the mul-add class where portable.
// Throws Fault ERR_INVALID_ARG, naming those that exist here, where the name is unknown or this machine cannot run it.
const Kernels &select_kernels(const std::string &name, bool portable);

}  // namespace bptt
