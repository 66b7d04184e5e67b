// mma_store.cuh -- from the accumulators of mma.sync through the epilogue to memory, 16 bytes a thread.
//
// Which rows and columns a thread's accumulators are follows from how the rows of the MMA tiles were named: mma_tile.cuh.
#pragma once
#include "epilogue.cuh"
#include "mma_mainloop.cuh"

namespace dg {

// The block's row of half `half` of the MMA tiles i, in this thread.
template <class C>
__device__ __forceinline__ int sum_row(int i, int half) {
  const int g = (threadIdx.x & 31) >> 2, m = C::warp_row();
  if (C::ORDER_A == MN_MAJOR && C::TF32) return m + i / 2 * 32 + chunk_of_position(g) * 4 + i % 2 * 2 + half;
  return m + i * 16 + half * 8 + g;
}

// The u-th vector of V consecutive columns that this thread owns in a row; returns the block's column it begins at. Every lane
// must call it.
template <class C>
__device__ __forceinline__ int sum_vector(float (&v)[C::V], const float (&row)[C::NT][4], int half, int u) {
  const int q = threadIdx.x & 3, n = C::warp_column();
  constexpr int PER = C::V / 2;  // MMA tiles that a vector is gathered from
  if constexpr (C::ORDER_B == MN_MAJOR && C::TF32) {
#pragma unroll
    for (int c = 0; c < 4; c++) v[c] = row[u / 2 * 4 + c][2 * half + u % 2];
    return n + u * 16 + q * 4;
  } else {
#pragma unroll
    for (int c = 0; c < C::V; c++) v[c] = row[u * PER + c / 2][2 * half + c % 2];
    if constexpr (C::ORDER_B == K_MAJOR) return n + (u * 4 + q) * C::V;
    // Transpose PER tiles among PER lanes: lane q ends with all columns of tile q % PER.
#pragma unroll
    for (int b = 1; b < PER; b *= 2)
#pragma unroll
      for (int t = 0; t < PER; t++)
        if ((t & b) == 0)
#pragma unroll
          for (int e = 0; e < 2; e++) {
            float &low = v[2 * t + e], &high = v[2 * (t + b) + e];
            const float got = __shfl_xor_sync(0xffffffffu, q & b ? low : high, b);
            if (q & b) low = got;
            else high = got;
          }
    return n + (u * PER + q % PER) * 8 + q / PER * C::V;
  }
}

// Stores the tile whose first row and column are given, of an M x N output.
template <class C, class Rows, class Epilogue>
__device__ __forceinline__ void mma_store(const MmaSums<C>& sum, typename C::O* out, const typename C::O* bias,
                                          const typename C::O* residual, const Rows& rows, int first_row, int first_column, int M,
                                          int N, const Epilogue& epilogue) {
#pragma unroll
  for (int i = 0; i < C::MT; i++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int m = first_row + sum_row<C>(i, half);
      const long long at = m < M ? rows.offset(m) : 0;
#pragma unroll
      for (int u = 0; u < C::WN / (4 * C::V); u++) {
        float x[C::V];
        const int n = first_column + sum_vector<C>(x, sum[i], half, u);
        if (m < M && n < N) epilogue.template store<C::V>(x, out, bias, residual, at, n, N);
      }
    }
}

}  // namespace dg
