// batchnorm.cu -- batch normalisation of a matrix of M rows and C channels: channels-last images, M = N * H * W.
//
// Idea     Every thread keeps to V channels and goes down the rows; so a row is read in whole lines, and what depends on the
//          channel is loaded once. A pass over the matrix is cut into chunks of rows; the sums of the chunks are added up by
//          a second, small kernel, always in the same order: the result does not depend on the schedule.
//          The deviations are taken from the chunk's first row, and the chunks' means and squares are merged by Chan's rule:
//          a large common offset does not cancel.
// Tiling   256 threads, tx of them (a power of two) side by side with V channels each, ty = 256 / tx rows deep; a block is
//          tx * V channels of one chunk. V * sizeof(T) = 16 bytes where the channels allow it.
// Bytes    forward: x twice, y once, and the residual if there is one: 3 or 4 * sizeof(T) an element; backward:
//          gy and x twice, gx once: 5 * sizeof(T).
// Flops    forward 5 an element, backward 10; accumulated in float (double for double) whatever T is.
// Roofline bound by memory: 85 % of the copy rate is to be expected on an H100; less where x of both passes fits into L2.
#include <reduce.cuh>

namespace {

using dg::Accumulator;
using dg::add_rows;
using dg::narrow;
using dg::Vector;
using dg::widen;

// Where a thread works: V channels from `channel` on, rows first, first + step, ... below end.
struct Place {
  int channel;
  long long first, end, step;
  bool inside;
};

template <int V> __device__ __forceinline__ Place place(int C, long long M, int rows_of_chunk) {
  Place p;
  p.channel = (blockIdx.x * blockDim.x + threadIdx.x) * V;
  const long long start = static_cast<long long>(blockIdx.y) * rows_of_chunk;
  p.first = start + threadIdx.y;
  p.end = start + rows_of_chunk < M ? start + rows_of_chunk : M;
  p.step = blockDim.y;
  p.inside = p.channel < C;
  return p;
}

template <class T> __device__ __forceinline__ T reciprocal_root(T x) { return T(1) / sqrt(x); }

}  // namespace

// Mean of each chunk, and the sum of squared deviations from it: partial[2][chunks][C].
// judge batchnorm_statistics: registers <= 80, shared <= 16384; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 3) batchnorm_statistics(
    const T* __restrict__ x, Accumulator<T>* __restrict__ partial, long long M, int C, int rows_of_chunk) {
  using A = Accumulator<T>;
  __shared__ A scratch[2 * 256 * V];
  const Place p = place<V>(C, M, rows_of_chunk);
  const long long start = p.first - threadIdx.y;
  A shift[V] = {}, sum[V] = {}, square[V] = {};
  if (p.inside) {
    const Vector<T, V> v = *reinterpret_cast<const Vector<T, V>*>(x + start * C + p.channel);
#pragma unroll
    for (int j = 0; j < V; j++) shift[j] = widen(v.v[j]);
    for (long long m = p.first; m < p.end; m += p.step) {
      const Vector<T, V> w = *reinterpret_cast<const Vector<T, V>*>(x + m * C + p.channel);
#pragma unroll
      for (int j = 0; j < V; j++) {
        const A d = widen(w.v[j]) - shift[j];
        sum[j] += d;
        square[j] += d * d;
      }
    }
  }
  add_rows<V>(sum, square, scratch);
  if (threadIdx.y == 0 && p.inside) {
    const A share = A(1) / static_cast<A>(p.end - start);
    A* const mean = partial + static_cast<long long>(blockIdx.y) * C + p.channel;
    A* const deviation = mean + static_cast<long long>(gridDim.y) * C;
#pragma unroll
    for (int j = 0; j < V; j++) {
      mean[j] = shift[j] + sum[j] * share;
      deviation[j] = square[j] - sum[j] * (sum[j] * share);
    }
  }
}

