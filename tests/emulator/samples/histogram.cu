// histogram.cu -- 256 bins: a private histogram a block in shared memory, merged with atomics.
#define BINS 256
extern "C" __global__ void histogram(const unsigned* __restrict__ data, unsigned* __restrict__ bins, unsigned words) {
  __shared__ unsigned local[BINS];
  for (unsigned i = threadIdx.x; i < BINS; i += blockDim.x) local[i] = 0;
  __syncthreads();  // the bins are empty
  for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < words; i += gridDim.x * blockDim.x) {
    const unsigned four = data[i];
    for (int shift = 0; shift < 32; shift += 8) atomicAdd(&local[four >> shift & 0xffu], 1u);
  }
  __syncthreads();  // the bins are full
  for (unsigned i = threadIdx.x; i < BINS; i += blockDim.x) atomicAdd(&bins[i], local[i]);
}
