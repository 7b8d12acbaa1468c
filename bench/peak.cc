// The most multiply-adds a second that this processor does in registers: CHAINS independent sums of products of vectors
// of LANES floats, as in a matrix product: only the addition is part of a chain. Compiled by machine.mjs for one
// instruction set at a time; -ffp-contract=fast makes each a fused multiply-add, =off a multiplication and an addition.
// The time is the processor's, not the wall's: a neighbour that takes turns on it must not lower what everything else
// is held against.
// With BYTES instead the most bytes a second that it reads from a block of so many for each thread, over and over.
//   peak SECONDS THREADS → GFLOP/s          peak SECONDS THREADS BYTES → GB/s
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>

typedef float vf __attribute__((vector_size(4 * LANES)));

#ifdef __aarch64__
#define REGISTER "w"
#else
#define REGISTER "v"
#endif

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void chains(double until, long *count) {
  vf sum[CHAINS], x = vf{} + 0.999f, y = vf{} + 1e-3f;
  for (int i = 0; i < CHAINS; i++) sum[i] = vf{} + float(i);
  do {
    for (int n = 0; n < 100000; n++) {
#pragma GCC unroll 24
      for (int i = 0; i < CHAINS; i++) {
        asm volatile("" : "+" REGISTER(x));  // what the compiler does not know it cannot multiply ahead
        sum[i] += x * y;
      }
    }
    *count += 100000;
  } while (now() < until);
  for (int i = 0; i < CHAINS; i++) asm volatile("" ::"m"(sum[i]));
}

// Eight vectors at a time, each into a sum of its own: loads bound it, not the additions. `count` is of vectors.
static void reads(double until, long *count, const vf *block, size_t vectors) {
  vf sum[8] = {};
  const long times = long((size_t(1) << 22) / (vectors * sizeof(vf))) + 1;  // some 10 µs between two looks at the clock
  do {
    for (long n = 0; n < times; n++) {
      for (size_t i = 0; i < vectors; i += 8) {
#pragma GCC unroll 8
        for (size_t j = 0; j < 8; j++) sum[j] += block[i + j];
      }
#pragma GCC unroll 8
      for (size_t j = 0; j < 8; j++) asm volatile("" : "+" REGISTER(sum[j]));  // the sums are never known: read it again
    }
    *count += times * long(vectors);
  } while (now() < until);
}

int main(int argc, char **argv) {
  const double seconds = std::atof(argv[1]);
  const size_t vectors = argc > 3 ? std::strtoul(argv[3], nullptr, 10) / (8 * sizeof(vf)) * 8 : 0;
  std::vector<long> counts(static_cast<size_t>(std::atoi(argv[2])) * 16);  // two cache lines apart
  std::vector<vf *> blocks(counts.size());
  for (size_t i = 0; vectors && i < counts.size(); i += 16) {
    blocks[i] = static_cast<vf *>(std::aligned_alloc(4096, (vectors * sizeof(vf) + 4095) / 4096 * 4096));
    std::memset(static_cast<void *>(blocks[i]), 0, vectors * sizeof(vf));
  }
  std::vector<std::thread> threads;
  const double start = now();
  const auto work = [&](size_t i) {
    vectors ? reads(start + seconds, &counts[i], blocks[i], vectors) : chains(start + seconds, &counts[i]);
  };
  const std::clock_t before = std::clock();
  for (size_t i = 16; i < counts.size(); i += 16) threads.emplace_back(work, i);
  work(0);
  for (auto &thread : threads) thread.join();
  const double each = double(std::clock() - before) / CLOCKS_PER_SEC / std::atoi(argv[2]);
  double steps = 0;
  for (long count : counts) steps += double(count);
  std::printf("%.2f\n", steps * (vectors ? double(sizeof(vf)) : 2.0 * CHAINS * LANES) / each / 1e9);
}
