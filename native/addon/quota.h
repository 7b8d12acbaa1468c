// How many threads are worth having.
#pragma once

namespace bptt {

// The processors that this process may use, less where a cgroup allows less time.
int available_threads();

// Processors' worth of time, rounded up, that the cgroups of this process allow it, at least 1; a large number where
// they do not say. `root` stands before every path that is read.
int quota(const char *root);

}  // namespace bptt
