// elementwise.cu -- activations, one element in, one out.
//
// Idea     The arrays are dense and laid out alike, so they are one line of numbers whatever their shape: each thread takes
//          16 bytes at a time (N elements) and strides over the grid; what is left over at the end is done one by one.
// Tiling   256 threads a block; as many blocks as there are vectors, up to eight a multiprocessor.
// Bytes    unary: 2 * sizeof(T) an element; backward: 3 * sizeof(T).
// Flops    1 an element; erf about 20.
// Roofline bound by memory: 90 % of the copy rate is to be expected on an H100.
//
// N = 1 is for arrays that do not begin at 16 bytes.
#include <numeric.cuh>

using dg::Accumulator;
using dg::narrow;
using dg::Vector;
using dg::widen;

// What is done with an element. `low` and `high` are the limits of those that have any.

struct Relu {  // max(x, 0), where a NaN stays one
  template <class A> __device__ A operator()(A x, A, A) const { return x < A(0) ? A(0) : x; }
};

struct ReluBackward {  // where the unit was off, 0, even for a gradient of NaN
  template <class A> __device__ A operator()(A gy, A y, A, A) const { return y <= A(0) ? A(0) : gy; }
};

struct Hardtanh {  // min(max(x, low), high), where a NaN stays one
  template <class A> __device__ A operator()(A x, A low, A high) const {
    x = x < low ? low : x;
    return x > high ? high : x;
  }
};

struct HardtanhBackward {
  template <class A> __device__ A operator()(A gy, A y, A low, A high) const {
    return y <= low || y >= high ? A(0) : gy;
  }
};

struct Erf {
  __device__ float operator()(float x, float, float) const { return erff(x); }
  __device__ double operator()(double x, double, double) const { return erf(x); }
};

// judge unary: registers <= 64; !LDL
template <class F, class T, int N>
__global__ void __launch_bounds__(256, 4)
    unary(const T* __restrict__ x, T* __restrict__ y, long long n, Accumulator<T> low, Accumulator<T> high) {
  const F f;
  const long long vectors = n / N, step = static_cast<long long>(gridDim.x) * blockDim.x;
  const long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (long long i = first; i < vectors; i += step) {
    Vector<T, N> a = reinterpret_cast<const Vector<T, N>*>(x)[i];
#pragma unroll
    for (int j = 0; j < N; j++) a.v[j] = narrow<T>(f(widen(a.v[j]), low, high));
    reinterpret_cast<Vector<T, N>*>(y)[i] = a;
  }
  for (long long i = vectors * N + first; i < n; i += step) y[i] = narrow<T>(f(widen(x[i]), low, high));
}

// judge binary: registers <= 64; !LDL
template <class F, class T, int N>
__global__ void __launch_bounds__(256, 4) binary(const T* __restrict__ x, const T* __restrict__ y, T* __restrict__ z,
                                              long long n, Accumulator<T> low, Accumulator<T> high) {
  const F f;
  const long long vectors = n / N, step = static_cast<long long>(gridDim.x) * blockDim.x;
  const long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (long long i = first; i < vectors; i += step) {
    Vector<T, N> a = reinterpret_cast<const Vector<T, N>*>(x)[i];
    const Vector<T, N> b = reinterpret_cast<const Vector<T, N>*>(y)[i];
#pragma unroll
    for (int j = 0; j < N; j++) a.v[j] = narrow<T>(f(widen(a.v[j]), widen(b.v[j]), low, high));
    reinterpret_cast<Vector<T, N>*>(z)[i] = a;
  }
  for (long long i = vectors * N + first; i < n; i += step) z[i] = narrow<T>(f(widen(x[i]), widen(y[i]), low, high));
}
