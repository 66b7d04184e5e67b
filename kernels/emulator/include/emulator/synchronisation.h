// synchronisation.h -- barriers, fences and the functions of a warp.
#pragma once

EMU_INLINE void __syncthreads(EMU_SITE) { emu::block_barrier(0, site); }
EMU_INLINE int __syncthreads_count(int predicate, EMU_SITE) { return emu::block_barrier(predicate, site).nonzero; }
EMU_INLINE int __syncthreads_or(int predicate, EMU_SITE) { return emu::block_barrier(predicate, site).nonzero != 0; }
EMU_INLINE int __syncthreads_and(int predicate, EMU_SITE) {
  const emu::Arrivals arrivals = emu::block_barrier(predicate, site);
  return arrivals.nonzero == arrivals.participants;
}
EMU_INLINE void __syncwarp(unsigned mask = ~0u, EMU_SITE) { emu::warp_sync(mask, site); }

EMU_INLINE void __threadfence_block() { emu::fence(emu::Scope::block); }
EMU_INLINE void __threadfence() { emu::fence(emu::Scope::device); }
EMU_INLINE void __threadfence_system() { emu::fence(emu::Scope::device); }
EMU_INLINE void __nanosleep(unsigned) { emu::yield(); }
[[noreturn]] EMU_INLINE void __trap() { emu::fail(emu::Failure::trap, "__trap()"); }
[[noreturn]] EMU_INLINE void __brkpt() { emu::fail(emu::Failure::trap, "__brkpt()"); }

// ---- votes ---------------------------------------------------------------------------------------------------------
EMU_INLINE unsigned __activemask(EMU_SITE) { return emu::active_mask(site); }
EMU_INLINE unsigned __ballot_sync(unsigned mask, int predicate, EMU_SITE) { return emu::ballot(mask, predicate != 0, site); }
EMU_INLINE int __any_sync(unsigned mask, int predicate, EMU_SITE) { return emu::ballot(mask, predicate != 0, site) != 0; }
EMU_INLINE int __all_sync(unsigned mask, int predicate, EMU_SITE) { return emu::ballot(mask, predicate == 0, site) == 0; }

// ---- shuffles: the lane to read from; a lane outside the segment means one's own value ------------------------------
namespace emu {
template <class T>
EMU_INLINE T shuffled(unsigned mask, T value, int source, Site site) {
  T result;
  shuffle(mask, &value, &result, sizeof(T), source, site);
  return result;
}
EMU_INLINE int lane() { return int(self->lane); }
}  // namespace emu

template <class T>
EMU_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32, EMU_SITE) {
  return emu::shuffled(mask, value, (emu::lane() & ~(width - 1)) | (source & (width - 1)), site);
}
template <class T>
EMU_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_SITE) {
  const int lane = emu::lane(), source = (lane & (width - 1)) >= int(delta) ? lane - int(delta) : lane;
  return emu::shuffled(mask, value, source, site);
}
template <class T>
EMU_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, EMU_SITE) {
  const int lane = emu::lane(), source = (lane & (width - 1)) + int(delta) < width ? lane + int(delta) : lane;
  return emu::shuffled(mask, value, source, site);
}
template <class T>
EMU_INLINE T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, EMU_SITE) {
  // A lane may read from an earlier segment, not from a later one.
  const int lane = emu::lane(), other = lane ^ bits, source = (other & ~(width - 1)) > (lane & ~(width - 1)) ? lane : other;
  return emu::shuffled(mask, value, source, site);
}

// ---- match and reduce ----------------------------------------------------------------------------------------------
namespace emu {
// What all lanes of the mask bring, seen by each.
template <class T>
struct Gathered {
  T own;
  T of[32];
  unsigned lanes;
};
// Touches the other lanes' values, which lie on their stacks.
template <class T>
EMU_UNCHECKED void exchange(void* const* arguments, unsigned lanes) {
  for (int i = 0; i < 32; i++) {
    if (!(lanes >> i & 1)) continue;
    auto& mine = *static_cast<Gathered<T>*>(arguments[i]);
    mine.lanes = lanes;
    for (int j = 0; j < 32; j++)
      if (lanes >> j & 1) mine.of[j] = static_cast<Gathered<T>*>(arguments[j])->own;
  }
}
template <class T>
Gathered<T> gather(WarpOperation operation, unsigned mask, T value, Site site) {
  Gathered<T> g = {value, {}, 0};
  meet(operation, mask, &g, exchange<T>, site);
  return g;
}
template <class T, class Combine>
T reduce(unsigned mask, T value, Combine combine, Site site) {
  const Gathered<T> g = gather(WarpOperation::reduce, mask, value, site);
  bool first = true;
  for (int i = 0; i < 32; i++) {
    if (!(g.lanes >> i & 1)) continue;
    value = first ? g.of[i] : combine(value, g.of[i]);
    first = false;
  }
  return value;
}
}  // namespace emu

template <class T>
EMU_INLINE unsigned __match_any_sync(unsigned mask, T value, EMU_SITE) {
  const auto g = emu::gather(emu::WarpOperation::match, mask, value, site);
  unsigned same = 0;
  for (int i = 0; i < 32; i++)
    if ((g.lanes >> i & 1) && memcmp(&g.of[i], &value, sizeof value) == 0) same |= 1u << i;
  return same;
}
template <class T>
EMU_INLINE unsigned __match_all_sync(unsigned mask, T value, int* predicate, EMU_SITE) {
  const auto g = emu::gather(emu::WarpOperation::match, mask, value, site);
  *predicate = 1;
  for (int i = 0; i < 32; i++)
    if ((g.lanes >> i & 1) && memcmp(&g.of[i], &value, sizeof value) != 0) *predicate = 0;
  return *predicate ? g.lanes : 0;
}
#define EMU_REDUCE(name, T, expression) \
  EMU_INLINE T name(unsigned mask, T value, EMU_SITE) { return emu::reduce(mask, value, [](T a, T b) { return expression; }, site); }
EMU_REDUCE(__reduce_add_sync, unsigned, a + b)
EMU_REDUCE(__reduce_add_sync, int, int(unsigned(a) + unsigned(b)))
EMU_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
EMU_REDUCE(__reduce_min_sync, int, a < b ? a : b)
EMU_REDUCE(__reduce_max_sync, unsigned, a > b ? a : b)
EMU_REDUCE(__reduce_max_sync, int, a > b ? a : b)
EMU_REDUCE(__reduce_and_sync, unsigned, a & b)
EMU_REDUCE(__reduce_or_sync, unsigned, a | b)
EMU_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef EMU_REDUCE
