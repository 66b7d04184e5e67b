// cooperative_groups/reduce.h -- reductions over the lanes of a tile or of coalesced threads.
#pragma once
#include "../cooperative_groups.h"

namespace cooperative_groups {

template <class T>
struct plus {
  EMU_INLINE T operator()(T a, T b) const { return a + b; }
};
template <class T>
struct less {  // the smaller one
  EMU_INLINE T operator()(T a, T b) const { return b < a ? b : a; }
};
template <class T>
struct greater {
  EMU_INLINE T operator()(T a, T b) const { return a < b ? b : a; }
};
template <class T>
struct bit_and {
  EMU_INLINE T operator()(T a, T b) const { return a & b; }
};
template <class T>
struct bit_or {
  EMU_INLINE T operator()(T a, T b) const { return a | b; }
};
template <class T>
struct bit_xor {
  EMU_INLINE T operator()(T a, T b) const { return a ^ b; }
};

template <class Group, class T, class Combine>
EMU_INLINE T reduce(const Group& group, T value, Combine combine, EMU_SITE) {
  return emu::reduce(group.lanes(), value, combine, site);
}

}  // namespace cooperative_groups
