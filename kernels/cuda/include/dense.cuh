// dense.cuh -- iterators over matrices in memory (see chunks.cuh for what an iterator is).
//
// DenseK and DenseMN are for 16-byte chunks: one of the two strides is 1, rows begin at multiples of 16 bytes. Strided takes any
// strides, element by element. Addresses are a 64-bit base and a 32-bit offset in elements.
//
// fetch returns `condition ? 16 : 0` unless RAGGED: then ptxas predicates the copy; any other number of bytes costs five integer
// instructions a chunk. RAGGED is for sizes along the contiguous side that are not whole chunks.
#pragma once
#include "chunks.cuh"

namespace dg {

// A[rows, depth], k contiguous.
template <class S, bool RAGGED>
struct DenseK : S {
  using T = typename S::T;
  const T *at, *now;
  int stride, rows_left, depth, bytes = 0;

  __device__ __forceinline__ DenseK(const T* base, int rows, int depth_, long long stride_, int first_row)
      : at(base + (first_row + S::row(0)) * stride_ + S::column()), now(at), stride(static_cast<int>(stride_)),
        rows_left(rows - first_row - S::row(0)), depth(depth_ - S::column()) {}
  __device__ __forceinline__ void seek(int k) {
    bytes = RAGGED ? S::bytes_within(k, depth) : depth - k;
    now = at + k;
  }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    p = now + i * (S::STEP * stride);
    if (RAGGED) return i * S::STEP < rows_left ? bytes : 0;
    return i * S::STEP < rows_left && bytes > 0 ? S::BYTES : 0;
  }
};

// A[depth, columns], m (or n) contiguous.
template <class S, bool RAGGED>
struct DenseMN : S {
  using T = typename S::T;
  const T *at, *now;
  int stride, depth, left = 0, bytes;

  __device__ __forceinline__ DenseMN(const T* base, int columns, int depth_, long long stride_, int first_column)
      : at(base + first_column + S::column() + S::row(0) * stride_), now(at), stride(static_cast<int>(stride_)),
        bytes(S::bytes_within(first_column + S::column(), columns)) {
    depth = RAGGED || bytes ? depth_ - S::row(0) : 0;
  }
  __device__ __forceinline__ void seek(int k) {
    left = depth - k;
    now = at + static_cast<long long>(k) * stride;
  }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    p = now + i * (S::STEP * stride);
    return i * S::STEP < left ? (RAGGED ? bytes : S::BYTES) : 0;
  }
};

template <class S, bool RAGGED, Order = S::ORDER> struct DenseOf { using type = DenseK<S, RAGGED>; };
template <class S, bool RAGGED> struct DenseOf<S, RAGGED, MN_MAJOR> { using type = DenseMN<S, RAGGED>; };
template <class S, bool RAGGED> using Dense = typename DenseOf<S, RAGGED>::type;

// Element (m, k) at m * stride_mn + k * stride_k. The order only says how the threads are spread.
template <class S>
struct Strided : S {
  using T = typename S::T;
  static_assert(S::E == 1, "one element at a time");
  const T *at, *now;
  long long stride_mn, stride_k;
  int mn_left, depth, k_left = 0;

  static __device__ __forceinline__ int m(int i) { return S::ORDER == K_MAJOR ? S::row(i) : S::column(); }
  static __device__ __forceinline__ int k(int i) { return S::ORDER == K_MAJOR ? S::column() : S::row(i); }
  __device__ __forceinline__ Strided(const T* base, int size, int depth_, long long stride_mn_, long long stride_k_, int first)
      : at(base + first * stride_mn_), now(at), stride_mn(stride_mn_), stride_k(stride_k_), mn_left(size - first), depth(depth_) {}
  __device__ __forceinline__ void seek(int k0) {
    k_left = depth - k0;
    now = at + k0 * stride_k;
  }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    p = now + m(i) * stride_mn + k(i) * stride_k;
    return m(i) < mn_left && k(i) < k_left ? S::BYTES : 0;
  }
};

}  // namespace dg
