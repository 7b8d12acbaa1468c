// Allocation and growth of an engine's memory.
#include "regions.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "fault.h"

namespace bptt {
namespace {

// From here on memory comes from the system and goes back to it: zero and untouched, where the heap would have to clear
// it page by page, and would keep it.
constexpr int64_t MAPPED = int64_t{64} << 10;
#if defined(MADV_HUGEPAGE)
// Blocks above this size ask for huge pages. A first touch of 8 MiB then takes 4 page faults in place of 2048, on a
// virtual machine that gives memory back to its host 0.6 ms in place of 27. Smaller blocks would waste a good part of a
// page.
constexpr int64_t HUGE = int64_t{4} << 20;
#endif

}  // namespace

void Block::Free::operator()(void *memory) const {
  if (mapped > 0)
    munmap(memory, static_cast<size_t>(mapped));
  else
    std::free(memory);
}

Block::Block(int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  if (bytes >= MAPPED) {
    void *const memory =
        mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (memory != MAP_FAILED) memory_ = {memory, Free{bytes}};
#if defined(MADV_HUGEPAGE)
    if (bytes > HUGE) madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
#endif
    base_ = static_cast<float *>(memory);  // a page is aligned well enough
  } else {
    memory_ = {std::calloc(static_cast<size_t>(bytes) + plan::UNIT_BYTES, 1), Free{0}};
    const auto address = reinterpret_cast<uintptr_t>(memory_.get());
    base_ = reinterpret_cast<float *>((address + plan::UNIT_BYTES - 1) & ~uintptr_t{plan::UNIT_BYTES - 1});
  }
  if (!memory_) fail("ERR_OUT_OF_MEMORY", "%lld MiB of memory could not be had", static_cast<long long>(bytes >> 20));
}

RegionSizes Regions::after(const RegionSizes &wanted) const {
  RegionSizes sizes;
  for (int r = 0; r < plan::REGIONS; r++) {
    if (wanted[r] > REGION_LIMIT)
      fail("ERR_OUT_OF_MEMORY", "a region of %lld MiB is larger than the limit of %lld MiB",
           static_cast<long long>(wanted[r] >> 20), static_cast<long long>(REGION_LIMIT >> 20));
    const int64_t whole = (wanted[r] + plan::UNIT_BYTES - 1) / plan::UNIT_BYTES * plan::UNIT_BYTES;
    sizes[r] = whole > bytes(r) ? whole : bytes(r);
  }
  return sizes;
}

void Regions::grow(const RegionSizes &wanted) {
  const RegionSizes sizes = after(wanted);
  std::array<Block, plan::REGIONS> grown;
  for (int r = 0; r < plan::REGIONS; r++)
    if (sizes[r] > bytes(r)) grown[r] = Block(sizes[r]);
  for (int r = 0; r < plan::REGIONS; r++) {
    if (!grown[r].base()) continue;
    if (r != plan::REGION_SCRATCH && bytes(r) > 0) std::memcpy(grown[r].base(), base(r), static_cast<size_t>(bytes(r)));
    blocks_[r] = std::move(grown[r]);
  }
}

void Regions::clear() { blocks_ = {}; }

int64_t Regions::total() const {
  int64_t sum = 0;
  for (const Block &block : blocks_) sum += block.bytes();
  return sum;
}

}  // namespace bptt
