// transpose.cu -- images laid out anew.
//
//   transpose     a batch of matrices transposed: NCHW to NHWC, [N][C][HW] -> [N][HW][C], and back
//   pad_channels  NHWC with zeros up to whole chunks of 16 bytes, from an image of any layout: what tensor cores read of a
//                 first layer's three channels
//
// Idea     transpose: a 32x32 tile passes through shared memory, so that both the reads and the writes of a warp are 32
//          neighbours. The extra column shifts each row by one bank: a column of the tile is read without conflicts.
//          pad_channels: neighbours read neighbouring pixels, channel by channel, and write neighbouring chunks.
// Tiling   transpose: 32x8 threads a tile, four elements a thread; blockIdx.x is the tile, blockIdx.y the matrix.
//          pad_channels: 256 threads a block, a chunk a thread.
// Bytes    transpose: 2 * sizeof(T) an element; pad_channels: sizeof(T) an element read, 16 a chunk written. No flops.
// Roofline bound by memory: 80-90 % of the copy rate is to be expected on an H100 for 4-byte elements.
//
// Elements are copied, not computed with: T is any type of their size.
#include <fastdiv.cuh>
#include <numeric.cuh>

// judge transpose: registers <= 40, shared <= 8448; !LDL
template <class T>
__global__ void __launch_bounds__(256, 2) transpose(const T* __restrict__ x, T* __restrict__ y, int rows, int columns) {
  __shared__ T tile[32][33];
  const int tiles = (columns + 31) / 32;
  const int row = blockIdx.x / tiles * 32, column = blockIdx.x % tiles * 32;
  const long long matrix = static_cast<long long>(rows) * columns * blockIdx.y;
  for (int i = threadIdx.y; i < 32; i += 8)
    if (row + i < rows && column + threadIdx.x < columns)
      tile[i][threadIdx.x] = x[matrix + static_cast<long long>(row + i) * columns + column + threadIdx.x];
  __syncthreads();
  for (int i = threadIdx.y; i < 32; i += 8)
    if (column + i < columns && row + threadIdx.x < rows)
      y[matrix + static_cast<long long>(column + i) * rows + row + threadIdx.x] = tile[threadIdx.x][i];
}

// Strides of an image in elements; all its lines follow each other as its pixels do.
struct Pixels {
  long long image, pixel, channel;
  dg::FastDiv by_chunks, by_area;  // chunks of a pixel, pixels of an image
};

// judge pad_channels: registers <= 40; !LDL
template <class T>
__global__ void __launch_bounds__(256, 4)
    pad_channels(const T* __restrict__ x, T* __restrict__ y, int chunks, int channels, const Pixels p) {
  constexpr int V = 16 / sizeof(T);
  const int i = blockIdx.x * 256 + threadIdx.x;
  if (i >= chunks) return;
  int first, at;
  const int image = p.by_area.divmod(p.by_chunks.divmod(i, first), at);
  x += image * p.image + at * p.pixel;
  dg::Vector<T, V> v = {};
#pragma unroll
  for (int j = 0; j < V; j++)
    if (first * V + j < channels) v.v[j] = x[(first * V + j) * p.channel];
  reinterpret_cast<dg::Vector<T, V>*>(y)[i] = v;
}
