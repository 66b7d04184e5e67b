// mma_mainloop.cuh -- the tensor-core main loop: D = A * B^T from asynchronous copies, ldmatrix and mma.sync (sm_80 and later).
//
// Idea     A pipeline of STAGES k-tiles in shared memory. While a k-tile is multiplied, the next STAGES - 1 are on their way; the
//          fragments of a k-step are loaded while the step before is multiplied. One barrier a k-tile.
// Tiling   A block makes BM x BN, a warp WM x WN of it. 64 x 64 a warp: per k-tile 64 mma, 16 ldmatrix, 8 copies a thread.
// Bytes    (ceil(N/BN) * M + ceil(M/BM) * N) * K elements are read, in 16-byte chunks; shared memory is read (1/WM + 1/WN)
//          elements a multiply-add.
// Share    By shared-memory bandwidth 128 x 128 with 64 x 64 warps can reach two thirds of an H100's peak, which is what is
//          published for mma.sync there (the rest needs wgmma); nearly all of it on sm_80. Not measured by us.
#pragma once
#include "mma_fragments.cuh"

namespace dg {

template <class C> using MmaSums = float[C::MT][C::NT][4];

// Sums `k_tiles` k-tiles from index k_begin on. Past the end of the reduction the iterators say "0 bytes", and zeros are stored:
// the loop has no branch. Shared memory, C::SHARED_BYTES of it, begins at `shared`.
template <class C, class IterA, class IterB>
__device__ __forceinline__ void mma_mainloop(MmaSums<C>& sum, unsigned shared, IterA& iter_a, IterB& iter_b, int k_begin,
                                             int k_tiles) {
  using T = typename C::T;
  const unsigned end = shared + C::SHARED_BYTES;
  unsigned write = shared, read = shared;
  int k_next = k_begin;
  auto copy_a = [&] {
    iter_a.seek(k_next);
#pragma unroll
    for (int i = 0; i < IterA::N; i++) {
      const T* p;
      const int bytes = iter_a.fetch(i, p);
      cp_async<16>(write + TableA<C>::offset(IterA::row(i), IterA::column() / C::E), p, bytes);
    }
  };
  auto copy_b = [&] {
    iter_b.seek(k_next);
#pragma unroll
    for (int i = 0; i < IterB::N; i++) {
      const T* p;
      const int bytes = iter_b.fetch(i, p);
      cp_async<16>(write + C::A_BYTES + TableB<C>::offset(IterB::row(i), IterB::column() / C::E), p, bytes);
    }
    cp_async_commit();
    k_next += C::BK;
    write += C::STAGE_BYTES;
    if (write == end) write = shared;
  };
  auto multiply = [&](const Fragments<C>& f, int first, int last) {
#pragma unroll
    for (int i = 0; i < C::MT; i++)
      if (i >= first && i < last)
#pragma unroll
        for (int j = 0; j < C::NT; j++) mma(sum[i][j], f.a[i], f.b[j], T());
  };
#pragma unroll
  for (int i = 0; i < C::MT; i++)
#pragma unroll
    for (int j = 0; j < C::NT; j++)
#pragma unroll
      for (int r = 0; r < 4; r++) sum[i][j][r] = 0.f;
#pragma unroll
  for (int s = 0; s < C::STAGES - 1; s++) copy_a(), copy_b();
  Fragments<C> even, odd;
  cp_async_wait<C::STAGES - 2>();
  __syncthreads();
  even.load(read, 0);
#pragma unroll 1
  for (int t = 0; t < k_tiles; t++) {
    odd.load(read, 1);
    copy_a();  // tile t + STAGES - 1, into the stage that everybody left before the last barrier
    multiply(even, 0, C::MT / 2);
    copy_b();
    multiply(even, C::MT / 2, C::MT);
    read += C::STAGE_BYTES;
    if (read == end) read = shared;
    cp_async_wait<C::STAGES - 2>();  // this thread's copies of tile t + 1 have arrived
    __syncthreads();                 // everybody's have, and everybody has read tile t
    even.load(read, 0);              // after the last tile: zeros, never used
    multiply(odd, 0, C::MT);
  }
  cp_async_wait_all();  // nothing may land after the thread has gone
}

}  // namespace dg
