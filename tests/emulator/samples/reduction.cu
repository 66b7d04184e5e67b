// reduction.cu -- sums: in shared memory, with shuffles, with cooperative groups.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;

// Sequential addressing, two loads a thread; one partial sum a block.
extern "C" __global__ void reduce_shared(const float* __restrict__ in, float* __restrict__ out, unsigned n) {
  extern __shared__ float sdata[];
  const unsigned tid = threadIdx.x, i = blockIdx.x * blockDim.x * 2 + tid;
  float sum = i < n ? in[i] : 0.0f;
  if (i + blockDim.x < n) sum += in[i + blockDim.x];
  sdata[tid] = sum;
  __syncthreads();  // loads are done
  for (unsigned s = blockDim.x / 2; s > 0; s >>= 1) {
    if (tid < s) sdata[tid] += sdata[tid + s];
    __syncthreads();  // step is done
  }
  if (tid == 0) out[blockIdx.x] = sdata[0];
}

// A grid-stride loop, shuffles within a warp, shared memory between warps.
template <class T, unsigned BLOCK>
__global__ void __launch_bounds__(BLOCK) reduce_warps(const T* __restrict__ in, T* __restrict__ out, unsigned n) {
  __shared__ T partial[BLOCK / 32];
  T sum = 0;
  for (unsigned i = blockIdx.x * BLOCK + threadIdx.x; i < n; i += gridDim.x * BLOCK) sum += in[i];
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffff, sum, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < BLOCK / 32 ? partial[threadIdx.x] : T(0);
    for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffff, sum, offset);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
  }
}

extern "C" __global__ void reduce_groups(const float* in, float* out, unsigned n) {
  __shared__ float partial[32];
  const cg::thread_block cta = cg::this_thread_block();
  const cg::thread_block_tile<32> tile = cg::tiled_partition<32>(cta);
  float sum = 0;
  for (unsigned i = cta.thread_rank(); i < n; i += cta.size()) sum += in[i];
  sum = cg::reduce(tile, sum, cg::plus<float>());
  if (tile.thread_rank() == 0) partial[tile.meta_group_rank()] = sum;
  cg::sync(cta);
  if (tile.meta_group_rank() == 0) {
    sum = tile.thread_rank() < tile.meta_group_size() ? partial[tile.thread_rank()] : 0.0f;
    sum = cg::reduce(tile, sum, cg::plus<float>());
    if (tile.thread_rank() == 0) *out = sum;
  }
}

// One pass: the last block to finish adds up the partial sums of all.
__device__ unsigned finished = 0;
extern "C" __global__ void reduce_one_pass(const float* in, float* partial, float* out, unsigned n) {
  __shared__ float sdata[128];
  __shared__ bool is_last;
  float sum = 0;
  for (unsigned i = blockIdx.x * 128 + threadIdx.x; i < n; i += gridDim.x * 128) sum += in[i];
  sdata[threadIdx.x] = sum;
  __syncthreads();
  for (int s = 64; s > 0; s >>= 1) {
    if (threadIdx.x < s) sdata[threadIdx.x] += sdata[threadIdx.x + s];
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sdata[0];
    __threadfence();  // the sum is visible before the ticket
    is_last = atomicInc(&finished, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (is_last && threadIdx.x == 0) {
    float total = 0;
    for (unsigned b = 0; b < gridDim.x; b++) total += partial[b];
    *out = total;
  }
}
