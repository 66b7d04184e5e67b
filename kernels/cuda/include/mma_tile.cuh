// mma_tile.cuh -- tilings of the tensor-core main loop, and the operands' tables in shared memory.
//
// A k-tile is 64 bytes of the reduction (32 half or bfloat16, 16 TF32), in 16-byte chunks, in one of two orders (chunks.cuh), in
// global and shared memory alike: asynchronous copies cannot transpose. How each case reaches the fragments of mma.sync:
//   16-bit and TF32 K_MAJOR   ldmatrix (a 32-bit element is a pair of 16-bit ones)
//   16-bit MN_MAJOR           ldmatrix, transposed
//   TF32 MN_MAJOR             128-bit loads: ldmatrix cannot transpose 32-bit elements. Instead the rows of the MMA tiles are
//                             renamed: a thread's four consecutive m become its rows of four different 8-row halves.
// Rows of the MMA tiles may be named freely, if the epilogue uses the same names (mma_store.cuh). B's rows are named so that in the
// end each thread owns V consecutive columns, 16 bytes: stores straight from registers, whole 32-byte sectors. Only 16-bit MN_MAJOR
// B cannot be renamed (ldmatrix fixes it); there two or four lanes exchange columns in the epilogue.
//
// Bank conflicts: none, neither in the copies' stores nor in any load, because the index of a chunk is XOR-ed with
//   K_MAJOR   the position (0..7) of its row in the 8-row MMA tile, halved: stored rows are 64 bytes, half of all banks
//   MN_MAJOR  k & 7 (16-bit), k & 3 (TF32)
#pragma once
#include "chunks.cuh"
#include "ptx.cuh"

namespace dg {

template <class T_, class O_, int BM_, int BN_, int WM_, int WN_, int STAGES_, Order ORDER_A_, Order ORDER_B_>
struct MmaTile {
  using T = T_;  // element type of A and B: __half, __nv_bfloat16, or float computed as TF32
  using O = O_;  // element type of the output
  using A = float;
  static constexpr int BM = BM_, BN = BN_, WM = WM_, WN = WN_, STAGES = STAGES_;  // block's tile, warp's tile
  static constexpr Order ORDER_A = ORDER_A_, ORDER_B = ORDER_B_;
  static constexpr bool TF32 = sizeof(T) == 4;
  static constexpr int E = 16 / static_cast<int>(sizeof(T)), V = 16 / static_cast<int>(sizeof(O));
  static constexpr int BK = 4 * E;                             // two k-steps of 32 bytes: an mma is one deep
  static constexpr int WARPS_M = BM / WM, THREADS = 32 * WARPS_M * (BN / WN);
  static constexpr int MT = WM / 16, NT = WN / 8;              // mma tiles of a warp
  static constexpr int A_BYTES = BM * 64, STAGE_BYTES = A_BYTES + BN * 64, SHARED_BYTES = STAGES * STAGE_BYTES;
  using ChunksA = Chunks<T, BM, BK, E, ORDER_A, THREADS>;
  using ChunksB = Chunks<T, BN, BK, E, ORDER_B, THREADS>;
  static_assert(WM % 32 == 0 && WN % 32 == 0 && BM % 64 == 0 && BN % 64 == 0, "tile");
  static_assert(!TF32 || sizeof(O) == 4, "TF32 products are stored as float");

  static __device__ __forceinline__ int warp_row() { return (threadIdx.x >> 5) % WARPS_M * WM; }
  static __device__ __forceinline__ int warp_column() { return (threadIdx.x >> 5) / WARPS_M * WN; }
};

// Where a chunk lies in the table of one operand. VECTOR: 0 if the rows have their natural order, else the width of the
// vectors of columns that the rows are renamed for.
template <class S, int VECTOR>
struct Table {
  // Position of row n in its 8-row MMA tile, and the inverse: the row at position p of tile j.
  static __device__ __forceinline__ int position(int n) {
    return VECTOR == 4 ? (n >> 1 & 6) | (n & 1) : VECTOR == 8 ? (n >> 2 & 6) | (n & 1) : n & 7;
  }
  static __device__ __forceinline__ int row_at(int j, int p) {
    if (VECTOR == 0) return 8 * j + p;
    constexpr int SHARING = VECTOR ? VECTOR / 2 : 1;  // tiles that share a group of 4 * VECTOR rows
    return j / SHARING * 4 * VECTOR + (p >> 1) * VECTOR + j % SHARING * 2 + (p & 1);
  }
  static __device__ __forceinline__ int swizzle(int row) {
    return S::ORDER == K_MAJOR ? position(row) >> 1 : sizeof(typename S::T) == 2 ? row & 7 : row & 3;
  }
  static __device__ __forceinline__ int offset(int row, int chunk) { return (row * S::COLUMNS + (chunk ^ swizzle(row))) * 16; }
};
template <class C> using TableA = Table<typename C::ChunksA, 0>;
template <class C> using TableB = Table<typename C::ChunksB, C::ORDER_B == K_MAJOR ? C::V : 0>;

// TF32 MN_MAJOR: the chunk (four m) that holds position p of four halves; p and p + 1 are four chunks apart, which keeps banks
// and stored sectors apart.
__device__ __forceinline__ int chunk_of_position(int p) { return (p >> 1) + 4 * (p & 1); }

}  // namespace dg
