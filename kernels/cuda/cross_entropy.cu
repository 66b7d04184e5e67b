// cross_entropy.cu -- the cross-entropy between the softmax of rows of logits and class labels, and its gradient.
//
// With class weights w (1 without), label t and smoothing s over n classes, a row's loss is linear in the log-probabilities:
//   loss = -sum_j c_j log p_j,   c_j = (1 - s) w_t [j = t] + s / n w_j,   gx_j = g (p_j sum(c) - c_j).
//
// Idea     Softmax, logarithm, choice of the label and, backward, the scatter are one kernel each; no probability is ever stored.
//          A row's maximum and the sum of its exponentials are made in one reading: when the maximum grows, the sum so far is
//          scaled down (Milakov & Gimelshein, arXiv 1805.02867). All that backward needs beside x is the maximum and the
//          logarithm of that sum, kept apart: their own sum would lose the digits of rows far from 0. A row with a negative label does not count: loss 0, gradient 0.
// Tiling   THREADS = 32: a warp a row, 4 rows a block; 256: a block a row, for rows of more than 512.
// Bytes    forward sizeof(T) an element (twice that with smoothing, the second time from the caches), backward 2 * sizeof(T).
// Flops    forward about 40 an element (two exponentials), backward 20; in float, or in double for double.
// Roofline bound by memory: 85 % of the copy rate is to be expected on an H100 for rows of 64 classes and more.
#include <reduce.cuh>

namespace {

using dg::Accumulator;
using dg::Max;
using dg::narrow;
using dg::reduce;
using dg::Sum;
using dg::widen;

__device__ __forceinline__ float exponential(float x) { return expf(x); }
__device__ __forceinline__ double exponential(double x) { return exp(x); }
__device__ __forceinline__ float logarithm(float x) { return logf(x); }
__device__ __forceinline__ double logarithm(double x) { return log(x); }

// exp(x - max); minus infinity adds nothing, even where it is the maximum so far.
template <class A> __device__ __forceinline__ A share(A x, A max) {
  return x == dg::lowest<A>() && max == max ? A(0) : exponential(x - max);
}

// Sum over a row of the weights, or its n.
template <int THREADS, class T, class A>
__device__ __forceinline__ A sum_of_weights(const T* weight, int n, int lane, A (&scratch)[8]) {
  if (!weight) return A(n);
  A sum = 0;
  for (int i = lane; i < n; i += THREADS) sum += widen(weight[i]);
  return reduce<Sum, THREADS>(sum, scratch);
}

}  // namespace

// norms[2][rows]: the maximum, and the logarithm of the sum of exponentials after it is subtracted.
// judge cross_entropy: registers <= 64, shared <= 64; !LDL
template <class T, int THREADS>
__global__ void __launch_bounds__(THREADS == 32 ? 128 : 256, THREADS == 32 ? 8 : 4)
    cross_entropy(const T* __restrict__ x, const long long* __restrict__ labels, const T* __restrict__ weight,
                  Accumulator<T>* __restrict__ loss, Accumulator<T>* __restrict__ norms, int rows, int n,
                  Accumulator<T> smoothing) {
  using A = Accumulator<T>;
  __shared__ A scratch[8];
  const int lane = threadIdx.x % THREADS, row = blockIdx.x * (blockDim.x / THREADS) + threadIdx.x / THREADS;
  if (row >= rows) return;  // the whole warp; a block has its row
  const T* const of_row = x + static_cast<long long>(row) * n;
  A max = dg::lowest<A>(), sum = 0;
  for (int i = lane; i < n; i += THREADS) {
    const A v = widen(of_row[i]), all = dg::greater(max, v);
    sum = sum * share(max, all) + share(v, all);
    max = all;
  }
  const A most = reduce<Max, THREADS>(max, scratch);
  sum = reduce<Sum, THREADS>(sum * share(max, most), scratch);
  const A log_sum = logarithm(sum);
  const long long label = labels[row];
  const A of_label = label < 0 ? A(0) : (A(1) - smoothing) * (weight ? widen(weight[label]) : A(1));
  A result = of_label * (log_sum - (label < 0 ? A(0) : widen(of_row[label]) - most));
  if (smoothing > A(0)) {
    A spread = 0;
    for (int i = lane; i < n; i += THREADS) spread += (log_sum - (widen(of_row[i]) - most)) * (weight ? widen(weight[i]) : A(1));
    result += reduce<Sum, THREADS>(spread, scratch) * (smoothing / A(n));
  }
  if (lane) return;
  loss[row] = label < 0 ? A(0) : result;
  norms[row] = most;
  norms[rows + row] = log_sum;
}

// The gradient g of a row's loss is g[row * stride].
// judge cross_entropy_backward: registers <= 64, shared <= 64; !LDL
template <class T, int THREADS>
__global__ void __launch_bounds__(THREADS == 32 ? 128 : 256, THREADS == 32 ? 8 : 4)
    cross_entropy_backward(const Accumulator<T>* __restrict__ g, int stride, const T* __restrict__ x,
                           const Accumulator<T>* __restrict__ norms, const long long* __restrict__ labels,
                           const T* __restrict__ weight, T* __restrict__ gx, int rows, int n, Accumulator<T> smoothing) {
  using A = Accumulator<T>;
  __shared__ A scratch[8];
  const int lane = threadIdx.x % THREADS, row = blockIdx.x * (blockDim.x / THREADS) + threadIdx.x / THREADS;
  if (row >= rows) return;
  const long long start = static_cast<long long>(row) * n, label = labels[row];
  const bool counts = label >= 0;
  const A of_label = counts ? (A(1) - smoothing) * (weight ? widen(weight[label]) : A(1)) : A(0), each = smoothing / A(n);
  A all = of_label;
  if (smoothing > A(0)) all += each * sum_of_weights<THREADS>(weight, n, lane, scratch);
  const A factor = counts ? g[static_cast<long long>(row) * stride] : A(0);
  const A max = norms[row], log_sum = norms[rows + row];
  for (int i = lane; i < n; i += THREADS) {
    A c = i == label ? of_label : A(0);
    if (smoothing > A(0)) c += each * (weight ? widen(weight[i]) : A(1));
    gx[start + i] = narrow<T>(counts ? factor * (all * exponential(widen(x[start + i]) - max - log_sum) - c) : A(0));
  }
}
