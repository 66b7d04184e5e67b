// dropout.cu -- each element set to zero with probability p, the others scaled; the mask is never stored.
//
// Idea     Whether element i is kept is told by a word of Philox at counter i / 4: forward and backward make the same mask from
//          the same key, so no memory holds it. The arrays are dense and laid out alike: one line of numbers. A captured
//          graph's launches find their key in device memory, where each replay puts a new one.
// Tiling   256 threads a block; a thread takes four numbers (half types: eight) at a time and strides over the grid.
// Bytes    2 * sizeof(T) an element, forward and backward.
// Flops    about 20 integer instructions an element (10 rounds of two products for four elements) and a multiplication.
// Roofline bound by memory: 85 % of the copy rate is to be expected on an H100 for float; half types are nearer to the
//          integer units' limit.
//
// N = 1 is for arrays that do not begin at 16 bytes. A dropped NaN stays one, as in PyTorch: the mask is a factor.
#include <numeric.cuh>
#include <philox.cuh>

namespace {

using dg::Accumulator;
using dg::narrow;
using dg::Vector;
using dg::widen;

template <class T> __device__ __forceinline__ T kept(T x, unsigned word, unsigned threshold, Accumulator<T> scale) {
  return narrow<T>(widen(x) * scale * (word >= threshold ? Accumulator<T>(1) : Accumulator<T>(0)));
}

}  // namespace

// An element is dropped if its word is less than `threshold`, which is p * 2^32. The key is `key`, or what lies at `key_at`.
// judge dropout: registers <= 64; !LDL
template <class T, int N>
__global__ void __launch_bounds__(256, 4)
    dropout(const T* __restrict__ x, T* __restrict__ y, long long n, unsigned long long key, unsigned threshold,
            Accumulator<T> scale, const unsigned long long* __restrict__ key_at) {
  if (key_at) key = *key_at;
  constexpr int GROUP = N > 4 ? N : 4;  // whole calls of philox
  const long long groups = n / GROUP, step = static_cast<long long>(gridDim.x) * blockDim.x;
  const long long first = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (long long i = first; i < groups; i += step) {
    Vector<T, N> v[GROUP / N];
#pragma unroll
    for (int j = 0; j < GROUP / N; j++) v[j] = reinterpret_cast<const Vector<T, N>*>(x)[i * (GROUP / N) + j];
#pragma unroll
    for (int j = 0; j < GROUP / 4; j++) {
      const uint4 w = dg::philox(i * (GROUP / 4) + j, key);
      const unsigned words[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
      for (int k = 0; k < 4; k++) {
        T& t = v[(j * 4 + k) / N].v[(j * 4 + k) % N];
        t = kept(t, words[k], threshold, scale);
      }
    }
#pragma unroll
    for (int j = 0; j < GROUP / N; j++) reinterpret_cast<Vector<T, N>*>(y)[i * (GROUP / N) + j] = v[j];
  }
  for (long long i = groups * GROUP + first; i < n; i += step) {
    const uint4 w = dg::philox(i / 4, key);
    const int k = i % 4;
    y[i] = kept(x[i], k == 0 ? w.x : k == 1 ? w.y : k == 2 ? w.z : w.w, threshold, scale);
  }
}
