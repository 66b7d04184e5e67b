// embedding.cu -- rows of a table by their numbers, and the gradient of the table.
//
// Idea     Forward copies rows. Backward adds up the gradients of equal numbers without atomics: the numbers come sorted (stably,
//          with the permutation that sorts them), so those of one row lie side by side, and are cut into chunks of LENGTH. A thread
//          goes down its column of a chunk; a run of equal numbers that lies within the chunk is written at once, what goes over
//          the chunk's ends is put aside, and a second kernel adds these pieces up in order. Deterministic, and a row that
//          occurs a million times (padding) is the work of many blocks.
// Tiling   forward: 8 warps a block, a warp a row, 16 bytes a lane. backward: 128 columns and a chunk of 32 numbers a block.
// Bytes    forward 2 * sizeof(T) an element of the result. backward sizeof(T) an element of the gradient, sizeof(T) an element of
//          each row that occurs, and at most 2 / LENGTH accumulators an element written and read again.
// Flops    1 addition an element, in float (double for double).
// Roofline bound by memory: 85 % of the copy rate is to be expected on an H100 for rows of 128 bytes and more.
#include <numeric.cuh>

namespace {

using dg::Accumulator;
using dg::narrow;
using dg::Vector;
using dg::widen;

constexpr int LENGTH = 32;

// The sorted numbers, and whether the run of equal ones at the end of a chunk, or at its beginning, goes on beyond it.
struct Runs {
  const long long* rows;
  int count;
  __device__ __forceinline__ bool continues_before(int i) const { return i > 0 && rows[i - 1] == rows[i]; }
  __device__ __forceinline__ bool continues_behind(int i) const { return i + 1 < count && rows[i + 1] == rows[i]; }
};

}  // namespace

// T is an unsigned integer of an element's size; K is the row's length in vectors.
// judge embedding: registers <= 40; !LDL
template <class T, int V>
__global__ void __launch_bounds__(256, 6)
    embedding(const Vector<T, V>* __restrict__ table, const long long* __restrict__ index, Vector<T, V>* __restrict__ out, int count,
              int K) {
  const int i = blockIdx.x * 8 + threadIdx.y;
  if (i >= count) return;
  const Vector<T, V>* const from = table + index[i] * K;
  Vector<T, V>* const to = out + static_cast<long long>(i) * K;
#pragma unroll 2
  for (int k = threadIdx.x; k < K; k += 32) to[k] = from[k];
}

// grid = (chunks, columns / 128). rows: the sorted numbers; order: where each stood. pieces[2][chunks][K]: of the run that a chunk
// begins with, if it began before; and of the run that a chunk ends with, if it begins there and goes on.
// judge embedding_backward: registers <= 64; !LDL
template <class T>
__global__ void __launch_bounds__(128, 8)
    embedding_backward(const T* __restrict__ g, const long long* __restrict__ rows, const long long* __restrict__ order,
                       T* __restrict__ gtable, Accumulator<T>* __restrict__ pieces, int count, int K) {
  using A = Accumulator<T>;
  const int column = blockIdx.y * 128 + threadIdx.x;
  if (column >= K) return;
  const Runs runs{rows, count};
  const int start = blockIdx.x * LENGTH, end = start + LENGTH < count ? start + LENGTH : count;
  A* const head = pieces + static_cast<long long>(blockIdx.x) * K + column;
  A* const tail = head + static_cast<long long>(gridDim.x) * K;
  bool begins = !runs.continues_before(start);
  A sum = 0;
  for (int i = start; i < end; i++) {
    sum += widen(g[order[i] * K + column]);
    const bool ends = !runs.continues_behind(i);
    if (!ends && i + 1 < end) continue;
    if (begins && ends) gtable[rows[i] * K + column] = narrow<T>(sum);
    else *(begins ? tail : head) = sum;
    begins = true;
    sum = 0;
  }
}

// grid = (chunks, columns / 128): each chunk's last run, if it begins there and goes on, is added up to its end.
// judge embedding_merge: registers <= 64; !LDL
template <class T>
__global__ void __launch_bounds__(128, 8)
    embedding_merge(const long long* __restrict__ rows, const Accumulator<T>* __restrict__ pieces, T* __restrict__ gtable, int count,
                    int K) {
  using A = Accumulator<T>;
  const int column = blockIdx.y * 128 + threadIdx.x;
  const int start = blockIdx.x * LENGTH, end = start + LENGTH < count ? start + LENGTH : count;
  const Runs runs{rows, count};
  if (column >= K || !runs.continues_behind(end - 1)) return;
  if (rows[start] == rows[end - 1] && runs.continues_before(start)) return;  // it began in a chunk before
  const A* head = pieces + static_cast<long long>(blockIdx.x) * K + column;
  A sum = head[static_cast<long long>(gridDim.x) * K];
  for (int last = end - 1; last + 1 < count && rows[last + 1] == rows[end - 1];) {
    head += K;
    sum += *head;
    last = last + LENGTH < count ? last + LENGTH : count - 1;
    if (rows[last] != rows[end - 1]) break;
  }
  gtable[rows[end - 1] * K + column] = narrow<T>(sum);
}
