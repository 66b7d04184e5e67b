// gemm.cu -- C[b] = activation(alpha * A[b] * B[b] + bias + residual[b]).
//
//   gemm_mma       tensor cores: half and bfloat16, float as TF32; sm_80 and later (see mma_mainloop.cuh)
//   gemm_simt      scalar multiply-adds: every type, size, stride and alignment; exact float32; sm_75 (see simt.cuh)
//   reduce_splits  adds up the partial sums of a product whose reduction was split among blocks
//
// Flops    2 * batch * M * N * K.
// Bytes    batch * (ceil(N / BN) * M + ceil(M / BM) * N) * K elements read, most of them in L2; M * N written.
// Share    See mma_mainloop.cuh for tensor cores; simt.cuh's inner loop issues 64 multiply-adds for every 4 loads.
//
// A split reduction is for outputs too small to fill the GPU: blockIdx.y sums its share of k into its own partial matrix, and
// reduce_splits adds them in ascending order: deterministic, unlike atomics.
// Bytes    reduce_splits reads splits + 1 (with residual) matrices and writes one: bound by memory.
#include "dense.cuh"
#include "mma_store.cuh"
#include "simt.cuh"

namespace dg {

// An operand: element (m or n, k) of matrix b at m * stride_mn + k * stride_k + b * batch.
struct Matrix { long long stride_mn, stride_k, batch; };

template <class A, int ACTIVATION>
struct GemmArgs {
  int M, N, K;
  int k_tiles;  // of one split
  Matrix a, b;
  long long stride_c, batch_c, split_c;
  FastDiv by_tiles;  // output tiles of one matrix
  Epilogue<A, ACTIVATION> epilogue;
};

}  // namespace dg

// grid = (tiles * batch, splits), dynamic shared memory MmaTile::SHARED_BYTES. One stride of each operand is 1; the other, and the
// first element, are multiples of 16 bytes. RAGGED: the contiguous size of an operand is not. K_MAJOR: stride_k is 1.
// judge gemm_mma: registers <= 255, stack <= 0; sm_80+: HMMA, LDGSTS.*128; !LDL
template <class T, class O, int BM, int BN, int WM, int WN, int STAGES, int ORDER_A, int ORDER_B, bool RAGGED, int ACTIVATION = dg::IDENTITY>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
gemm_mma(const T* __restrict__ a, const T* __restrict__ b, O* __restrict__ c, const O* __restrict__ bias,
         const O* __restrict__ residual, const __grid_constant__ dg::GemmArgs<float, ACTIVATION> g) {
  using C = dg::MmaTile<T, O, BM, BN, WM, WN, STAGES, dg::Order(ORDER_A), dg::Order(ORDER_B)>;
  extern __shared__ __align__(128) unsigned char stages[];
  int tile, tile_m, tile_n;
  const long long batch = g.by_tiles.divmod(blockIdx.x, tile), out = batch * g.batch_c;
  dg::tile_of_block(tile, (g.M + BM - 1) / BM, (g.N + BN - 1) / BN, tile_m, tile_n);
  const int first = blockIdx.y * g.k_tiles * C::BK, last = first + g.k_tiles * C::BK, end = last < g.K ? last : g.K;
  dg::Dense<typename C::ChunksA, RAGGED> rows_a(a + batch * g.a.batch, g.M, end, ORDER_A ? g.a.stride_k : g.a.stride_mn,
                                                tile_m * BM);
  dg::Dense<typename C::ChunksB, RAGGED> rows_b(b + batch * g.b.batch, g.N, end, ORDER_B ? g.b.stride_k : g.b.stride_mn,
                                                tile_n * BN);
  dg::MmaSums<C> sum;
  dg::mma_mainloop<C>(sum, dg::shared_address(stages), rows_a, rows_b, first, (end - first + C::BK - 1) / C::BK);
  dg::mma_store<C>(sum, c + out + blockIdx.y * g.split_c, bias, residual ? residual + out : residual,
                   dg::DenseRows{g.stride_c}, tile_m * BM, tile_n * BN, g.M, g.N, g.epilogue);
}

