// reduce.cuh -- sums and maxima over the lanes of a warp, the threads of a block, and the rows of threads of a block.
//
// An operation is a struct with start(), its neutral element, and operator(). The order is fixed: the result does not depend
// on the schedule.
#pragma once
#include "numeric.cuh"

namespace dg {

template <class A> __device__ __forceinline__ A lowest() { return A(-__int_as_float(0x7f800000)); }

// The greater of two numbers; a NaN is the greatest.
template <class A> __device__ __forceinline__ A greater(A a, A b) { return a > b || a != a ? a : b; }

struct Max {
  template <class A> static __device__ __forceinline__ A start() { return lowest<A>(); }
  template <class A> __device__ __forceinline__ A operator()(A a, A b) const { return greater(a, b); }
};
struct Sum {
  template <class A> static __device__ __forceinline__ A start() { return A(0); }
  template <class A> __device__ __forceinline__ A operator()(A a, A b) const { return a + b; }
};

template <class R, class A> __device__ __forceinline__ A reduce_warp(A v) {
  const R r;
#pragma unroll
  for (int offset = 16; offset; offset /= 2) v = r(v, __shfl_xor_sync(0xffffffffu, v, offset));
  return v;
}

// For a block of 256 threads; every thread gets the result. `scratch` is free again after the next barrier.
template <class R, class A> __device__ __forceinline__ A reduce_block(A v, A (&scratch)[8]) {
  const R r;
  v = reduce_warp<R>(v);
  __syncthreads();  // the last reduction's results have been read
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  A all = scratch[0];
#pragma unroll
  for (int i = 1; i < 8; i++) all = r(all, scratch[i]);
  return all;
}

// For a row's THREADS, a warp (32) or a block (256); a warp needs no scratch.
template <class R, int THREADS, class A> __device__ __forceinline__ A reduce(A v, A (&scratch)[8]) {
  static_assert(THREADS == 32 || THREADS == 256, "a warp or a block");
  if constexpr (THREADS == 32) return reduce_warp<R>(v);
  else return reduce_block<R>(v, scratch);
}

// Adds two numbers a column over the rows of threads, of a block of 256, a power of two of them deep: threads of row 0 end with
// the block's sums.
template <int V, class A> __device__ __forceinline__ void add_rows(A (&a)[V], A (&b)[V], A* scratch) {
  const int width = blockDim.x * V;
  A* const mine = scratch + (threadIdx.y * blockDim.x + threadIdx.x) * V;
  A* const other = mine + 256 * V;
#pragma unroll
  for (int j = 0; j < V; j++) mine[j] = a[j], other[j] = b[j];
  for (int half = blockDim.y / 2; half; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
#pragma unroll
      for (int j = 0; j < V; j++) {
        mine[j] = a[j] += mine[half * width + j];
        other[j] = b[j] += other[half * width + j];
      }
    }
  }
}

}  // namespace dg
