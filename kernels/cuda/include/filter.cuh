// filter.cuh -- the filters [K, R, S, C] as B of dgrad: k = (tap of the phase, filter), n = the channel, contiguous.
#pragma once
#include "chunks.cuh"
#include "fastdiv.cuh"

namespace dg {

struct FilterTaps {
  int depth, channels, row;    // taps * filters, C, R * S * C
  int first, step_r, step_s;   // offset of the phase's first tap (elements), of the next tap down, of the next tap right
  FastDiv by_filters, by_taps_w;
};

// WHOLE: filters are a multiple of the k-tile, so that a k-tile lies within one tap, and one division, of a number that all
// threads share, serves all chunks.
template <class S, bool WHOLE>
struct FilterMN : S {
  using T = typename S::T;
  FastDiv by_filters, by_taps_w;
  const T* at;
  int row_stride, step_r, step_s, depth, k = 0, offset = 0;

  __device__ __forceinline__ FilterMN(const T* base, const FilterTaps& g, int first_column)
      : by_filters(g.by_filters), by_taps_w(g.by_taps_w), at(base + g.first + first_column + S::column()), row_stride(g.row),
        step_r(g.step_r), step_s(g.step_s) {
    depth = first_column + S::column() < g.channels ? g.depth : 0;
  }
  __device__ __forceinline__ int offset_of(int j) const {
    int filter, s;
    const int tap = by_filters.divmod(j, filter), r = by_taps_w.divmod(tap, s);
    return filter * row_stride + r * step_r + s * step_s;
  }
  __device__ __forceinline__ void seek(int k0) {
    k = k0 + S::row(0);
    if (WHOLE) offset = offset_of(k0) + S::row(0) * row_stride;
  }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    p = at + (WHOLE ? offset + i * (S::STEP * row_stride) : offset_of(k + i * S::STEP));
    return k + i * S::STEP < depth ? S::BYTES : 0;
  }
};

}  // namespace dg
