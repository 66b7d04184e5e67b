// mma_fragments.cuh -- from the tables in shared memory to the registers that mma.sync takes.
//
// Lane 4 * g + q. A: a0 = (row g, low k), a1 = (row g + 8, low k), a2 = (g, high k), a3 = (g + 8, high k).
// B: b0 = (low k, column g), b1 = (high k, column g). See mma_tile.cuh for the three ways.
#pragma once
#include "mma_tile.cuh"

namespace dg {

template <class C>
struct Fragments {
  unsigned a[C::MT][4], b[C::NT][2];

  // The k-step `step` (0, 1) of the k-tile at shared address `stage`.
  __device__ __forceinline__ void load(unsigned stage, int step) {
    load_a(stage, step);
    load_b(stage + C::A_BYTES, step);
    if (C::TF32) round();
  }

 private:
  __device__ __forceinline__ void load_a(unsigned table, int step) {
    using At = TableA<C>;
    const int lane = threadIdx.x & 31, m = C::warp_row(), p = lane & 7, second = lane >> 3 & 1, upper = lane >> 4;
    if constexpr (C::ORDER_A == K_MAJOR) {
#pragma unroll
      for (int i = 0; i < C::MT; i++) ldmatrix(a[i], table + At::offset(m + i * 16 + second * 8 + p, 2 * step + upper));
    } else if constexpr (!C::TF32) {
#pragma unroll
      for (int i = 0; i < C::MT; i++)
        ldmatrix_transposed(a[i], table + At::offset(16 * step + upper * 8 + p, m / 8 + i * 2 + second));
    } else {
#pragma unroll
      for (int i = 0; i < C::MT; i += 2)  // 32 rows: four halves
#pragma unroll
        for (int high = 0; high < 2; high++) {
          const int chunk = m / 4 + i * 4 + chunk_of_position(lane >> 2);
          const uint4 v = load_shared(table + At::offset(8 * step + 4 * high + (lane & 3), chunk));
          a[i][2 * high] = v.x, a[i][2 * high + 1] = v.y, a[i + 1][2 * high] = v.z, a[i + 1][2 * high + 1] = v.w;
        }
    }
  }
  __device__ __forceinline__ void load_b(unsigned table, int step) {
    using At = TableB<C>;
    const int lane = threadIdx.x & 31, n = C::warp_column(), p = lane & 7, second = lane >> 3 & 1, upper = lane >> 4;
    if constexpr (C::ORDER_B == K_MAJOR || !C::TF32) {
#pragma unroll
      for (int j = 0; j < C::NT; j += 2) {
        unsigned r[4];
        if constexpr (C::ORDER_B == K_MAJOR)
          ldmatrix(r, table + At::offset(n + At::row_at(j + upper, p), 2 * step + second));
        else
          ldmatrix_transposed(r, table + At::offset(16 * step + second * 8 + p, n / 8 + j + upper));
        b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
      }
    } else {
#pragma unroll
      for (int j = 0; j < C::NT; j += 4)
#pragma unroll
        for (int high = 0; high < 2; high++) {
          const int chunk = n / 4 + j * 2 + chunk_of_position(lane >> 2);
          const uint4 v = load_shared(table + At::offset(8 * step + 4 * high + (lane & 3), chunk));
          b[j][high] = v.x, b[j + 1][high] = v.y, b[j + 2][high] = v.z, b[j + 3][high] = v.w;
        }
    }
  }
  __device__ __forceinline__ void round() {
#pragma unroll
    for (int i = 0; i < C::MT; i++)
#pragma unroll
      for (int r = 0; r < 4; r++) a[i][r] = round_tf32(a[i][r]);
#pragma unroll
    for (int j = 0; j < C::NT; j++)
#pragma unroll
      for (int r = 0; r < 2; r++) b[j][r] = round_tf32(b[j][r]);
  }
};

}  // namespace dg
