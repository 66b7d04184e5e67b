// simt.cuh -- the general main loop: D = A * B^T by scalar multiply-adds, for every element type, size and alignment.
//
// Idea     Each thread keeps a TM x TN piece of the block's BM x BN tile in registers. k-tiles of 8 are brought element by element
//          through registers into shared memory, double-buffered: while tile t is multiplied, tile t + 1 is on its way.
// Shared   [k][m] and [k][n], so that a thread reads vectors of four along m and n: (TM + TN) / 4 128-bit loads for TM * TN
//          multiply-adds. Lines are four elements longer than the tile, so that the transposing stores of K_MAJOR operands, eight
//          k by four m a warp, fall into 32 different banks. No bank conflicts (float).
// Bytes    (ceil(M/BM) * N + ceil(N/BN) * M) * K elements are read from global memory, M * N written.
// Exact    Sums are in Accumulator<T>: float for float, half and bfloat16, without TF32's rounding.
#pragma once
#include "chunks.cuh"
#include "epilogue.cuh"
#include "numeric.cuh"

namespace dg {

template <class T_, int BM_, int BN_, int TM_, int TN_>
struct SimtTile {
  using T = T_;
  using A = Accumulator<T>;
  static constexpr int BM = BM_, BN = BN_, BK = 8, TM = TM_, TN = TN_, PAD = 4;
  static constexpr int ACROSS = BN / TN, DOWN = BM / TM, THREADS = ACROSS * DOWN;
  template <Order ORDER> using ChunksA = Chunks<T, BM, BK, 1, ORDER, THREADS>;
  template <Order ORDER> using ChunksB = Chunks<T, BN, BK, 1, ORDER, THREADS>;
  static_assert(TM % 4 == 0 && TN % 4 == 0, "vectors of four");

  struct Shared {
    __align__(16) A a[2][BK][BM + PAD];
    __align__(16) A b[2][BK][BN + PAD];
  };
  // A thread's rows and columns come in groups of four; neighbouring threads have neighbouring groups.
  static __device__ __forceinline__ int row(int i) { return (i / 4 * DOWN + threadIdx.x / ACROSS) * 4 + i % 4; }
  static __device__ __forceinline__ int column(int j) { return (j / 4 * ACROSS + threadIdx.x % ACROSS) * 4 + j % 4; }
};

template <class S, class A, int LINE>
__device__ __forceinline__ void simt_put(A (&lines)[S::BK][LINE], const typename S::T (&elements)[S::N]) {
#pragma unroll
  for (int i = 0; i < S::N; i++) {
    const int k = S::ORDER == K_MAJOR ? S::column() : S::row(i), m = S::ORDER == K_MAJOR ? S::row(i) : S::column();
    lines[k][m] = widen(elements[i]);
  }
}

template <class S, class Iterator>
__device__ __forceinline__ void simt_get(typename S::T (&elements)[S::N], Iterator& from, int k) {
  from.seek(k);
#pragma unroll
  for (int i = 0; i < S::N; i++) {
    const typename S::T* p;
    const bool exists = from.fetch(i, p) > 0;
    elements[i] = typename S::T{};
    if (exists) elements[i] = *p;
  }
}

template <class C, class IterA, class IterB>
__device__ __forceinline__ void simt_mainloop(typename C::A (&sum)[C::TM][C::TN], typename C::Shared& shared, IterA& iter_a,
                                              IterB& iter_b, int k_begin, int k_tiles) {
  using A = typename C::A;
  typename C::T next_a[IterA::N], next_b[IterB::N];
#pragma unroll
  for (int i = 0; i < C::TM; i++)
#pragma unroll
    for (int j = 0; j < C::TN; j++) sum[i][j] = A(0);
  if (k_tiles <= 0) return;
  simt_get<IterA>(next_a, iter_a, k_begin);
  simt_get<IterB>(next_b, iter_b, k_begin);
  simt_put<IterA>(shared.a[0], next_a);
  simt_put<IterB>(shared.b[0], next_b);
  __syncthreads();
#pragma unroll 1
  for (int t = 0; t < k_tiles; t++) {
    const int now = t & 1;
    const bool more = t + 1 < k_tiles;
    if (more) {
      simt_get<IterA>(next_a, iter_a, k_begin + (t + 1) * C::BK);
      simt_get<IterB>(next_b, iter_b, k_begin + (t + 1) * C::BK);
    }
#pragma unroll
    for (int k = 0; k < C::BK; k++) {
      Vector<A, 4> a[C::TM / 4], b[C::TN / 4];
#pragma unroll
      for (int i = 0; i < C::TM / 4; i++) a[i] = *reinterpret_cast<const Vector<A, 4>*>(&shared.a[now][k][C::row(4 * i)]);
#pragma unroll
      for (int j = 0; j < C::TN / 4; j++) b[j] = *reinterpret_cast<const Vector<A, 4>*>(&shared.b[now][k][C::column(4 * j)]);
#pragma unroll
      for (int i = 0; i < C::TM; i++)
#pragma unroll
        for (int j = 0; j < C::TN; j++) sum[i][j] += a[i / 4].v[i % 4] * b[j / 4].v[j % 4];
    }
    if (more) {  // into the buffer that everybody left before the last barrier
      simt_put<IterA>(shared.a[now ^ 1], next_a);
      simt_put<IterB>(shared.b[now ^ 1], next_b);
    }
    __syncthreads();
  }
}

template <class C, class O, class Rows, class Epilogue>
__device__ __forceinline__ void simt_store(const typename C::A (&sum)[C::TM][C::TN], O* out, const O* bias, const O* residual,
                                           const Rows& rows, int first_row, int first_column, int M, int N,
                                           const Epilogue& epilogue) {
#pragma unroll
  for (int i = 0; i < C::TM; i++) {
    const int m = first_row + C::row(i);
    if (m >= M) continue;
    const long long at = rows.offset(m);
#pragma unroll
    for (int j = 0; j < C::TN; j += 4) {
      const int n = first_column + C::column(j);
      if (n >= N) continue;
      const typename C::A four[4] = {sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]};
      epilogue.template store<4>(four, out, bias, residual, at, n, N);
    }
  }
}

}  // namespace dg
