// conv.cu -- convolution of channels-last images as a product of matrices that are never stored (implicit GEMM).
//
//   fprop   y[npq, k]   = activation(alpha * sum over rsc of window(x)[npq, rsc] * w[k, rsc] + bias[k] + residual[npq, k])
//   dgrad   dx[nhw, c]  = sum over (tap, k) of window(dy)[nhw, (tap, k)] * w[k, tap, c], one dense product a phase
//   wgrad   dw[k, rsc]  = sum over npq of dy[npq, k] * window(x)[npq, rsc], split among blocks, then gemm.cu's reduce_splits
//
// A phase of dgrad is the set of pixels with the same (h % stride, w % stride): they see the same taps, so that no multiplication
// by zero is made. Filters are [K, R, S, C / groups]; blockIdx.y is the group. Stride, padding and dilation are any.
//
// conv_*_mma run on tensor cores (see mma_mainloop.cuh): half, bfloat16, float as TF32; x and dy are channels-last, the channels
// (and for dgrad and wgrad the filters) of a group are multiples of 16 bytes, a filter has at most 15 taps a side.
// conv_*_simt take every element type, any channels, any number of taps, and an image x of any strides (the first layer's
// NCHW image as it comes). The sums are exact float32 (see simt.cuh).
// Flops    2 * N * P * Q * K * R * S * C / groups in each direction.
// Bytes    Elements read, for each group, with `pairs` the taps of all windows that lie inside the image, c channels, k filters:
//            fprop   ceil(k / BN) * pairs * c + ceil(N * P * Q / BM) * k * R * S * c
//            dgrad   ceil(c / BN) * pairs * k + sum over phases of ceil(pixels / BM) * taps * k * c
//            wgrad   ceil(R * S * c / BN) * N * P * Q * k + ceil(k / BM) * pairs * c
//          Most of the windows' reads hit L1 or L2: a pixel is read R * S times. Each output is written once.
// Share    See mma_mainloop.cuh: the same loop, and the addresses cost up to twice the integer instructions of a product.
#include "dense.cuh"
#include "filter.cuh"
#include "im2col.cuh"
#include "mma_store.cuh"
#include "simt.cuh"

namespace dg {

template <class A, int ACTIVATION>
struct FpropArgs {
  Im2col x;
  int filters;  // of a group
  int groups;
  Epilogue<A, ACTIVATION> epilogue;
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
  Epilogue<A, IDENTITY> epilogue;
  DgradPhase phase[PHASES];
};

template <class A>
struct WgradArgs {
  Im2col x;
  int filters, groups;  // filters of a group
  int k_tiles;          // of one split
  long long split_stride;
  Epilogue<A, IDENTITY> epilogue;
};

__device__ __forceinline__ int tiles(int size, int tile) { return (size + tile - 1) / tile; }

}  // namespace dg

// ---- tensor cores: dynamic shared memory MmaTile::SHARED_BYTES -----------------------------------------------------

// grid = (tiles, groups)
// judge conv_fprop_mma: registers <= 255, stack <= 0; sm_80+: HMMA, LDSM, LDGSTS.*128; !LDL
template <class T, int BM, int BN, int WM, int WN, int STAGES, int ACTIVATION = dg::IDENTITY>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
conv_fprop_mma(const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ y, const T* __restrict__ bias,
               const T* __restrict__ residual, const __grid_constant__ dg::FpropArgs<float, ACTIVATION> g) {
  using C = dg::MmaTile<T, T, BM, BN, WM, WN, STAGES, dg::K_MAJOR, dg::K_MAJOR>;
  extern __shared__ __align__(128) unsigned char stages[];
  const int group = blockIdx.y, first_filter = group * g.filters;
  int tile_m, tile_n;
  dg::tile_of_block(blockIdx.x, dg::tiles(g.x.rows, BM), dg::tiles(g.filters, BN), tile_m, tile_n);
  dg::Im2colK<typename C::ChunksA> windows(x + group * g.x.channels, g.x, tile_m * BM);
  dg::DenseK<typename C::ChunksB, false> filters(w + static_cast<long long>(first_filter) * g.x.depth, g.filters, g.x.depth,
                                                 g.x.depth, tile_n * BN);
  dg::MmaSums<C> sum;
  dg::mma_mainloop<C>(sum, dg::shared_address(stages), windows, filters, 0, dg::tiles(g.x.depth, C::BK));
  dg::mma_store<C>(sum, y + first_filter, bias ? bias + first_filter : bias, residual ? residual + first_filter : residual,
                   dg::DenseRows{static_cast<long long>(g.filters) * g.groups}, tile_m * BM, tile_n * BN, g.x.rows, g.filters,
                   g.epilogue);
}

