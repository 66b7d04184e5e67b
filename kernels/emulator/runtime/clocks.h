// clocks.h -- which earlier accesses a thread has "seen": the happens-before order of CUDA's memory model.
//
// Every thread has a clock that advances at each operation through which others may see its past. An access is stamped
// (block, thread, clock); it is ordered before what thread t does now if t has seen that clock of that thread:
//   * a block barrier shows everything that the block's threads did before it to all of them;
//   * __syncwarp (and sync() of a group) does so among its lanes; shuffles and votes order no memory;
//   * fence + atomic (or volatile store) by one thread, then atomic (or volatile load) of the same address by another:
//     what the first had seen at its fence is seen by the second, across blocks only if the fence was __threadfence().
// The reader's fence is not asked for (NVIDIA's own samples omit it), the writer's is.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "interface.h"

namespace emu {

struct Stamp {
  uint32_t block, thread, clock;
};

// Clocks of threads that have been seen, by block.
class Knowledge {
 public:
  using Clocks = std::vector<uint32_t>;
  bool covers(const Stamp&) const;
  void join(const Knowledge& other);
  void join(uint32_t block, Clocks clocks);

 private:
  std::map<uint32_t, std::shared_ptr<const Clocks>> seen_;  // shared: most blocks' clocks are passed on unchanged
};
using KnowledgePointer = std::shared_ptr<const Knowledge>;

// What fenced writes have published at an address.
struct Published {
  KnowledgePointer device;
  std::unordered_map<uint32_t, KnowledgePointer> block;  // by block
};
using PublishedMap = std::unordered_map<const void*, Published>;

// The clocks of one block.
class BlockClocks {
 public:
  void start(uint32_t block, uint32_t threads);
  Stamp stamp(uint32_t thread) const { return {block_, thread, clock_[thread]}; }
  bool seen(const Stamp& access, uint32_t by) const;

  void block_barrier();
  void group_barrier(const std::vector<uint32_t>& threads);
  void warp_sync(uint32_t warp, unsigned lanes);
  void fence(uint32_t thread, Scope scope);
  void release(uint32_t thread, Published& at) const;  // an atomic or volatile write
  void acquire(uint32_t thread, const Published& at);  // an atomic or volatile read

 private:
  Knowledge::Clocks own_block_clocks(uint32_t thread) const;
  KnowledgePointer snapshot(uint32_t thread) const;

  uint32_t block_ = 0;
  std::vector<uint32_t> clock_, at_barrier_;               // now, and at the last block barrier
  std::vector<std::array<uint32_t, 32>> lane_clocks_;      // per thread: seen clocks of the lanes of its warp
  std::vector<KnowledgePointer> knowledge_;                // per thread: seen through atomics; mostly null
  std::vector<KnowledgePointer> fenced_[2];                // per thread: what its last fence of each scope made ready
  bool any_knowledge_ = false, any_fence_ = false;
};

}  // namespace emu
