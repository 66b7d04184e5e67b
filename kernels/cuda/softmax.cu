// softmax.cu -- softmax and its logarithm along one axis, and their gradients.
//
// The array is [outer][n][inner] in memory, and the axis is the middle one.
//
// Idea     rows (inner = 1): a warp holds a row of up to 32 * ITEMS elements in registers, so that it is read once; maximum
//          and sum go through shuffles. Longer rows belong to a block, which reads them three times, from L1 or L2 after
//          the first. columns (inner > 1): a thread goes down a column three times; neighbours are neighbours in memory.
// Tiling   softmax_warp: 4 rows a block of 128 threads; softmax_block: 256 threads a row; softmax_columns: 256 columns.
// Bytes    forward 2 * sizeof(T) an element, backward 3 * sizeof(T), as long as a block's rows stay in the caches.
// Flops    about 25 an element (an exponential), in float, or in double for double.
// Roofline bound by memory: 85 % of the copy rate is to be expected on an H100 for rows of 64 elements and more.
//
// A row of minus infinities has no maximum to subtract: -inf - -inf is NaN and so is the whole row, as in PyTorch.
#include <reduce.cuh>

namespace {

using dg::Accumulator;
using dg::greater;
using dg::lowest;
using dg::Max;
using dg::narrow;
using dg::reduce_block;
using dg::reduce_warp;
using dg::Sum;
using dg::widen;

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

// What becomes of x, given the row's maximum and, of the sum of its exponentials, the reciprocal or the logarithm.
template <bool LOG, class A> __device__ __forceinline__ A norm(A sum) { return LOG ? logarithm(sum) : A(1) / sum; }
template <bool LOG, class A> __device__ __forceinline__ A normalised(A x, A max, A norm) {
  return LOG ? x - max - norm : exponential(x - max) * norm;
}

// Backward: softmax adds up gy * y and log-softmax gy; then y (gy - sum) and gy - exp(y) sum.
template <bool LOG, class A> __device__ __forceinline__ A term(A gy, A y) { return LOG ? gy : gy * y; }
template <bool LOG, class A> __device__ __forceinline__ A gradient(A gy, A y, A sum) {
  return LOG ? gy - exponential(y) * sum : y * (gy - sum);
}

}  // namespace

// judge softmax_warp: registers <= 80; !LDL
template <class T, bool LOG, int ITEMS>
__global__ void __launch_bounds__(128, 4) softmax_warp(const T* __restrict__ x, T* __restrict__ y, int rows, int n) {
  using A = Accumulator<T>;
  const int row = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;  // the whole warp
  const long long start = static_cast<long long>(row) * n;
  A v[ITEMS], max = lowest<A>(), sum = 0;
#pragma unroll
  for (int i = 0; i < ITEMS; i++) {
    v[i] = lane + 32 * i < n ? widen(x[start + lane + 32 * i]) : lowest<A>();
    max = greater(max, v[i]);
  }
  max = reduce_warp<Max>(max);
#pragma unroll
  for (int i = 0; i < ITEMS; i++)
    if (lane + 32 * i < n) sum += exponential(v[i] - max);
  sum = reduce_warp<Sum>(sum);
  sum = norm<LOG>(sum);
#pragma unroll
  for (int i = 0; i < ITEMS; i++)
    if (lane + 32 * i < n) y[start + lane + 32 * i] = narrow<T>(normalised<LOG>(v[i], max, sum));
}

// judge softmax_block: registers <= 64, shared <= 64; !LDL
template <class T, bool LOG>
__global__ void __launch_bounds__(256, 2) softmax_block(const T* __restrict__ x, T* __restrict__ y, int n) {
  using A = Accumulator<T>;
  __shared__ A scratch[8];
  const long long start = static_cast<long long>(blockIdx.x) * n;
  A max = lowest<A>(), sum = 0;
  for (int i = threadIdx.x; i < n; i += 256) max = greater(max, widen(x[start + i]));
  max = reduce_block<Max>(max, scratch);
  for (int i = threadIdx.x; i < n; i += 256) sum += exponential(widen(x[start + i]) - max);
  sum = reduce_block<Sum>(sum, scratch);
  sum = norm<LOG>(sum);
  for (int i = threadIdx.x; i < n; i += 256) y[start + i] = narrow<T>(normalised<LOG>(widen(x[start + i]), max, sum));
}

