// depthwise.cu -- convolution of each channel with its own filters: x [N, H, W, C], filters [K, R, S], K = C * multiplier.
//
//   fprop  y[npq, k]   = bias[k] + sum over rs of x[n, window of pq, k / multiplier] * w[k, rs]
//   dgrad  dx[nhw, c]  = sum over j < multiplier and the taps rs that see hw of dy[n, pq, c * multiplier + j] * w[., rs]
//   wgrad  dw[k, rs]   = sum over npq of dy[npq, k] * x[n, window of pq, k / multiplier]
//
// Idea     Nothing is shared between channels, so there is no product of matrices to make: memory is the bound. Neighbouring threads
//          take neighbouring channels, V at once (16 bytes, or one element where channels are ragged or multiplied). A block stages the
//          filters of its 32 * V channels in shared memory, transposed to [rs][channel], once, and walks over pixels.
//          wgrad splits the pixels among blocks; a block keeps one tap's sums in registers, adds the eight rows of threads through
//          shared memory, and gemm.cu's reduce_splits adds the blocks: deterministic.
// Tiling   32 * V channels by 8 pixels a block of 256 threads.
// Bytes    fprop, dgrad: input + output once each from DRAM, the input R * S / stride^2 times from L1 and L2. wgrad reads both R * S
//          times, all but the first time from L2.
// Flops    2 * N * P * Q * K * R * S: at 3 x 3, 4.5 flops a byte of float32: bound by memory on every GPU.
// Share    Of the copy bandwidth, expected on an H100: 80 % (fprop, dgrad), 40 % (wgrad). Not measured.
#include "fastdiv.cuh"
#include "numeric.cuh"

namespace dg {

constexpr int LANES = 32, WARPS = 8;  // channels (or vectors of them) by pixels of a block

struct DepthwiseArgs {
  int filters, multiplier, taps_h, taps_w;
  int height, width, out_height, out_width;  // of x, of y
  int pixels;                                // of the output of the kernel, or of y for wgrad; all images
  int each;                                  // pixels of a block
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  FastDiv by_image, by_line, by_multiplier, by_stride_h, by_stride_w;
};

template <class T, int V> __device__ __forceinline__ Vector<T, V> load(const T* p) { return *reinterpret_cast<const Vector<T, V>*>(p); }

// The filters first .. first + 32 * V of `filters`, as [rs][filter], zeros behind the last.
template <class T, int V>
__device__ __forceinline__ void stage_filters(Accumulator<T>* shared, const T* w, int first, int filters, int taps) {
  for (int i = threadIdx.x; i < LANES * V * taps; i += LANES * WARPS) {
    const int filter = i / taps, tap = i - filter * taps;
    shared[tap * LANES * V + filter] = first + filter < filters ? widen(w[static_cast<long long>(first) * taps + i]) : Accumulator<T>(0);
  }
  __syncthreads();
}

}  // namespace dg

// grid = (ceil(K / (32 * V)), blocks of pixels); V > 1: multiplier 1, K a multiple of V. Dynamic shared memory: the filters.
// judge depthwise_fprop: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
depthwise_fprop(const T* __restrict__ x, const T* __restrict__ w, T* __restrict__ y, const T* __restrict__ bias,
                const __grid_constant__ dg::DepthwiseArgs g) {
  using A = dg::Accumulator<T>;
  extern __shared__ __align__(16) unsigned char dynamic[];
  A* const filters = reinterpret_cast<A*>(dynamic);
  const int lane = threadIdx.x % dg::LANES, warp = threadIdx.x / dg::LANES, first = blockIdx.x * dg::LANES * V, k = first + lane * V;
  dg::stage_filters<T, V>(filters, w, first, g.filters, g.taps_h * g.taps_w);
  if (k >= g.filters) return;
  const int channels = g.by_multiplier.div(g.filters), c = g.by_multiplier.div(k);
  const int begin = blockIdx.y * g.each, end = begin + g.each < g.pixels ? begin + g.each : g.pixels;
  for (int i = begin + warp; i < end; i += dg::WARPS) {
    int pq, q;
    const int n = g.by_image.divmod(i, pq), p = g.by_line.divmod(pq, q);
    const int h = p * g.stride_h - g.pad_h, left = q * g.stride_w - g.pad_w;
    A sum[V];
#pragma unroll
    for (int v = 0; v < V; v++) sum[v] = bias ? dg::widen(bias[k + v]) : A(0);
    for (int r = 0; r < g.taps_h; r++) {
      const int line = h + r * g.dilation_h;
      if (unsigned(line) >= unsigned(g.height)) continue;
      for (int s = 0; s < g.taps_w; s++) {
        const int column = left + s * g.dilation_w;
        if (unsigned(column) >= unsigned(g.width)) continue;
        const dg::Vector<T, V> in = dg::load<T, V>(x + ((static_cast<long long>(n) * g.height + line) * g.width + column) * channels + c);
        const dg::Vector<A, V> tap = dg::load<A, V>(filters + (r * g.taps_w + s) * dg::LANES * V + lane * V);
#pragma unroll
        for (int v = 0; v < V; v++) sum[v] += dg::widen(in.v[v]) * tap.v[v];
      }
    }
    dg::Vector<T, V> out;
#pragma unroll
    for (int v = 0; v < V; v++) out.v[v] = dg::narrow<T>(sum[v]);
    *reinterpret_cast<dg::Vector<T, V>*>(y + static_cast<long long>(i) * g.filters + k) = out;
  }
}

