// pool.cu -- maximum, average and adaptive pooling of channels-last images, and their gradients.
//
// Idea     A thread makes V channels of one pixel of the result, so that neighbours read and write neighbours in memory. The
//          gradients are gathered, not scattered: a thread adds up what the windows over its pixel send, in the order of
//          the windows. There is no floating-point atomic anywhere, and the result is the same in every run.
//          The gradient of a maximum gets an index and no geometry: pool_reach first finds, with integer minima and maxima,
//          which rows of windows reach which row of the image (and the same for columns); pool_scatter then looks only there.
// Tiling   256 threads a block, V * sizeof(T) = 16 bytes where the channels allow it, a pixel and V channels a thread.
// Bytes    forward: the input once (overlapping windows meet in L1 and L2), the result and, for a maximum, 4 bytes an index;
//          backward of a maximum: 2 reads of the index, one of gy, one write of gx.
// Flops    a comparison or an addition for each element of a window.
// Roofline bound by memory: 80 % of the copy rate is to be expected on an H100.
//
// x [N][H][W][C], y [N][P][Q][C], index [N][P][Q][C] = h * W + w, or -1 where a window meets no element.
#include <fastdiv.cuh>
#include <numeric.cuh>

// Sizes of the images, in pixels, and how to find the place of a thread: its number is divided by the threads a pixel, the
// width and the height of what the kernel makes (or, pool_reach, reads). H * P and W * Q are below 2^31.
struct Shape {
  int N, H, W, C, P, Q;
  dg::FastDiv groups, width, height;
};

// Windows of a size, at equal distances: window p begins at p * stride - padding.
struct Windows {
  int kernel[2], stride[2], padding[2], dilation[2];
  int include_padding, divisor;  // of an average; divisor 0: how many elements count
};

// Windows that together cover the image: window p spans floor(p * H / P) .. ceil((p + 1) * H / P).
struct Adaptive {
  int unused;
};

namespace {

using dg::Accumulator;
using dg::narrow;
using dg::Vector;
using dg::widen;

struct Range {  // begin, begin + step, ... below end
  int begin, end, step;
};

// The elements that window i meets, of `size` in all, in direction D (0 down, 1 across).
template <int D> __device__ __forceinline__ Range elements(const Windows& w, int i, int size, int) {
  const int start = i * w.stride[D] - w.padding[D], end = start + (w.kernel[D] - 1) * w.dilation[D] + 1;
  const int skipped = start < 0 ? (-start + w.dilation[D] - 1) / w.dilation[D] : 0;
  return {start + skipped * w.dilation[D], end < size ? end : size, w.dilation[D]};
}
template <int D> __device__ __forceinline__ Range elements(const Adaptive&, int i, int size, int windows) {
  return {i * size / windows, ((i + 1) * size + windows - 1) / windows, 1};
}

// The windows that meet element i; averages have no dilation.
template <int D> __device__ __forceinline__ Range covering(const Windows& w, int i, int, int windows) {
  const int first = i + w.padding[D] - w.kernel[D] + 1, last = (i + w.padding[D]) / w.stride[D];
  return {first > 0 ? (first + w.stride[D] - 1) / w.stride[D] : 0, last < windows - 1 ? last + 1 : windows, 1};
}
template <int D> __device__ __forceinline__ Range covering(const Adaptive&, int i, int size, int windows) {
  return {i * windows / size, ((i + 1) * windows + size - 1) / size, 1};
}

// How many elements of window i count in an average, in one direction.
template <int D> __device__ __forceinline__ int counted(const Windows& w, int i, int size, int) {
  const int start = i * w.stride[D] - w.padding[D];
  int end = start + w.kernel[D];
  end = end < size + w.padding[D] ? end : size + w.padding[D];
  const int count = w.include_padding ? end - start : (end < size ? end : size) - (start > 0 ? start : 0);
  return count > 1 ? count : 1;
}
template <int D> __device__ __forceinline__ int counted(const Adaptive& w, int i, int size, int windows) {
  const Range r = elements<D>(w, i, size, windows);
  return r.end - r.begin;
}

template <class A> __device__ __forceinline__ A divisor(const Windows& w, const Shape& s, int p, int q) {
  return w.divisor ? A(w.divisor) : A(counted<0>(w, p, s.H, s.P)) * A(counted<1>(w, q, s.W, s.Q));
}
template <class A> __device__ __forceinline__ A divisor(const Adaptive& w, const Shape& s, int p, int q) {
  return A(counted<0>(w, p, s.H, s.P)) * A(counted<1>(w, q, s.W, s.Q));
}

// A pixel of what a kernel makes, and the first of V channels; false beyond the last.
struct Pixel {
  int n, h, w, c;
  long long at;
};
template <int V> __device__ __forceinline__ bool locate(Pixel& p, const Shape& s) {
  int i = blockIdx.x * 256 + threadIdx.x;
  p.at = static_cast<long long>(i) * V;
  i = s.groups.divmod(i, p.c);
  p.c *= V;
  i = s.width.divmod(i, p.w);
  p.n = s.height.divmod(i, p.h);
  return p.n < s.N;
}

template <class T, int V> __device__ __forceinline__ Vector<T, V> load(const T* p) {
  return *reinterpret_cast<const Vector<T, V>*>(p);
}
template <class T, int V> __device__ __forceinline__ void store(T* p, const Vector<T, V>& v) {
  *reinterpret_cast<Vector<T, V>*>(p) = v;
}

// Offset of a pixel's channels in images of height x width.
__device__ __forceinline__ long long offset(int n, int height, int width, int C, int h, int w, int c) {
  return ((static_cast<long long>(n) * height + h) * width + w) * C + c;
}

}  // namespace