// judge softmax_columns: registers <= 96; !LDL
template <class T, bool LOG>
__global__ void __launch_bounds__(256, 2)
    softmax_columns(const T* __restrict__ x, T* __restrict__ y, long long columns, int n, int inner) {
  using A = Accumulator<T>;
  const long long column = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
  if (column >= columns) return;
  const long long start = column / inner * n * inner + column % inner;
  A max = lowest<A>(), sum = 0;
  for (int i = 0; i < n; i++) max = greater(max, widen(x[start + static_cast<long long>(i) * inner]));
  for (int i = 0; i < n; i++) sum += exponential(widen(x[start + static_cast<long long>(i) * inner]) - max);
  sum = norm<LOG>(sum);
  for (int i = 0; i < n; i++) {
    const long long at = start + static_cast<long long>(i) * inner;
    y[at] = narrow<T>(normalised<LOG>(widen(x[at]), max, sum));
  }
}

// judge softmax_backward_warp: registers <= 96; !LDL
template <class T, bool LOG, int ITEMS>
__global__ void __launch_bounds__(128, 4)
    softmax_backward_warp(const T* __restrict__ gy, const T* __restrict__ y, T* __restrict__ gx, int rows, int n) {
  using A = Accumulator<T>;
  const int row = blockIdx.x * 4 + threadIdx.x / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;  // the whole warp
  const long long start = static_cast<long long>(row) * n;
  A g[ITEMS], v[ITEMS], sum = 0;
#pragma unroll
  for (int i = 0; i < ITEMS; i++) {
    const bool inside = lane + 32 * i < n;
    g[i] = inside ? widen(gy[start + lane + 32 * i]) : A(0);
    v[i] = inside ? widen(y[start + lane + 32 * i]) : A(0);
    sum += term<LOG>(g[i], v[i]);
  }
  sum = reduce_warp<Sum>(sum);
#pragma unroll
  for (int i = 0; i < ITEMS; i++)
    if (lane + 32 * i < n) gx[start + lane + 32 * i] = narrow<T>(gradient<LOG>(g[i], v[i], sum));
}

// judge softmax_backward_block: registers <= 96, shared <= 64; !LDL
template <class T, bool LOG>
__global__ void __launch_bounds__(256, 2)
    softmax_backward_block(const T* __restrict__ gy, const T* __restrict__ y, T* __restrict__ gx, int n) {
  using A = Accumulator<T>;
  __shared__ A scratch[8];
  const long long start = static_cast<long long>(blockIdx.x) * n;
  A sum = 0;
  for (int i = threadIdx.x; i < n; i += 256) sum += term<LOG>(widen(gy[start + i]), widen(y[start + i]));
  sum = reduce_block<Sum>(sum, scratch);
  for (int i = threadIdx.x; i < n; i += 256)
    gx[start + i] = narrow<T>(gradient<LOG>(widen(gy[start + i]), widen(y[start + i]), sum));
}

// judge softmax_backward_columns: registers <= 104; !LDL
template <class T, bool LOG>
__global__ void __launch_bounds__(256, 2) softmax_backward_columns(
    const T* __restrict__ gy, const T* __restrict__ y, T* __restrict__ gx, long long columns, int n, int inner) {
  using A = Accumulator<T>;
  const long long column = static_cast<long long>(blockIdx.x) * 256 + threadIdx.x;
  if (column >= columns) return;
  const long long start = column / inner * n * inner + column % inner;
  A sum = 0;
  for (int i = 0; i < n; i++) {
    const long long at = start + static_cast<long long>(i) * inner;
    sum += term<LOG>(widen(gy[at]), widen(y[at]));
  }
  for (int i = 0; i < n; i++) {
    const long long at = start + static_cast<long long>(i) * inner;
    gx[at] = narrow<T>(gradient<LOG>(widen(gy[at]), widen(y[at]), sum));
  }
}