// grid = (ceil(C / (32 * V)), blocks of pixels of x). A thread's channel has the filters c * multiplier and following.
// judge depthwise_dgrad: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
depthwise_dgrad(const T* __restrict__ dy, const T* __restrict__ w, T* __restrict__ dx, const __grid_constant__ dg::DepthwiseArgs g) {
  using A = dg::Accumulator<T>;
  extern __shared__ __align__(16) unsigned char dynamic[];
  A* const filters = reinterpret_cast<A*>(dynamic);
  const int lane = threadIdx.x % dg::LANES, warp = threadIdx.x / dg::LANES, channels = g.by_multiplier.div(g.filters);
  const int taps = g.taps_h * g.taps_w, first = blockIdx.x * dg::LANES * V, c = first + lane * V;
  const int begin = blockIdx.y * g.each, end = begin + g.each < g.pixels ? begin + g.each : g.pixels;
  if (V > 1) dg::stage_filters<T, V>(filters, w, first, g.filters, taps);
  if (c >= channels) return;
  for (int i = begin + warp; i < end; i += dg::WARPS) {
    int hw, column;
    const int n = g.by_image.divmod(i, hw), line = g.by_line.divmod(hw, column);
    A sum[V] = {};
    for (int r = 0; r < g.taps_h; r++) {
      int rest;
      const int down = line + g.pad_h - r * g.dilation_h, p = down < 0 ? -1 : g.by_stride_h.divmod(down, rest);
      if (p < 0 || rest || p >= g.out_height) continue;
      for (int s = 0; s < g.taps_w; s++) {
        const int right = column + g.pad_w - s * g.dilation_w, q = right < 0 ? -1 : g.by_stride_w.divmod(right, rest);
        if (q < 0 || rest || q >= g.out_width) continue;
        const T* in = dy + ((static_cast<long long>(n) * g.out_height + p) * g.out_width + q) * g.filters;
        if constexpr (V > 1) {
          const dg::Vector<T, V> gradient = dg::load<T, V>(in + c);
          const dg::Vector<A, V> tap = dg::load<A, V>(filters + (r * g.taps_w + s) * dg::LANES * V + lane * V);
#pragma unroll
          for (int v = 0; v < V; v++) sum[v] += dg::widen(gradient.v[v]) * tap.v[v];
        } else {
          for (int k = c * g.multiplier; k < (c + 1) * g.multiplier; k++)
            sum[0] += dg::widen(in[k]) * dg::widen(w[static_cast<long long>(k) * taps + r * g.taps_w + s]);
        }
      }
    }
    dg::Vector<T, V> out;
#pragma unroll
    for (int v = 0; v < V; v++) out.v[v] = dg::narrow<T>(sum[v]);
    *reinterpret_cast<dg::Vector<T, V>*>(dx + static_cast<long long>(i) * channels + c) = out;
  }
}

// grid = (ceil(K / (32 * V)), splits); partial[split][k][rs]
// judge depthwise_wgrad: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2)
depthwise_wgrad(const T* __restrict__ dy, const T* __restrict__ x, dg::Accumulator<T>* __restrict__ partial,
                const __grid_constant__ dg::DepthwiseArgs g) {
  using A = dg::Accumulator<T>;
  __shared__ __align__(16) A sums[dg::WARPS][dg::LANES * V];
  const int lane = threadIdx.x % dg::LANES, warp = threadIdx.x / dg::LANES, first = blockIdx.x * dg::LANES * V, k = first + lane * V;
  const int channels = g.by_multiplier.div(g.filters), c = g.by_multiplier.div(k), taps = g.taps_h * g.taps_w;
  const int begin = blockIdx.y * g.each, end = begin + g.each < g.pixels ? begin + g.each : g.pixels;
  for (int tap = 0; tap < taps; tap++) {
    const int r = tap / g.taps_w, s = tap - r * g.taps_w;
    dg::Vector<A, V> sum = {};
    for (int i = begin + warp; i < end && k < g.filters; i += dg::WARPS) {
      int pq, q;
      const int n = g.by_image.divmod(i, pq), p = g.by_line.divmod(pq, q);
      const int line = p * g.stride_h - g.pad_h + r * g.dilation_h, column = q * g.stride_w - g.pad_w + s * g.dilation_w;
      if (unsigned(line) >= unsigned(g.height) || unsigned(column) >= unsigned(g.width)) continue;
      const dg::Vector<T, V> gradient = dg::load<T, V>(dy + static_cast<long long>(i) * g.filters + k);
      const dg::Vector<T, V> in = dg::load<T, V>(x + ((static_cast<long long>(n) * g.height + line) * g.width + column) * channels + c);
#pragma unroll
      for (int v = 0; v < V; v++) sum.v[v] += dg::widen(gradient.v[v]) * dg::widen(in.v[v]);
    }
    *reinterpret_cast<dg::Vector<A, V>*>(&sums[warp][lane * V]) = sum;
    __syncthreads();
    for (int j = threadIdx.x; j < dg::LANES * V; j += dg::LANES * dg::WARPS) {
      A total = A(0);
#pragma unroll
      for (int row = 0; row < dg::WARPS; row++) total += sums[row][j];
      if (first + j < g.filters) partial[(static_cast<long long>(blockIdx.y) * g.filters + first + j) * taps + tap] = total;
    }
    __syncthreads();
  }
}
