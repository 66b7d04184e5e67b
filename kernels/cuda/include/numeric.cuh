// numeric.cuh -- element types: in what they are summed, conversions, and vectors that are loaded and stored at once.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace dg {

// The type in which sums of T are kept. Integers wrap around, which only unsigned ones may do.
template <class T> struct AccumulatorOf;
template <> struct AccumulatorOf<float> { using type = float; };
template <> struct AccumulatorOf<__half> { using type = float; };
template <> struct AccumulatorOf<__nv_bfloat16> { using type = float; };
template <> struct AccumulatorOf<double> { using type = double; };
template <> struct AccumulatorOf<signed char> { using type = unsigned; };
template <> struct AccumulatorOf<unsigned char> { using type = unsigned; };
template <> struct AccumulatorOf<short> { using type = unsigned; };
template <> struct AccumulatorOf<unsigned short> { using type = unsigned; };
template <> struct AccumulatorOf<int> { using type = unsigned; };
template <> struct AccumulatorOf<unsigned> { using type = unsigned; };
template <> struct AccumulatorOf<long long> { using type = unsigned long long; };
template <> struct AccumulatorOf<unsigned long long> { using type = unsigned long long; };
template <class T> using Accumulator = typename AccumulatorOf<T>::type;

template <class T> __device__ __forceinline__ Accumulator<T> widen(T x) { return static_cast<Accumulator<T>>(x); }
__device__ __forceinline__ float widen(__half x) { return __half2float(x); }
__device__ __forceinline__ float widen(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T> struct Narrow {
  template <class A> static __device__ __forceinline__ T from(A x) { return static_cast<T>(x); }
};
template <> struct Narrow<__half> {
  static __device__ __forceinline__ __half from(float x) { return __float2half_rn(x); }
};
template <> struct Narrow<__nv_bfloat16> {
  static __device__ __forceinline__ __nv_bfloat16 from(float x) { return __float2bfloat16_rn(x); }
};
template <class T, class A> __device__ __forceinline__ T narrow(A x) { return Narrow<T>::from(x); }

// N elements in one access of up to 16 bytes, if they are aligned.
template <class T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector { T v[N]; };

}  // namespace dg