// The first maximum of each window in row-major order; a NaN is the maximum. A window of padding gives -inf and index -1.
// judge max_pool: registers <= 80; !LDL
template <class T, int V, class W>
__global__ void __launch_bounds__(256, 2) max_pool(const T* __restrict__ x, T* __restrict__ y, int* __restrict__ index,
                                                const Shape s, const W windows) {
  using A = Accumulator<T>;
  Pixel o;
  if (!locate<V>(o, s)) return;
  const Range rows = elements<0>(windows, o.h, s.H, s.P), columns = elements<1>(windows, o.w, s.W, s.Q);
  A best[V];
  Vector<int, V> at;
#pragma unroll
  for (int j = 0; j < V; j++) best[j] = A(-__int_as_float(0x7f800000)), at.v[j] = -1;
  for (int h = rows.begin; h < rows.end; h += rows.step)
    for (int w = columns.begin; w < columns.end; w += columns.step) {
      const Vector<T, V> v = load<T, V>(x + offset(o.n, s.H, s.W, s.C, h, w, o.c));
#pragma unroll
      for (int j = 0; j < V; j++) {
        const A a = widen(v.v[j]);
        if (a > best[j] || a != a || at.v[j] < 0) best[j] = a, at.v[j] = h * s.W + w;
      }
    }
  Vector<T, V> result;
#pragma unroll
  for (int j = 0; j < V; j++) result.v[j] = narrow<T>(best[j]);
  store(y + o.at, result);
#pragma unroll
  for (int j = 0; j < V; j += 4) {  // indices are 4 bytes, elements may be 2
    Vector<int, V < 4 ? V : 4> part;
    for (int k = 0; k < (V < 4 ? V : 4); k++) part.v[k] = at.v[j + k];
    store(index + o.at + j, part);
  }
}

// judge avg_pool: registers <= 128; !LDL
template <class T, int V, class W>
__global__ void __launch_bounds__(256, 2)
    avg_pool(const T* __restrict__ x, T* __restrict__ y, const Shape s, const W windows) {
  using A = Accumulator<T>;
  Pixel o;
  if (!locate<V>(o, s)) return;
  const Range rows = elements<0>(windows, o.h, s.H, s.P), columns = elements<1>(windows, o.w, s.W, s.Q);
  A sum[V] = {};
  for (int h = rows.begin; h < rows.end; h += rows.step)
    for (int w = columns.begin; w < columns.end; w += columns.step) {
      const Vector<T, V> v = load<T, V>(x + offset(o.n, s.H, s.W, s.C, h, w, o.c));
#pragma unroll
      for (int j = 0; j < V; j++) sum[j] += widen(v.v[j]);
    }
  const A share = A(1) / divisor<A>(windows, s, o.h, o.w);
  Vector<T, V> result;
#pragma unroll
  for (int j = 0; j < V; j++) result.v[j] = narrow<T>(sum[j] * share);
  store(y + o.at, result);
}

