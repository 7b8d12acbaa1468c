// The most multiply-adds a second that this processor does in registers: CHAINS independent sums of products of vectors
// of LANES floats, as in a matrix product: only the addition is part of a chain. Compiled by machine.mjs for one
// instruction set at a time; -ffp-contract=fast makes each a fused multiply-add, =off a multiplication and an addition.
// The time is the processor's, not the wall's: a neighbour that takes turns on it must not lower what everything else
// is held against.
//   peak SECONDS THREADS → GFLOP/s
#include <chrono>
#include <cstdio>
#include <cstdlib>
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

int main(int, char **argv) {
  const double seconds = std::atof(argv[1]);
  std::vector<long> counts(static_cast<size_t>(std::atoi(argv[2])) * 16);  // a cache line apart
  std::vector<std::thread> threads;
  const double start = now();
  const std::clock_t before = std::clock();
  for (size_t i = 16; i < counts.size(); i += 16) threads.emplace_back(chains, start + seconds, &counts[i]);
  chains(start + seconds, &counts[0]);
  for (auto &thread : threads) thread.join();
  const double each = double(std::clock() - before) / CLOCKS_PER_SEC / std::atoi(argv[2]);
  double steps = 0;
  for (long count : counts) steps += double(count);
  std::printf("%.2f\n", 2 * steps * CHAINS * LANES / each / 1e9);
}
