// chunks.cuh -- which pieces of an operand's k-tile each thread brings, and which output tile a block makes.
//
// D = A * B^T is summed over k-tiles. An operand's k-tile, MN rows (of D, or columns) by BK of the reduction, is stored as a
// table of chunks of E consecutive elements:
//   K_MAJOR   a stored row is one m (or n), chunks run along k        A[M,K], B[N,K]
//   MN_MAJOR  a stored row is one k, chunks run along m (or n)        A[K,M], B[K,N]
// The chunk is 16 bytes for the tensor cores' asynchronous copies, one element for the general path. A thread brings N chunks,
// all of one column, of the stored rows row(0), row(1), ...: what depends on the column is computed once.
//
// An iterator over an operand has
//   void seek(int k)                  goes to the k-tile that begins at index k of the reduction
//   int fetch(int i, const T*& p)     where the i-th chunk lies; how many of its bytes exist (the rest counts as zero)
#pragma once

namespace dg {

enum Order { K_MAJOR, MN_MAJOR };

template <class T_, int MN_, int BK_, int E_, Order ORDER_, int THREADS_>
struct Chunks {
  using T = T_;
  static constexpr int MN = MN_, BK = BK_, E = E_, THREADS = THREADS_;
  static constexpr Order ORDER = ORDER_;
  static constexpr int BYTES = E * static_cast<int>(sizeof(T));
  static constexpr int COLUMNS = (ORDER == K_MAJOR ? BK : MN) / E, ROWS = ORDER == K_MAJOR ? MN : BK;
  static constexpr int STEP = THREADS / COLUMNS, N = ROWS / STEP;
  static_assert(THREADS % COLUMNS == 0 && ROWS % STEP == 0, "the tile does not divide among the threads");

  static __device__ __forceinline__ int row(int i) { return threadIdx.x / COLUMNS + i * STEP; }
  static __device__ __forceinline__ int column() { return threadIdx.x % COLUMNS * E; }
  // Bytes of a chunk at `column` that exist, of `columns` elements in all.
  static __device__ __forceinline__ int bytes_within(int column, int columns) {
    const int left = columns - column;
    return left >= E ? BYTES : left > 0 ? left * static_cast<int>(sizeof(T)) : 0;
  }
};

// Block index to output tile, in bands of eight rows of tiles: blocks that run at the same time share rows and columns in L2.
__device__ __forceinline__ void tile_of_block(int block, int tiles_m, int tiles_n, int& tile_m, int& tile_n) {
  const int band = 8 * tiles_n, first = block / band * 8, left = tiles_m - first, height = left < 8 ? left : 8;
  const int within = block % band;
  tile_m = first + within % height;
  tile_n = within / height;
}

}  // namespace dg