// grid = (tiles * batch, splits)
// judge gemm_simt: registers <= 208, shared <= 25600; !LDL; LDS.*128
template <class T, class O, int BM, int BN, int TM, int TN, int ORDER_A, int ORDER_B, int ACTIVATION = dg::IDENTITY>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
gemm_simt(const T* __restrict__ a, const T* __restrict__ b, O* __restrict__ c, const O* __restrict__ bias,
          const O* __restrict__ residual, const __grid_constant__ dg::GemmArgs<dg::Accumulator<T>, ACTIVATION> g) {
  using C = dg::SimtTile<T, BM, BN, TM, TN>;
  __shared__ typename C::Shared shared;
  int tile, tile_m, tile_n;
  const long long batch = g.by_tiles.divmod(blockIdx.x, tile), out = batch * g.batch_c;
  dg::tile_of_block(tile, (g.M + BM - 1) / BM, (g.N + BN - 1) / BN, tile_m, tile_n);
  const int first = blockIdx.y * g.k_tiles, all = (g.K + C::BK - 1) / C::BK, left = all - first;
  dg::Strided<typename C::template ChunksA<dg::Order(ORDER_A)>> rows_a(a + batch * g.a.batch, g.M, g.K, g.a.stride_mn,
                                                                       g.a.stride_k, tile_m * BM);
  dg::Strided<typename C::template ChunksB<dg::Order(ORDER_B)>> rows_b(b + batch * g.b.batch, g.N, g.K, g.b.stride_mn,
                                                                       g.b.stride_k, tile_n * BN);
  typename C::A sum[TM][TN];
  dg::simt_mainloop<C>(sum, shared, rows_a, rows_b, first * C::BK, left < g.k_tiles ? left : g.k_tiles);
  dg::simt_store<C>(sum, c + out + blockIdx.y * g.split_c, bias, residual ? residual + out : residual,
                    dg::DenseRows{g.stride_c}, tile_m * BM, tile_n * BN, g.M, g.N, g.epilogue);
}

// out[i] = activation(alpha * sum over s of partial[s][i] + bias[i % columns] + residual[i]), four i a thread
// judge reduce_splits: registers <= 64; !LDL
template <class A, class O, int ACTIVATION = dg::IDENTITY>
__global__ void __launch_bounds__(256)
reduce_splits(const A* __restrict__ partial, O* __restrict__ out, const O* __restrict__ bias, const O* __restrict__ residual,
              int count, int splits, const __grid_constant__ dg::FastDiv by_columns,
              const __grid_constant__ dg::Epilogue<A, ACTIVATION> epilogue) {
  const int i = (blockIdx.x * 256 + threadIdx.x) * 4;
  if (i >= count) return;
  A sum[4] = {};
  for (int s = 0; s < splits; s++) {
    const A* at = partial + static_cast<long long>(s) * count + i;
    if (epilogue.aligned) {
      const dg::Vector<A, 4> four = *reinterpret_cast<const dg::Vector<A, 4>*>(at);
#pragma unroll
      for (int c = 0; c < 4; c++) sum[c] += four.v[c];
    } else {
#pragma unroll
      for (int c = 0; c < 4; c++)
        if (i + c < count) sum[c] += at[c];
    }
  }
  int n;
  const int row = by_columns.divmod(i, n), columns = by_columns.divisor;
  if (epilogue.aligned) {
    epilogue.template store<4>(sum, out, bias, residual, static_cast<long long>(row) * columns, n, columns);
    return;
  }
#pragma unroll
  for (int c = 0; c < 4; c++) {
    if (i + c >= count) return;
    const A one[1] = {sum[c]};
    const int r = by_columns.divmod(i + c, n);
    epilogue.template store<1>(one, out, bias, residual, static_cast<long long>(r) * columns, n, columns);
  }
}
