// cooperative_groups.h -- the common parts of NVIDIA's cooperative groups: blocks, tiles of a warp, coalesced threads, the
// grid (of a cooperative launch). Written from the CUDA programming guide; the original needs nvcc.
#pragma once

namespace cooperative_groups {

class thread_block {
 public:
  EMU_INLINE void sync(EMU_SITE) const { emu::block_barrier(0, site); }
  EMU_INLINE unsigned thread_rank() const { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
  EMU_INLINE unsigned num_threads() const { return blockDim.x * blockDim.y * blockDim.z; }
  EMU_INLINE unsigned size() const { return num_threads(); }
  EMU_INLINE dim3 group_index() const { return {blockIdx.x, blockIdx.y, blockIdx.z}; }
  EMU_INLINE dim3 thread_index() const { return {threadIdx.x, threadIdx.y, threadIdx.z}; }
  EMU_INLINE dim3 group_dim() const { return blockDim; }
  EMU_INLINE dim3 dim_threads() const { return blockDim; }
};
EMU_INLINE thread_block this_thread_block() { return {}; }

class grid_group {
 public:
  EMU_INLINE void sync(EMU_SITE) const { emu::grid_barrier(site); }
  EMU_INLINE bool is_valid() const { return true; }
  EMU_INLINE unsigned long long block_rank() const { return blockIdx.x + static_cast<unsigned long long>(gridDim.x) * (blockIdx.y + gridDim.y * blockIdx.z); }
  EMU_INLINE unsigned long long num_blocks() const { return static_cast<unsigned long long>(gridDim.x) * gridDim.y * gridDim.z; }
  EMU_INLINE unsigned long long num_threads() const { return num_blocks() * this_thread_block().num_threads(); }
  EMU_INLINE unsigned long long size() const { return num_threads(); }
  EMU_INLINE unsigned long long thread_rank() const { return block_rank() * this_thread_block().num_threads() + this_thread_block().thread_rank(); }
  EMU_INLINE dim3 group_dim() const { return gridDim; }
  EMU_INLINE dim3 dim_blocks() const { return gridDim; }
  EMU_INLINE dim3 block_index() const { return {blockIdx.x, blockIdx.y, blockIdx.z}; }
};
EMU_INLINE grid_group this_grid() { return {}; }

// Some lanes of a warp, given by their mask; ranks count the lanes of the mask.
class coalesced_group {
 public:
  EMU_INLINE explicit coalesced_group(unsigned mask) : mask_(mask) {}
  EMU_INLINE void sync(EMU_SITE) const { emu::warp_sync(mask_, site); }
  EMU_INLINE unsigned num_threads() const { return unsigned(__builtin_popcount(mask_)); }
  EMU_INLINE unsigned size() const { return num_threads(); }
  EMU_INLINE unsigned thread_rank() const { return unsigned(__builtin_popcount(mask_ & ((1u << emu::self->lane) - 1))); }
  template <class T>
  EMU_INLINE T shfl(T value, unsigned rank, EMU_SITE) const { return emu::shuffled(mask_, value, lane_of(rank % num_threads()), site); }
  template <class T>
  EMU_INLINE T shfl_up(T value, unsigned delta, EMU_SITE) const {
    const unsigned rank = thread_rank();
    return emu::shuffled(mask_, value, lane_of(rank >= delta ? rank - delta : rank), site);
  }
  template <class T>
  EMU_INLINE T shfl_down(T value, unsigned delta, EMU_SITE) const {
    const unsigned rank = thread_rank();
    return emu::shuffled(mask_, value, lane_of(rank + delta < num_threads() ? rank + delta : rank), site);
  }
  EMU_INLINE int any(int predicate, EMU_SITE) const { return emu::ballot(mask_, predicate != 0, site) != 0; }
  EMU_INLINE int all(int predicate, EMU_SITE) const { return emu::ballot(mask_, predicate == 0, site) == 0; }
  EMU_INLINE unsigned ballot(int predicate, EMU_SITE) const { return packed(emu::ballot(mask_, predicate != 0, site)); }
  template <class T>
  EMU_INLINE unsigned match_any(T value, EMU_SITE) const { return packed(__match_any_sync(mask_, value, site)); }
  template <class T>
  EMU_INLINE unsigned match_all(T value, int& predicate, EMU_SITE) const { return packed(__match_all_sync(mask_, value, &predicate, site)); }
  EMU_INLINE unsigned lanes() const { return mask_; }

