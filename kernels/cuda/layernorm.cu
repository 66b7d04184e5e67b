// layernorm.cu -- layer norm and RMS norm of the rows of a matrix of M rows and K columns, and their gradients.
//
//   y = (x - mean) * invstd * weight + bias,   invstd = 1 / sqrt(mean((x - mean)^2) + eps);   RMS norm: the mean is 0.
//
// Idea     A warp holds a row of up to 32 * ITEMS * V elements in registers, so that it is read once, and takes the deviations
//          from the row's own mean: nothing cancels. Longer rows belong to a block, which reads them three times, from L1 or L2
//          after the first. Backward is one kernel for the rows and one for the columns: the sums for weight and bias go down
//          chunks of rows, whose sums batchnorm.cu's merge adds up in a fixed order: no atomics, deterministic.
// Tiling   rows: THREADS = 32: a warp a row, 4 rows a block; 256: a block a row. columns: as batchnorm.cu, 256 threads, tx side by
//          side with V columns each, ty = 256 / tx rows deep. V * sizeof(T) = 16 bytes where the columns allow it.
// Bytes    forward 2 * sizeof(T) an element; backward 3 for the rows, and 2 for the columns where there is a weight.
// Flops    forward 8 an element, backward 14; accumulated in float (double for double) whatever T is.
// Roofline bound by memory: 85 % of the copy rate is to be expected on an H100 for rows of 256 elements and more.
#include <reduce.cuh>

namespace {

using dg::Accumulator;
using dg::narrow;
using dg::reduce;
using dg::Sum;
using dg::Vector;
using dg::widen;

__device__ __forceinline__ float reciprocal_root(float x) { return 1.0f / sqrtf(x); }
__device__ __forceinline__ double reciprocal_root(double x) { return 1.0 / sqrt(x); }

// A row's place: which row, where this thread begins in it, and how far on its next vector is.
template <int THREADS, int V> struct Row {
  int row = blockIdx.x * (blockDim.x / THREADS) + threadIdx.x / THREADS, first = threadIdx.x % THREADS * V;
  static constexpr int STEP = THREADS * V;
};

template <int V, class T> __device__ __forceinline__ Vector<T, V> load(const T* p) {
  return *reinterpret_cast<const Vector<T, V>*>(p);
}

// A weight or a bias of V columns; no weight is 1, no bias 0.
template <int V, class A> __device__ __forceinline__ Vector<A, V> factors(const A* p, int column, A otherwise) {
  Vector<A, V> v;
#pragma unroll
  for (int j = 0; j < V; j++) v.v[j] = p ? p[column + j] : otherwise;
  return v;
}

template <class T, int V, class A>
__device__ __forceinline__ void finish(T* to, const Vector<T, V>& x, int column, A mean, A invstd, const A* weight, const A* bias) {
  const Vector<A, V> w = factors<V>(weight, column, A(1)), b = factors<V>(bias, column, A(0));
  Vector<T, V> y;
#pragma unroll
  for (int j = 0; j < V; j++) y.v[j] = narrow<T>((widen(x.v[j]) - mean) * invstd * w.v[j] + b.v[j]);
  *reinterpret_cast<Vector<T, V>*>(to + column) = y;
}

// What a vector adds to the sums of gy * weight and of gy * weight * xhat.
template <class T, int V, class A>
__device__ __forceinline__ void add(A& sum, A& product, const Vector<T, V>& g, const Vector<T, V>& x, int column, A mean, A invstd,
                                    const A* weight) {
  const Vector<A, V> w = factors<V>(weight, column, A(1));
#pragma unroll
  for (int j = 0; j < V; j++) {
    const A t = widen(g.v[j]) * w.v[j];
    sum += t;
    product += t * ((widen(x.v[j]) - mean) * invstd);
  }
}

// gx = invstd * (gy * weight - sum / K - xhat * product / K); both sums come divided by K.
template <class T, int V, class A>
__device__ __forceinline__ void gradient(T* to, const Vector<T, V>& g, const Vector<T, V>& x, int column, A mean, A invstd,
                                         const A* weight, A sum, A product) {
  const Vector<A, V> w = factors<V>(weight, column, A(1));
  Vector<T, V> gx;
#pragma unroll
  for (int j = 0; j < V; j++) {
    const A xhat = (widen(x.v[j]) - mean) * invstd;
    gx.v[j] = narrow<T>(invstd * (widen(g.v[j]) * w.v[j] - sum - xhat * product));
  }
  *reinterpret_cast<Vector<T, V>*>(to + column) = gx;
}

}  // namespace

