// mma.h -- nvcuda::wmma for 16x16x16 (and 32x8x16, 8x32x16): half and bfloat16 inputs, float accumulators.
//
// Which element a thread holds is unspecified in CUDA. Here lane l holds elements l, l + 32, ... of the row-major tile, and
// the elements of all lanes meet for the product.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

namespace details {
EMU_INLINE float widen(float x) { return x; }
EMU_INLINE float widen(__half x) { return __half2float(x); }
EMU_INLINE float widen(__nv_bfloat16 x) { return __bfloat162float(x); }
template <class T>
EMU_INLINE T narrow(float x) {
  if constexpr (std::is_same_v<T, __half>) return __float2half_rn(x);
  else if constexpr (std::is_same_v<T, __nv_bfloat16>) return __float2bfloat16_rn(x);
  else return x;
}
template <class Use, int M, int N, int K>
constexpr int rows = std::is_same_v<Use, matrix_b> ? K : M;
template <class Use, int M, int N, int K>
constexpr int columns = std::is_same_v<Use, matrix_a> ? K : N;
}  // namespace details

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
  static constexpr int ROWS = details::rows<Use, M, N, K>, COLUMNS = details::columns<Use, M, N, K>, num_elements = ROWS * COLUMNS / 32;
  T x[num_elements];
};

template <class Use, int M, int N, int K, class T, class Layout>
EMU_INLINE void fill_fragment(fragment<Use, M, N, K, T, Layout>& f, T value) {
  for (auto& e : f.x) e = value;
}

namespace details {
template <class F, class T>
EMU_INLINE void load(F& f, const T* p, unsigned stride, bool by_column, emu::Site site) {
  for (int i = 0; i < F::num_elements; i++) {
    const unsigned element = emu::self->lane + 32 * unsigned(i), row = element / F::COLUMNS, column = element % F::COLUMNS;
    f.x[i] = p[by_column ? column * stride + row : row * stride + column];
  }
  emu::meet(emu::WarpOperation::mma, ~0u, nullptr, nullptr, site);
}
}  // namespace details

template <class Use, int M, int N, int K, class T, class Layout>
EMU_INLINE void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f, const T* p, unsigned stride, EMU_SITE) {
  details::load(f, p, stride, std::is_same_v<Layout, col_major>, site);
}
template <int M, int N, int K, class T>
EMU_INLINE void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const T* p, unsigned stride, layout_t layout, EMU_SITE) {
  details::load(f, p, stride, layout == mem_col_major, site);
}
template <int M, int N, int K, class T>
EMU_INLINE void store_matrix_sync(T* p, const fragment<accumulator, M, N, K, T>& f, unsigned stride, layout_t layout, EMU_SITE) {
  for (int i = 0; i < f.num_elements; i++) {
    const unsigned element = emu::self->lane + 32 * unsigned(i), row = element / N, column = element % N;
    p[layout == mem_col_major ? column * stride + row : row * stride + column] = f.x[i];
  }
  emu::meet(emu::WarpOperation::mma, ~0u, nullptr, nullptr, site);
}

template <int M, int N, int K, class D, class A, class B, class C, class LayoutA, class LayoutB>
void mma_sync(fragment<accumulator, M, N, K, D>& d, const fragment<matrix_a, M, N, K, A, LayoutA>& a, const fragment<matrix_b, M, N, K, B, LayoutB>& b,
              const fragment<accumulator, M, N, K, C>& c, EMU_SITE) {
  struct Argument {
    fragment<accumulator, M, N, K, D>* d;
    const fragment<matrix_a, M, N, K, A, LayoutA>* a;
    const fragment<matrix_b, M, N, K, B, LayoutB>* b;
    const fragment<accumulator, M, N, K, C>* c;
  } argument = {&d, &a, &b, &c};
  struct Product {
    // Reads the other lanes' fragments, which lie on their stacks.
    EMU_UNCHECKED static void work(void* const* arguments, unsigned) {
      float left[M * K], right[K * N], sum[M * N];
      auto lane = [&](int e) { return static_cast<Argument*>(arguments[e % 32]); };
      for (int e = 0; e < M * K; e++) left[e] = details::widen(lane(e)->a->x[e / 32]);
      for (int e = 0; e < K * N; e++) right[e] = details::widen(lane(e)->b->x[e / 32]);
      for (int e = 0; e < M * N; e++) sum[e] = details::widen(lane(e)->c->x[e / 32]);
      for (int m = 0; m < M; m++)
        for (int k = 0; k < K; k++)
          for (int n = 0; n < N; n++) sum[m * N + n] += left[m * K + k] * right[k * N + n];
      for (int e = 0; e < M * N; e++) lane(e)->d->x[e / 32] = details::narrow<D>(sum[e]);
    }
  };
  emu::meet(emu::WarpOperation::mma, ~0u, &argument, Product::work, site);
}

}  // namespace nvcuda::wmma