// judge avg_pool_backward: registers <= 128; !LDL
template <class T, int V, class W>
__global__ void __launch_bounds__(256, 2)
    avg_pool_backward(const T* __restrict__ gy, T* __restrict__ gx, const Shape s, const W windows) {
  using A = Accumulator<T>;
  Pixel i;
  if (!locate<V>(i, s)) return;
  const Range rows = covering<0>(windows, i.h, s.H, s.P), columns = covering<1>(windows, i.w, s.W, s.Q);
  A sum[V] = {};
  for (int p = rows.begin; p < rows.end; p++)
    for (int q = columns.begin; q < columns.end; q++) {
      const Vector<T, V> g = load<T, V>(gy + offset(i.n, s.P, s.Q, s.C, p, q, i.c));
      const A share = A(1) / divisor<A>(windows, s, p, q);
#pragma unroll
      for (int j = 0; j < V; j++) sum[j] += widen(g.v[j]) * share;
    }
  Vector<T, V> result;
#pragma unroll
  for (int j = 0; j < V; j++) result.v[j] = narrow<T>(sum[j]);
  store(gx + i.at, result);
}

// For each row of the image the first and the last row of windows with an index in it, and the same for columns:
// reach[2][H], then reach[2][W]. The caller has filled the first ones with INT_MAX and the last ones with -1.
// judge pool_reach: registers <= 40; !LDL
extern "C" __global__ void __launch_bounds__(256, 2)
    pool_reach(const int* __restrict__ index, int* __restrict__ reach, const Shape s) {
  extern __shared__ int found[];  // as reach
  for (int i = threadIdx.x; i < 2 * (s.H + s.W); i += 256) {
    const bool first = i < 2 * s.H ? i < s.H : i - 2 * s.H < s.W;
    found[i] = first ? 0x7fffffff : -1;
  }
  __syncthreads();
  int* const columns = found + 2 * s.H;
  const unsigned n = static_cast<unsigned>(s.N) * s.P * s.Q * s.C, step = gridDim.x * 256;
  for (unsigned i = blockIdx.x * 256 + threadIdx.x; i < n; i += step) {
    const int at = index[i];
    if (at < 0) continue;
    int p, q;
    s.height.divmod(s.width.divmod(s.groups.div(i), q), p);
    const int h = at / s.W, w = at - h * s.W;
    atomicMin(found + h, p);
    atomicMax(found + s.H + h, p);
    atomicMin(columns + w, q);
    atomicMax(columns + s.W + w, q);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 2 * (s.H + s.W); i += 256) {
    const bool first = i < 2 * s.H ? i < s.H : i - 2 * s.H < s.W;
    if (first)
      atomicMin(reach + i, found[i]);
    else
      atomicMax(reach + i, found[i]);
  }
}

// gx = the sum of the gy whose index is here.
// judge pool_scatter: registers <= 128; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 2) pool_scatter(const T* __restrict__ gy, const int* __restrict__ index,
                                                    const int* __restrict__ reach, T* __restrict__ gx, const Shape s) {
  using A = Accumulator<T>;
  constexpr int I = V < 4 ? V : 4;
  Pixel i;
  if (!locate<V>(i, s)) return;
  const int here = i.h * s.W + i.w, p0 = reach[i.h], p1 = reach[s.H + i.h];
  const int q0 = reach[2 * s.H + i.w], q1 = reach[2 * s.H + s.W + i.w];
  A sum[V] = {};
  for (int p = p0; p <= p1; p++)
    for (int q = q0; q <= q1; q++) {
      const long long at = offset(i.n, s.P, s.Q, s.C, p, q, i.c);
      const Vector<T, V> g = load<T, V>(gy + at);
#pragma unroll
      for (int j = 0; j < V; j += I) {
        const Vector<int, I> where = load<int, I>(index + at + j);
#pragma unroll
        for (int k = 0; k < I; k++)
          if (where.v[k] == here) sum[j + k] += widen(g.v[j + k]);
      }
    }
  Vector<T, V> result;
#pragma unroll
  for (int j = 0; j < V; j++) result.v[j] = narrow<T>(sum[j]);
  store(gx + i.at, result);
}

// y = x at the index, 0 where that is negative.
// judge pool_gather: registers <= 40; !LDL
template <class T>
__global__ void __launch_bounds__(256, 2) pool_gather(const T* __restrict__ x, const int* __restrict__ index,
                                                   T* __restrict__ y, const Shape s) {
  Pixel o;
  if (!locate<1>(o, s)) return;
  const int at = index[o.at];
  y[o.at] = at < 0 ? narrow<T>(Accumulator<T>(0)) : x[(static_cast<long long>(o.n) * s.H * s.W + at) * s.C + o.c];
}
