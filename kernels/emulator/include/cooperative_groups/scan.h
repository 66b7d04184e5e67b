// cooperative_groups/scan.h -- prefix sums (or other combinations) over the lanes of a tile or of coalesced threads.
#pragma once
#include "reduce.h"

namespace cooperative_groups {

template <class Group, class T, class Combine = plus<T>>
EMU_INLINE T inclusive_scan(const Group& group, T value, Combine combine = {}, EMU_SITE) {
  const auto all = emu::gather(emu::WarpOperation::group, group.lanes(), value, site);
  bool first = true;
  for (unsigned lane = 0; lane <= emu::self->lane; lane++) {
    if (!(all.lanes >> lane & 1)) continue;
    value = first ? all.of[lane] : combine(value, all.of[lane]);
    first = false;
  }
  return value;
}

// The first lane receives T{}.
template <class Group, class T, class Combine = plus<T>>
EMU_INLINE T exclusive_scan(const Group& group, T value, Combine combine = {}, EMU_SITE) {
  const auto all = emu::gather(emu::WarpOperation::group, group.lanes(), value, site);
  T result{};
  bool first = true;
  for (unsigned lane = 0; lane < emu::self->lane; lane++) {
    if (!(all.lanes >> lane & 1)) continue;
    result = first ? all.of[lane] : combine(result, all.of[lane]);
    first = false;
  }
  return result;
}

}  // namespace cooperative_groups