// The statistics of all rows from those of the chunks, a thread a channel.
// judge batchnorm_merge: registers <= 64; !LDL
template <class A>
__global__ void __launch_bounds__(128, 4) batchnorm_merge(const A* __restrict__ partial, A* __restrict__ mean,
                                                       A* __restrict__ var, long long M, int C, int chunks,
                                                       int rows_of_chunk) {
  const int c = blockIdx.x * 128 + threadIdx.x;
  if (c >= C) return;
  A n = 0, m = 0, s = 0;
  for (int i = 0; i < chunks; i++) {
    const long long left = M - static_cast<long long>(i) * rows_of_chunk;
    const A rows = static_cast<A>(left < rows_of_chunk ? left : rows_of_chunk), all = n + rows;
    const A d = partial[static_cast<long long>(i) * C + c] - m;
    m += d * (rows / all);
    s += partial[static_cast<long long>(chunks + i) * C + c] + d * d * (n * (rows / all));
    n = all;
  }
  mean[c] = m;
  var[c] = s > A(0) || s != s ? s / n : A(0);
}

// y = (x - mean) / sqrt(var + eps) * weight + bias; no weight is 1, no bias 0. Then, each rounded as a pass of its own would,
// the sum with the residual, if there is one, and the limits; a limit that is NaN limits nothing.
// judge batchnorm_apply: registers <= 80; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 3)
    batchnorm_apply(const T* __restrict__ x, T* __restrict__ y, const Accumulator<T>* __restrict__ weight,
                    const Accumulator<T>* __restrict__ bias, const Accumulator<T>* __restrict__ mean,
                    const Accumulator<T>* __restrict__ var, Accumulator<T> eps, const T* __restrict__ residual,
                    Accumulator<T> low, Accumulator<T> high, long long M, int C, int rows_of_chunk) {
  using A = Accumulator<T>;
  const Place p = place<V>(C, M, rows_of_chunk);
  if (!p.inside) return;
  A center[V], scale[V], shift[V];
#pragma unroll
  for (int j = 0; j < V; j++) {
    center[j] = mean[p.channel + j];
    scale[j] = reciprocal_root(var[p.channel + j] + eps) * (weight ? weight[p.channel + j] : A(1));
    shift[j] = bias ? bias[p.channel + j] : A(0);
  }
  for (long long m = p.first; m < p.end; m += p.step) {
    const long long at = m * C + p.channel;
    Vector<T, V> v = *reinterpret_cast<const Vector<T, V>*>(x + at), r = {};
    if (residual) r = *reinterpret_cast<const Vector<T, V>*>(residual + at);
#pragma unroll
    for (int j = 0; j < V; j++) {
      T t = narrow<T>((widen(v.v[j]) - center[j]) * scale[j] + shift[j]);
      if (residual) t = narrow<T>(widen(t) + widen(r.v[j]));
      A a = widen(t);
      a = a < low ? low : a;
      v.v[j] = narrow<T>(a > high ? high : a);
    }
    *reinterpret_cast<Vector<T, V>*>(y + at) = v;
  }
}

// Sums over the rows of each chunk: of gy, and of gy * (x - mean) / sqrt(var + eps): partial[2][chunks][C].
// judge batchnorm_backward_sums: registers <= 80, shared <= 16384; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 3) batchnorm_backward_sums(
    const T* __restrict__ gy, const T* __restrict__ x, const Accumulator<T>* __restrict__ mean,
    const Accumulator<T>* __restrict__ var, Accumulator<T> eps, Accumulator<T>* __restrict__ partial, long long M, int C,
    int rows_of_chunk) {
  using A = Accumulator<T>;
  __shared__ A scratch[2 * 256 * V];
  const Place p = place<V>(C, M, rows_of_chunk);
  A sum[V] = {}, product[V] = {};
  if (p.inside) {
    A center[V];
#pragma unroll
    for (int j = 0; j < V; j++) center[j] = mean[p.channel + j];
    for (long long m = p.first; m < p.end; m += p.step) {
      const Vector<T, V> g = *reinterpret_cast<const Vector<T, V>*>(gy + m * C + p.channel);
      const Vector<T, V> v = *reinterpret_cast<const Vector<T, V>*>(x + m * C + p.channel);
#pragma unroll
      for (int j = 0; j < V; j++) {
        sum[j] += widen(g.v[j]);
        product[j] += widen(g.v[j]) * (widen(v.v[j]) - center[j]);
      }
    }
  }
  add_rows<V>(sum, product, scratch);
  if (threadIdx.y == 0 && p.inside) {
    A* const to = partial + static_cast<long long>(blockIdx.y) * C + p.channel;
#pragma unroll
    for (int j = 0; j < V; j++) {
      to[j] = sum[j];
      to[static_cast<long long>(gridDim.y) * C + j] = product[j] * reciprocal_root(var[p.channel + j] + eps);
    }
  }
}