// Rows that a warp holds: K <= 32 * V * ITEMS, a multiple of V. CENTERED: layer norm; else RMS norm, and the mean is not stored.
// judge layernorm_warp: registers <= 128; !LDL
template <class T, int V, int ITEMS, bool CENTERED>
__global__ void __launch_bounds__(128, 4)
    layernorm_warp(const T* __restrict__ x, T* __restrict__ y, const Accumulator<T>* __restrict__ weight,
                   const Accumulator<T>* __restrict__ bias, Accumulator<T>* __restrict__ means,
                   Accumulator<T>* __restrict__ invstds, int M, int K, Accumulator<T> eps) {
  using A = Accumulator<T>;
  const Row<32, V> r;
  if (r.row >= M) return;  // the whole warp
  const long long start = static_cast<long long>(r.row) * K;
  Vector<T, V> v[ITEMS];
  A sum = 0, square = 0;
#pragma unroll
  for (int i = 0; i < ITEMS; i++) {
    const int column = r.first + i * r.STEP;
    if (column >= K) continue;
    v[i] = load<V>(x + start + column);
#pragma unroll
    for (int j = 0; j < V; j++) sum += widen(v[i].v[j]);
  }
  const A mean = CENTERED ? dg::reduce_warp<Sum>(sum) / A(K) : A(0);
#pragma unroll
  for (int i = 0; i < ITEMS; i++) {
    if (r.first + i * r.STEP >= K) continue;
#pragma unroll
    for (int j = 0; j < V; j++) {
      const A d = widen(v[i].v[j]) - mean;
      square += d * d;
    }
  }
  const A invstd = reciprocal_root(dg::reduce_warp<Sum>(square) / A(K) + eps);
#pragma unroll
  for (int i = 0; i < ITEMS; i++) {
    const int column = r.first + i * r.STEP;
    if (column < K) finish<T, V>(y + start, v[i], column, mean, invstd, weight, bias);
  }
  if (threadIdx.x % 32) return;
  if (CENTERED) means[r.row] = mean;
  invstds[r.row] = invstd;
}

// judge layernorm_block: registers <= 80, shared <= 64; !LDL
template <class T, int V, bool CENTERED>
__global__ void __launch_bounds__(256, 3)
    layernorm_block(const T* __restrict__ x, T* __restrict__ y, const Accumulator<T>* __restrict__ weight,
                    const Accumulator<T>* __restrict__ bias, Accumulator<T>* __restrict__ means,
                    Accumulator<T>* __restrict__ invstds, int K, Accumulator<T> eps) {
  using A = Accumulator<T>;
  __shared__ A scratch[8];
  const Row<256, V> r;
  const long long start = static_cast<long long>(r.row) * K;
  A sum = 0, square = 0;
  if (CENTERED) {
    for (int column = r.first; column < K; column += r.STEP) {
      const Vector<T, V> v = load<V>(x + start + column);
#pragma unroll
      for (int j = 0; j < V; j++) sum += widen(v.v[j]);
    }
    sum = reduce<Sum, 256>(sum, scratch);
  }
  const A mean = sum / A(K);
  for (int column = r.first; column < K; column += r.STEP) {
    const Vector<T, V> v = load<V>(x + start + column);
#pragma unroll
    for (int j = 0; j < V; j++) {
      const A d = widen(v.v[j]) - mean;
      square += d * d;
    }
  }
  const A invstd = reciprocal_root(reduce<Sum, 256>(square, scratch) / A(K) + eps);
#pragma unroll 2
  for (int column = r.first; column < K; column += r.STEP)
    finish<T, V>(y + start, load<V>(x + start + column), column, mean, invstd, weight, bias);
  if (threadIdx.x) return;
  if (CENTERED) means[r.row] = mean;
  invstds[r.row] = invstd;
}

