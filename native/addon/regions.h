// Memory of one engine: blocks that are 64-byte aligned and zero at first, and the five regions of src/plan/memory.ts
// made of them. Who may touch a region when is engine.h's business.
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "../context.h"

namespace bptt {

// Largest region: what the unit offset of an address can reach.
constexpr int64_t REGION_LIMIT = (int64_t{1} << plan::REGION_SHIFT) * plan::UNIT_BYTES;

// Bytes at an address of the memory map.
struct Place {
  int32_t at;
  int64_t bytes;
};

class Block {
 public:
  Block() = default;
  // Throws Fault ERR_OUT_OF_MEMORY. Large blocks take real memory only where they are touched.
  explicit Block(int64_t bytes);

  int64_t bytes() const { return bytes_; }
  float *base() const { return base_; }

 private:
  struct Free {
    int64_t mapped;  // 0: from the heap
    void operator()(void *memory) const;
  };
  std::unique_ptr<void, Free> memory_{nullptr, Free{0}};
  float *base_ = nullptr;
  int64_t bytes_ = 0;
};

using RegionSizes = std::array<int64_t, plan::REGIONS>;

class Regions {
 public:
  // Sizes after grow(wanted): rounded up to whole units, never less than now. Throws Fault ERR_OUT_OF_MEMORY past
  // REGION_LIMIT.
  RegionSizes after(const RegionSizes &wanted) const;
  // All or nothing. Content is kept and followed by zeros, but for SCRATCH, whose content is nobody's.
  void grow(const RegionSizes &wanted);
  void clear();

  float *base(int region) const { return blocks_[region].base(); }
  int64_t bytes(int region) const { return blocks_[region].bytes(); }
  // Null where the address is NONE. Good until the regions grow.
  float *at(int32_t address) const {
    constexpr int32_t offset = (1 << plan::REGION_SHIFT) - 1;
    return address < 0 ? nullptr : base(address >> plan::REGION_SHIFT) + int64_t{address & offset} * plan::UNIT_FLOATS;
  }
  int64_t total() const;

 private:
  std::array<Block, plan::REGIONS> blocks_;
};

}  // namespace bptt
