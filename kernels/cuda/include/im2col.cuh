// im2col.cuh -- the matrix of an image's windows, never stored: iterators that compute where its elements lie.
//
// Row (n, p, q), column (r, s, c) is image[n, p * mul + off + r * step, q * mul + off + s * step, c], zero outside the image.
//   fprop, wgrad  image = x,   mul = stride, off = -padding, step = dilation
//   dgrad         image = dy,  a matrix for each phase (h % stride, w % stride): mul = 1, step = -dilation / gcd(dilation, stride)
#pragma once
#include "chunks.cuh"
#include "fastdiv.cuh"

namespace dg {

struct Im2col {
  long long image_stride, line_stride;  // in elements, from one image, line, pixel, channel to the next
  int pixel_stride, channel_stride;
  int rows, depth;  // N * P * Q, taps_h * taps_w * channels
  int height, width, channels;
  int mul_h, mul_w, off_h, off_w, step_h, step_w, taps_h, taps_w;
  FastDiv by_image, by_line;  // P * Q, Q
  FastDiv by_channels, by_taps_w;
};

// The row (n, p, q): its image, and the pixel of its tap (0, 0).
struct Window {
  int n, h, w;
  __device__ __forceinline__ Window(const Im2col& g, int row) {
    int pq, q;
    n = g.by_image.divmod(row, pq);
    const int p = g.by_line.divmod(pq, q);
    h = p * g.mul_h + g.off_h;
    w = q * g.mul_w + g.off_w;
  }
};

// The column (r, s, c).
struct Tap {
  int r, s, c;
  __device__ __forceinline__ Tap(const FastDiv& by_channels, const FastDiv& by_taps_w, int column) {
    r = by_taps_w.divmod(by_channels.divmod(column, c), s);
  }
};

// Rows fixed, k = (r, s, c) moves: A of fprop and dgrad, in chunks of channels of a channels-last image. Which taps of a row lie
// inside the image is found out once: a bit a tap, at most 15 taps a side, two masks in one register.
template <class S>
struct Im2colK : S {
  using T = typename S::T;
  const T* at;                     // the first image of the tile
  FastDiv by_channels, by_taps_w;  // copies: the compiler then keeps them in (uniform) registers
  int taps_h, step_r, step_s;      // element steps of a tap down, of a tap right
  int row_[S::N];                  // offset of tap (0, 0), channel 0, of the row; it may lie outside the image
  unsigned inside[S::N];           // bit r: tap row r lies inside; bit 16 + s: tap column s does
  unsigned select = 0;
  int delta = 0;

  __device__ __forceinline__ Im2colK(const T* base, const Im2col& g, int first_row)
      : by_channels(g.by_channels), by_taps_w(g.by_taps_w), taps_h(g.taps_h),
        step_r(g.step_h * static_cast<int>(g.line_stride)), step_s(g.step_w * g.pixel_stride) {
    const int first_image = g.by_image.div(first_row);
    at = base + first_image * g.image_stride;
#pragma unroll
    for (int i = 0; i < S::N; i++) {
      const int m = first_row + S::row(i);
      const Window window(g, m);
      row_[i] = (window.n - first_image) * static_cast<int>(g.image_stride) + window.h * static_cast<int>(g.line_stride) +
                window.w * g.pixel_stride;
      inside[i] = 0;
#pragma unroll 1
      for (int t = 0; t < g.taps_h; t++)
        inside[i] |= static_cast<unsigned>(m < g.rows && unsigned(window.h + t * g.step_h) < unsigned(g.height)) << t;
#pragma unroll 1
      for (int t = 0; t < g.taps_w; t++)
        inside[i] |= static_cast<unsigned>(unsigned(window.w + t * g.step_w) < unsigned(g.width)) << (16 + t);
    }
  }
  __device__ __forceinline__ void seek(int k) {
    const Tap tap(by_channels, by_taps_w, k + S::column());
    delta = tap.r * step_r + tap.s * step_s + tap.c;
    select = (tap.r < taps_h ? 1u << tap.r : 1u << 15) | 0x10000u << tap.s;  // both bits must be set; bit 15 never is
  }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    p = at + (row_[i] + delta);
    return (inside[i] & select) == select ? S::BYTES : 0;
  }
};