 protected:
  EMU_INLINE int lane_of(unsigned rank) const {
    unsigned left = mask_;
    for (; rank; rank--) left &= left - 1;
    return __builtin_ctz(left);
  }
  EMU_INLINE unsigned packed(unsigned lanes) const {  // bit r for the lane of rank r
    unsigned bits = 0, rank = 0;
    for (unsigned lane = 0; lane < 32; lane++)
      if (mask_ >> lane & 1) bits |= (lanes >> lane & 1) << rank++;
    return bits;
  }
  unsigned mask_;
};
EMU_INLINE coalesced_group coalesced_threads(EMU_SITE) { return coalesced_group(emu::active_mask(site)); }

namespace details {
EMU_INLINE unsigned segment(unsigned size) {  // the lanes of this lane's tile
  const unsigned ones = size == 32 ? ~0u : (1u << size) - 1;
  return ones << (emu::self->lane & ~(size - 1));
}
}  // namespace details

template <unsigned SIZE, class Parent = void>
class thread_block_tile : public coalesced_group {
  static_assert(SIZE >= 1 && SIZE <= 32 && (SIZE & (SIZE - 1)) == 0, "tiles of 1, 2, 4, 8, 16 or 32 threads");

 public:
  EMU_INLINE thread_block_tile() : coalesced_group(details::segment(SIZE)) {}
  template <class Other>
  EMU_INLINE thread_block_tile(const thread_block_tile<SIZE, Other>&) : thread_block_tile() {}  // what it is a part of does not matter
  static constexpr unsigned num_threads() { return SIZE; }
  static constexpr unsigned size() { return SIZE; }
  EMU_INLINE unsigned thread_rank() const { return emu::self->lane % SIZE; }
  EMU_INLINE unsigned meta_group_rank() const { return this_thread_block().thread_rank() / SIZE; }
  EMU_INLINE unsigned meta_group_size() const { return (this_thread_block().num_threads() + SIZE - 1) / SIZE; }
  template <class T>
  EMU_INLINE T shfl(T value, int rank, EMU_SITE) const { return __shfl_sync(mask_, value, rank, SIZE, site); }
  template <class T>
  EMU_INLINE T shfl_up(T value, unsigned delta, EMU_SITE) const { return __shfl_up_sync(mask_, value, delta, SIZE, site); }
  template <class T>
  EMU_INLINE T shfl_down(T value, unsigned delta, EMU_SITE) const { return __shfl_down_sync(mask_, value, delta, SIZE, site); }
  template <class T>
  EMU_INLINE T shfl_xor(T value, int bits, EMU_SITE) const { return __shfl_xor_sync(mask_, value, bits, SIZE, site); }
};

template <unsigned SIZE, class Parent>
EMU_INLINE thread_block_tile<SIZE, Parent> tiled_partition(const Parent&) { return {}; }
template <class Parent>
EMU_INLINE coalesced_group tiled_partition(const Parent&, unsigned size) { return coalesced_group(details::segment(size)); }
template <class Tile>
EMU_INLINE coalesced_group binary_partition(const Tile& tile, bool predicate, EMU_SITE) {
  const unsigned yes = emu::ballot(tile.lanes(), predicate, site);
  return coalesced_group(predicate ? yes : tile.lanes() & ~yes);
}
template <class Tile, class Label>
EMU_INLINE coalesced_group labeled_partition(const Tile& tile, Label label, EMU_SITE) {
  return coalesced_group(__match_any_sync(tile.lanes(), label, site));
}

template <class Group>
EMU_INLINE void sync(const Group& group, EMU_SITE) { group.sync(site); }

}  // namespace cooperative_groups
