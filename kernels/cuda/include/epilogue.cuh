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

template <class A>
struct Epilogue {
  A alpha;
  int activation;
  int aligned;  // rows begin at whole vectors, and their length is a multiple of a vector: wide accesses are allowed

  // Finishes V sums of one row, columns n to n + V of `columns`, and stores them at out[at + n].
  template <int V, class O>
  __device__ __forceinline__ void store(const A (&sum)[V], O* out, const O* bias, const O* residual, long long at, int n,
                                        int columns) const {
    Vector<O, V> added = {}, result;
    if (residual) {
      if (aligned) {
        added = *reinterpret_cast<const Vector<O, V>*>(residual + at + n);
      } else {
#pragma unroll
        for (int c = 0; c < V; c++)
          if (n + c < columns) added.v[c] = residual[at + n + c];
      }
    }
#pragma unroll
    for (int c = 0; c < V; c++) {
      A x = alpha * sum[c];
      if (bias && n + c < columns) x += widen(bias[n + c]);
      if (residual) x += widen(added.v[c]);
      if (activation == RELU) x = relu(x);
      if (activation == GELU) x = gelu(x);
      result.v[c] = narrow<O>(x);
    }
    if (aligned) {
      *reinterpret_cast<Vector<O, V>*>(out + at + n) = result;
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
