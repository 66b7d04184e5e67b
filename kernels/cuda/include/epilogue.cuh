// epilogue.cuh -- what happens to a sum on its way to memory: D = activation(alpha * sum + bias[n] + residual[m, n]).
#pragma once
#include "fastdiv.cuh"
#include "numeric.cuh"

namespace dg {

enum Activation { IDENTITY, RELU, GELU };

// NaN passes through: fmaxf would drop it.
template <class A> __device__ __forceinline__ A relu(A x) { return x < A(0) ? A(0) : x; }
// x * Phi(x), the exact form with the error function. Integers have none.
template <class A> __device__ __forceinline__ A gelu(A x) { return x; }
template <> __device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.f + erff(x * 0.70710678118654752f)); }
template <> __device__ __forceinline__ double gelu(double x) { return 0.5 * x * (1.0 + erf(x * 0.70710678118654752)); }

template <int ACTIVATION, class A>
__device__ __forceinline__ A activate(A x) {
  if constexpr (ACTIVATION == RELU) return relu(x);
  if constexpr (ACTIVATION == GELU) return gelu(x);
  return x;
}

template <class A, int ACTIVATION>
struct Epilogue {
  A alpha;
  int aligned;  // rows begin at whole vectors, and their length is a multiple of a vector: wide accesses are allowed

  // Finishes V sums of one row, columns n to n + V of `columns`, and stores them at out[at + n].
  template <int V, class O>
  __device__ __forceinline__ void store(const A (&sum)[V], O* out, const O* bias, const O* residual, long long at, int n,
                                        int columns) const {
    using Wide = Vector<O, V>;
    Wide b = {}, r = {}, result;
    if (aligned) {
      if (bias) b = *reinterpret_cast<const Wide*>(bias + n);
      if (residual) r = *reinterpret_cast<const Wide*>(residual + at + n);
    } else {
#pragma unroll
      for (int c = 0; c < V; c++) {
        if (bias && n + c < columns) b.v[c] = bias[n + c];
        if (residual && n + c < columns) r.v[c] = residual[at + n + c];
      }
    }
#pragma unroll
    for (int c = 0; c < V; c++)
      result.v[c] = narrow<O>(activate<ACTIVATION>(alpha * sum[c] + widen(b.v[c]) + widen(r.v[c])));
    if (aligned) {
      *reinterpret_cast<Wide*>(out + at + n) = result;
    } else {
#pragma unroll
      for (int c = 0; c < V; c++)
        if (n + c < columns) out[at + n + c] = result.v[c];
    }
  }
};

// ---- where the rows of an output lie -------------------------------------------------------------------------------
struct DenseRows {
  long long stride;
  __device__ __forceinline__ long long offset(int m) const { return m * stride; }
};

// Row (n, h, w) of a phase of dgrad is the pixel (h * stride_h + phase_h, w * stride_w + phase_w) of image n.
struct PhaseRows {
  int height, width, channels, stride_h, stride_w, phase_h, phase_w;
  FastDiv by_image, by_line;
  __device__ __forceinline__ long long offset(int m) const {
    int hw, w;
    const int n = by_image.divmod(m, hw), h = by_line.divmod(hw, w);
    const long long line = static_cast<long long>(n) * height + h * stride_h + phase_h;
    return (line * width + w * stride_w + phase_w) * channels;
  }
};

}  // namespace dg