// The rows' part of the gradient. A row is read twice, the second time from L1 or L2.
// judge layernorm_backward: registers <= 80, shared <= 64; !LDL
template <class T, int V, int THREADS, bool CENTERED>
__global__ void __launch_bounds__(THREADS == 32 ? 128 : 256, THREADS == 32 ? 6 : 3)
    layernorm_backward(const T* __restrict__ gy, const T* __restrict__ x, T* __restrict__ gx,
                       const Accumulator<T>* __restrict__ weight, const Accumulator<T>* __restrict__ means,
                       const Accumulator<T>* __restrict__ invstds, int M, int K) {
  using A = Accumulator<T>;
  __shared__ A scratch[8];
  const Row<THREADS, V> r;
  if (r.row >= M) return;  // the whole warp; a block has its row
  const long long start = static_cast<long long>(r.row) * K;
  const A mean = CENTERED ? means[r.row] : A(0), invstd = invstds[r.row];
  A sum = 0, product = 0;
  for (int column = r.first; column < K; column += r.STEP)
    add<T, V>(sum, product, load<V>(gy + start + column), load<V>(x + start + column), column, mean, invstd, weight);
  sum = CENTERED ? reduce<Sum, THREADS>(sum, scratch) / A(K) : A(0);
  product = reduce<Sum, THREADS>(product, scratch) / A(K);
  for (int column = r.first; column < K; column += r.STEP)
    gradient<T, V>(gx + start, load<V>(gy + start + column), load<V>(x + start + column), column, mean, invstd, weight, sum,
                   product);
}

// The columns' part: sums over the rows of each chunk, of gy and of gy * xhat: partial[2][chunks][K].
// judge layernorm_columns: registers <= 80, shared <= 16384; !LDL
template <class T, int V, bool CENTERED>
__global__ void __launch_bounds__(256, 3)
    layernorm_columns(const T* __restrict__ gy, const T* __restrict__ x, const Accumulator<T>* __restrict__ means,
                      const Accumulator<T>* __restrict__ invstds, Accumulator<T>* __restrict__ partial, long long M, int K,
                      int rows_of_chunk) {
  using A = Accumulator<T>;
  __shared__ A scratch[2 * 256 * V];
  const int column = (blockIdx.x * blockDim.x + threadIdx.x) * V;
  const long long start = static_cast<long long>(blockIdx.y) * rows_of_chunk;
  const long long end = start + rows_of_chunk < M ? start + rows_of_chunk : M;
  A sum[V] = {}, product[V] = {};
  if (column < K) {
    for (long long m = start + threadIdx.y; m < end; m += blockDim.y) {
      const Vector<T, V> g = load<V>(gy + m * K + column), v = load<V>(x + m * K + column);
      const A mean = CENTERED ? means[m] : A(0), invstd = invstds[m];
#pragma unroll
      for (int j = 0; j < V; j++) {
        sum[j] += widen(g.v[j]);
        product[j] += widen(g.v[j]) * ((widen(v.v[j]) - mean) * invstd);
      }
    }
  }
  dg::add_rows<V>(sum, product, scratch);
  if (threadIdx.y || column >= K) return;
  A* const to = partial + static_cast<long long>(blockIdx.y) * K + column;
#pragma unroll
  for (int j = 0; j < V; j++) {
    to[j] = sum[j];
    to[static_cast<long long>(gridDim.y) * K + j] = product[j];
  }
}
