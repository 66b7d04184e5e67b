// conv.cu -- convolution of channels-last images as a product of matrices that are never stored (implicit GEMM).
//
//   fprop   y[npq, k]   = activation(alpha * sum over rsc of window(x)[npq, rsc] * w[k, rsc] + bias[k] + residual[npq, k])
//   dgrad   dx[nhw, c]  = sum over (tap, k) of window(dy)[nhw, (tap, k)] * w[k, tap, c], one dense product a phase
//   wgrad   dw[k, rsc]  = sum over npq of dy[npq, k] * window(x)[npq, rsc], split among blocks, then gemm.cu's reduce_splits
//
// A phase of dgrad is the set of pixels with the same (h % stride, w % stride): they see the same taps, so that no multiplication
// by zero is made. Filters are [K, R, S, C / groups]; blockIdx.y is the group. Stride, padding and dilation are any.
//
// conv_*_simt take every element type, any channels, any number of taps, and an image x of any strides (the first layer's
// NCHW image as it comes). The sums are exact float32 (see simt.cuh).
// Flops    2 * N * P * Q * K * R * S * C / groups in each direction.
#include "dense.cuh"
#include "filter.cuh"
#include "im2col.cuh"
#include "simt.cuh"

namespace dg {

template <class A>
struct FpropArgs {
  Im2col x;
  int filters;  // of a group
  int groups;
  Epilogue<A> epilogue;
};

struct DgradPhase {
  Im2col dy;
  FilterTaps w;
  PhaseRows dx;
};
constexpr int PHASES = 4;  // of one launch: all for stride 2
template <class A>
struct DgradArgs {
  int channels, filters;  // of a group
  Epilogue<A> epilogue;
  DgradPhase phase[PHASES];
};

template <class A>
struct WgradArgs {
  Im2col x;
  int filters, groups;  // filters of a group
  int k_tiles;          // of one split
  long long split_stride;
  Epilogue<A> epilogue;
};

__device__ __forceinline__ int tiles(int size, int tile) { return (size + tile - 1) / tile; }

}  // namespace dg

// grid = (tiles, groups); ORDER: K_MAJOR for a channels-last x, else MN_MAJOR
// judge conv_fprop_simt: registers <= 168, shared <= 34000; !LDL; LDS.*128
template <class T, int BM, int BN, int TM, int TN, int ORDER>
__global__ void __launch_bounds__((BM / TM) * (BN / TN))
conv_fprop_simt(const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ y, const T* __restrict__ bias,
                const T* __restrict__ residual, const __grid_constant__ dg::FpropArgs<dg::Accumulator<T>> g) {
  using C = dg::SimtTile<T, BM, BN, TM, TN>;
  __shared__ typename C::Shared shared;
  const int group = blockIdx.y, first_filter = group * g.filters;
  int tile_m, tile_n;
  dg::tile_of_block(blockIdx.x, dg::tiles(g.x.rows, BM), dg::tiles(g.filters, BN), tile_m, tile_n);
  dg::Im2colElement<typename C::template ChunksA<dg::Order(ORDER)>> windows(
      x + static_cast<long long>(group) * g.x.channels * g.x.channel_stride, g.x, tile_m * BM);
  dg::Strided<typename C::template ChunksB<dg::K_MAJOR>> filters(w + static_cast<long long>(first_filter) * g.x.depth, g.filters,
                                                                 g.x.depth, g.x.depth, 1, tile_n * BN);
  typename C::A sum[TM][TN];
  dg::simt_mainloop<C>(sum, shared, windows, filters, 0, dg::tiles(g.x.depth, C::BK));
  dg::simt_store<C>(sum, y + first_filter, bias ? bias + first_filter : bias, residual ? residual + first_filter : residual,
                    dg::DenseRows{static_cast<long long>(g.filters) * g.groups}, tile_m * BM, tile_n * BN, g.x.rows, g.filters,
                    g.epilogue);
}

// grid = (tiles of the largest phase, groups, phases)
// judge conv_dgrad_simt: registers <= 168, shared <= 34000; !LDL; LDS.*128
template <class T, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__((BM / TM) * (BN / TN))
conv_dgrad_simt(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx,
                const __grid_constant__ dg::DgradArgs<dg::Accumulator<T>> g) {
  using C = dg::SimtTile<T, BM, BN, TM, TN>;
  __shared__ typename C::Shared shared;
  const dg::DgradPhase& phase = g.phase[blockIdx.z];
  const int first_filter = blockIdx.y * g.filters, first_channel = blockIdx.y * g.channels;
  const int tiles_m = dg::tiles(phase.dy.rows, BM), tiles_n = dg::tiles(g.channels, BN);
  if (static_cast<int>(blockIdx.x) >= tiles_m * tiles_n) return;
  int tile_m, tile_n;
  dg::tile_of_block(blockIdx.x, tiles_m, tiles_n, tile_m, tile_n);
  dg::Im2colElement<typename C::template ChunksA<dg::K_MAJOR>> windows(
      dy + static_cast<long long>(first_filter) * phase.dy.channel_stride, phase.dy, tile_m * BM);
  dg::FilterMN<typename C::template ChunksB<dg::MN_MAJOR>, false> filters(w + static_cast<long long>(first_filter) * phase.w.row,
                                                                          phase.w, tile_n * BN);
  typename C::A sum[TM][TN];
  dg::simt_mainloop<C>(sum, shared, windows, filters, 0, dg::tiles(phase.dy.depth, C::BK));  // a phase without taps: zeros
  dg::simt_store<C>(sum, dx + first_channel, static_cast<const T*>(nullptr), static_cast<const T*>(nullptr), phase.dx, tile_m * BM,
                    tile_n * BN, phase.dy.rows, g.channels, g.epilogue);
}

// grid = (tiles, groups, splits); dy is contiguous
// judge conv_wgrad_simt: registers <= 168, shared <= 34000; !LDL; LDS.*128
template <class T, class O, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__((BM / TM) * (BN / TN))
conv_wgrad_simt(const T* __restrict__ dy, const T* __restrict__ x, O* __restrict__ dw,
                const __grid_constant__ dg::WgradArgs<dg::Accumulator<T>> g) {
  using C = dg::SimtTile<T, BM, BN, TM, TN>;
  __shared__ typename C::Shared shared;
  const int group = blockIdx.y, first_filter = group * g.filters;
  int tile_m, tile_n;
  dg::tile_of_block(blockIdx.x, dg::tiles(g.filters, BM), dg::tiles(g.x.depth, BN), tile_m, tile_n);
  const int first = blockIdx.z * g.k_tiles * C::BK, last = first + g.k_tiles * C::BK, end = last < g.x.rows ? last : g.x.rows;
  dg::Strided<typename C::template ChunksA<dg::MN_MAJOR>> gradients(dy + first_filter, g.filters, end, 1,
                                                                    static_cast<long long>(g.filters) * g.groups, tile_m * BM);
  dg::Im2colMN<typename C::template ChunksB<dg::MN_MAJOR>> windows(
      x + static_cast<long long>(group) * g.x.channels * g.x.channel_stride, g.x, end, tile_n * BN);
  typename C::A sum[TM][TN];
  dg::simt_mainloop<C>(sum, shared, gradients, windows, first, dg::tiles(end - first, C::BK));
  dg::simt_store<C>(sum, dw + static_cast<long long>(first_filter) * g.x.depth + blockIdx.z * g.split_stride,
                    static_cast<const O*>(nullptr), static_cast<const O*>(nullptr), dg::DenseRows{g.x.depth}, tile_m * BM,
                    tile_n * BN, g.filters, g.x.depth, g.epilogue);
}