// The same, element by element, for any number of taps and any strides. K_MAJOR: neighbouring threads read neighbouring
// channels; MN_MAJOR: neighbouring pixels, for images that are not channels-last.
template <class S>
struct Im2colElement : S {
  using T = typename S::T;
  static_assert(S::E == 1, "one element at a time");
  static constexpr int ROWS = S::ORDER == K_MAJOR ? S::N : 1, TAPS = S::ORDER == K_MAJOR ? 1 : S::N;
  static constexpr int NOWHERE = 1 << 30;  // no image is so large
  const Im2col& g;
  const T* base;
  long long row_[ROWS], delta[TAPS];
  int h[ROWS], w[ROWS], down[TAPS], right[TAPS];

  __device__ __forceinline__ Im2colElement(const T* base_, const Im2col& geometry, int first_row) : g(geometry), base(base_) {
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
      const int m = first_row + (S::ORDER == K_MAJOR ? S::row(i) : S::column());
      const Window window(g, m);
      h[i] = window.h;
      w[i] = m < g.rows ? window.w : NOWHERE;
      row_[i] = window.n * g.image_stride + window.h * g.line_stride + static_cast<long long>(window.w) * g.pixel_stride;
    }
  }
  __device__ __forceinline__ void seek(int k0) {
#pragma unroll
    for (int i = 0; i < TAPS; i++) {
      const int k = k0 + (S::ORDER == K_MAJOR ? S::column() : S::row(i));
      const Tap tap(g.by_channels, g.by_taps_w, k);
      down[i] = k < g.depth ? tap.r * g.step_h : NOWHERE;
      right[i] = tap.s * g.step_w;
      delta[i] = tap.r * g.step_h * g.line_stride + static_cast<long long>(right[i]) * g.pixel_stride +
                 static_cast<long long>(tap.c) * g.channel_stride;
    }
  }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    const int r = S::ORDER == K_MAJOR ? i : 0, t = S::ORDER == K_MAJOR ? 0 : i;
    p = base + (row_[r] + delta[t]);
    return unsigned(h[r] + down[t]) < unsigned(g.height) && unsigned(w[r] + right[t]) < unsigned(g.width) ? S::BYTES : 0;
  }
};

// A column (r, s, c) fixed, k = (n, p, q) moves up to `end`: B of wgrad.
template <class S>
struct Im2colMN : S {
  using T = typename S::T;
  const Im2col& g;
  const T* at;
  int down, right, end, k = 0;  // end: 0 if the column does not exist

  __device__ __forceinline__ Im2colMN(const T* base, const Im2col& geometry, int end_, int first_column) : g(geometry) {
    const int column = first_column + S::column();
    const Tap tap(g.by_channels, g.by_taps_w, column);
    end = column < g.depth ? end_ : 0;
    down = tap.r * g.step_h;
    right = tap.s * g.step_w;
    at = base + static_cast<long long>(tap.c) * g.channel_stride;
  }
  __device__ __forceinline__ void seek(int k0) { k = k0 + S::row(0); }
  __device__ __forceinline__ int fetch(int i, const T*& p) const {
    const int m = k + i * S::STEP;
    const Window window(g, m);
    const int h = window.h + down, w = window.w + right;
    if (S::E == 1)
      p = at + (window.n * g.image_stride + h * g.line_stride + static_cast<long long>(w) * g.pixel_stride);
    else  // chunks of channels: the image is contiguous, and one wide multiplication does
      p = at + static_cast<long long>((window.n * g.height + h) * g.width + w) * g.pixel_stride;
    return m < end && unsigned(h) < unsigned(g.height) && unsigned(w) < unsigned(g.width) ? S::BYTES : 0;
  }
};

}  // namespace dg
