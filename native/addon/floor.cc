// Keeps the addon loadable on every system that runs Node 20: what GCC 12's headers refer to and older libraries do not
// have is defined here. For the same reason the addon has no std::make_shared (GLIBCXX_3.4.26), no
// std::condition_variable (3.4.30) and no pthread_… functions (moved to libc in GLIBC_2.32). test/native-binary.test.ts
// holds the floor.
#if defined(__GLIBC__) || __has_include(<features.h>)
#include <features.h>
#endif
#if defined(__GLIBC__)
#include <new>

// GLIBC_2.32: whether std::shared_ptr may count without atomic operations. Never.
extern "C" {
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
}

namespace std {
// GLIBCXX_3.4.29: what std::allocator throws where a size overflows.
void __throw_bad_array_new_length() { throw bad_array_new_length(); }
}  // namespace std
#endif
