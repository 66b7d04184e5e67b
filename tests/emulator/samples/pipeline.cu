// pipeline.cu -- a running sum of tiles that are copied asynchronously, two stages ahead.
#include <cuda_pipeline.h>
#define THREADS 64
#define STAGES 3

extern "C" __global__ void __launch_bounds__(THREADS) column_sums(const float4* in, float4* out, int tiles) {
  __shared__ float4 stage[STAGES][THREADS];
  const int t = threadIdx.x;
  auto fetch = [&](int tile) {
    if (tile < tiles) __pipeline_memcpy_async(&stage[tile % STAGES][t], &in[tile * THREADS + t], sizeof(float4));
    __pipeline_commit();
  };
  for (int tile = 0; tile < STAGES - 1; tile++) fetch(tile);
  float4 sum = make_float4(0, 0, 0, 0);
  for (int tile = 0; tile < tiles; tile++) {
    __pipeline_wait_prior(STAGES - 2);  // this tile has arrived
    __syncthreads();                    // for everyone, and everyone is done with the stage that is filled next
    fetch(tile + STAGES - 1);
    const float4 v = stage[tile % STAGES][THREADS - 1 - t];  // another thread's
    sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
  }
  __pipeline_wait_prior(0);  // nothing is left in flight
  out[t] = sum;
}