// grid = (tiles of the largest phase, groups, phases). WHOLE: the filters of a group are a multiple of the k-tile. ONE_PHASE: the
// stride is 1; a constant index keeps the geometry in constant-bank operands.
// judge conv_dgrad_mma: registers <= 255, stack <= 0; sm_80+: HMMA, LDSM, LDGSTS.*128; !LDL
template <class T, int BM, int BN, int WM, int WN, int STAGES, bool WHOLE, bool ONE_PHASE>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
conv_dgrad_mma(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx,
               const __grid_constant__ dg::DgradArgs<float> g) {
  using C = dg::MmaTile<T, T, BM, BN, WM, WN, STAGES, dg::K_MAJOR, dg::MN_MAJOR>;
  extern __shared__ __align__(128) unsigned char stages[];
  const dg::DgradPhase& phase = g.phase[ONE_PHASE ? 0 : blockIdx.z];
  const int first_filter = blockIdx.y * g.filters, first_channel = blockIdx.y * g.channels;
  const int tiles_m = dg::tiles(phase.dy.rows, BM), tiles_n = dg::tiles(g.channels, BN);
  if (static_cast<int>(blockIdx.x) >= tiles_m * tiles_n) return;
  int tile_m, tile_n;
  dg::tile_of_block(blockIdx.x, tiles_m, tiles_n, tile_m, tile_n);
  dg::Im2colK<typename C::ChunksA> windows(dy + first_filter, phase.dy, tile_m * BM);
  dg::FilterMN<typename C::ChunksB, WHOLE> filters(w + static_cast<long long>(first_filter) * phase.w.row, phase.w, tile_n * BN);
  dg::MmaSums<C> sum;
  dg::mma_mainloop<C>(sum, dg::shared_address(stages), windows, filters, 0, dg::tiles(phase.dy.depth, C::BK));
  dg::mma_store<C>(sum, dx + first_channel, static_cast<const T*>(nullptr), static_cast<const T*>(nullptr), phase.dx, tile_m * BM,
                   tile_n * BN, phase.dy.rows, g.channels, g.epilogue);
}

// grid = (tiles, groups, splits)
// judge conv_wgrad_mma: registers <= 255, stack <= 0; sm_80+: HMMA, LDGSTS.*128; !LDL
template <class T, class O, int BM, int BN, int WM, int WN, int STAGES>
__global__ void __launch_bounds__((BM / WM) * (BN / WN) * 32, 1)
conv_wgrad_mma(const T* __restrict__ dy, const T* __restrict__ x, O* __restrict__ dw,
               const __grid_constant__ dg::WgradArgs<float> g) {
  using C = dg::MmaTile<T, O, BM, BN, WM, WN, STAGES, dg::MN_MAJOR, dg::MN_MAJOR>;
  extern __shared__ __align__(128) unsigned char stages[];
  const int group = blockIdx.y, first_filter = group * g.filters;
  int tile_m, tile_n;
  dg::tile_of_block(blockIdx.x, dg::tiles(g.filters, BM), dg::tiles(g.x.depth, BN), tile_m, tile_n);
  const int first = blockIdx.z * g.k_tiles * C::BK, last = first + g.k_tiles * C::BK, end = last < g.x.rows ? last : g.x.rows;
  dg::DenseMN<typename C::ChunksA, false> gradients(dy + first_filter, g.filters, end, static_cast<long long>(g.filters) * g.groups,
                                                    tile_m * BM);
  dg::Im2colMN<typename C::ChunksB> windows(x + group * g.x.channels, g.x, end, tile_n * BN);
  dg::MmaSums<C> sum;
  dg::mma_mainloop<C>(sum, dg::shared_address(stages), gradients, windows, first, dg::tiles(end - first, C::BK));
  dg::mma_store<C>(sum, dw + static_cast<long long>(first_filter) * g.x.depth + blockIdx.z * g.split_stride,
                   static_cast<const O*>(nullptr), static_cast<const O*>(nullptr), dg::DenseRows{g.x.depth}, tile_m * BM,
                   tile_n * BN, g.filters, g.x.depth, g.epilogue);
}

// ---- scalar multiply-adds ------------------------------------------------------------------------------------------

// grid = (tiles, groups); ORDER: K_MAJOR for a channels-last x, else MN_MAJOR
// judge conv_fprop_simt: registers <= 208, shared <= 25600; !LDL; LDS.*128
template <class T, int BM, int BN, int TM, int TN, int ORDER, int ACTIVATION = dg::IDENTITY>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
conv_fprop_simt(const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ y, const T* __restrict__ bias,
                const T* __restrict__ residual, const __grid_constant__ dg::FpropArgs<dg::Accumulator<T>, ACTIVATION> g) {
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
// judge conv_dgrad_simt: registers <= 224, shared <= 25600; !LDL; LDS.*128
template <class T, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
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
// judge conv_wgrad_simt: registers <= 208, shared <= 25600; !LDL; LDS.*128
template <class T, class O, int BM, int BN, int TM, int TN>
__global__ void __launch_bounds__((BM / TM) * (BN / TN), 1)
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