// Adds up the chunks, a thread a channel.
// judge batchnorm_backward_merge: registers <= 96; !LDL
template <class A>
__global__ void __launch_bounds__(128, 4) batchnorm_backward_merge(const A* __restrict__ partial, A* __restrict__ gweight,
                                                                A* __restrict__ gbias, int C, int chunks) {
  const int c = blockIdx.x * 128 + threadIdx.x;
  if (c >= C) return;
  A sum = 0, product = 0;
  for (int i = 0; i < chunks; i++) {
    sum += partial[static_cast<long long>(i) * C + c];
    product += partial[static_cast<long long>(chunks + i) * C + c];
  }
  gbias[c] = sum;
  gweight[c] = product;
}

// gx = weight / sqrt(var + eps) * (gy - (gbias + xhat * gweight) / M); without training the statistics are constants.
// judge batchnorm_backward_apply: registers <= 80; !LDL
template <class T, int V, bool TRAINING>
__global__ void __launch_bounds__(256, 3) batchnorm_backward_apply(
    const T* __restrict__ gy, const T* __restrict__ x, T* __restrict__ gx, const Accumulator<T>* __restrict__ weight,
    const Accumulator<T>* __restrict__ mean, const Accumulator<T>* __restrict__ var,
    const Accumulator<T>* __restrict__ gweight, const Accumulator<T>* __restrict__ gbias, Accumulator<T> eps,
    long long M, int C, int rows_of_chunk) {
  using A = Accumulator<T>;
  const Place p = place<V>(C, M, rows_of_chunk);
  if (!p.inside) return;
  A scale[V], center[V], slope[V], offset[V];  // gx = scale * (gy - offset - slope * (x - center))
  const A share = A(1) / static_cast<A>(M);
#pragma unroll
  for (int j = 0; j < V; j++) {
    const A invstd = reciprocal_root(var[p.channel + j] + eps);
    scale[j] = invstd * (weight ? weight[p.channel + j] : A(1));
    center[j] = mean[p.channel + j];
    slope[j] = TRAINING ? gweight[p.channel + j] * invstd * share : A(0);
    offset[j] = TRAINING ? gbias[p.channel + j] * share : A(0);
  }
#pragma unroll 2  // four rows in flight would not fit into the registers of three blocks
  for (long long m = p.first; m < p.end; m += p.step) {
    Vector<T, V> g = *reinterpret_cast<const Vector<T, V>*>(gy + m * C + p.channel);
    if (TRAINING) {
      const Vector<T, V> v = *reinterpret_cast<const Vector<T, V>*>(x + m * C + p.channel);
#pragma unroll
      for (int j = 0; j < V; j++)
        g.v[j] = narrow<T>(scale[j] * (widen(g.v[j]) - offset[j] - slope[j] * (widen(v.v[j]) - center[j])));
    } else {
#pragma unroll
      for (int j = 0; j < V; j++) g.v[j] = narrow<T>(scale[j] * widen(g.v[j]));
    }
    *reinterpret_cast<Vector<T, V>*>(gx + m * C + p.channel) = g;
  }
}
