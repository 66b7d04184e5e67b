// softmax.cu -- one row a block; float4 loads, half or float; maximum and sum by shuffles.
#include <cuda_fp16.h>
#define INFINITE __int_as_float(0x7f800000)  // NVRTC has no INFINITY

struct Max {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

template <class Combine>
__device__ float block_reduce(float value, Combine combine, float neutral) {
  __shared__ float partial[32];
  const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, warps = (blockDim.x + 31) >> 5;
  for (int bits = 16; bits > 0; bits >>= 1) value = combine(value, __shfl_xor_sync(~0u, value, bits));
  __syncthreads();  // the previous result has been read
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  value = lane < warps ? partial[lane] : neutral;
  for (int bits = 16; bits > 0; bits >>= 1) value = combine(value, __shfl_xor_sync(~0u, value, bits));
  return value;
}

extern "C" __global__ void softmax(const float* __restrict__ x, float* __restrict__ y, int columns) {
  const float4* row = reinterpret_cast<const float4*>(x + size_t(blockIdx.x) * columns);
  float4* result = reinterpret_cast<float4*>(y + size_t(blockIdx.x) * columns);
  float top = -INFINITE;
  for (int i = threadIdx.x; i < columns / 4; i += blockDim.x) {
    const float4 v = row[i];
    top = fmaxf(top, fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
  }
  top = block_reduce(top, Max(), -INFINITE);
  float sum = 0;
  for (int i = threadIdx.x; i < columns / 4; i += blockDim.x) {
    const float4 v = row[i];
    sum += __expf(v.x - top) + __expf(v.y - top) + __expf(v.z - top) + __expf(v.w - top);
  }
  const float scale = 1.0f / block_reduce(sum, Sum(), 0.0f);
  for (int i = threadIdx.x; i < columns / 4; i += blockDim.x) {
    const float4 v = row[i];
    result[i] = make_float4(__expf(v.x - top) * scale, __expf(v.y - top) * scale, __expf(v.z - top) * scale, __expf(v.w - top) * scale);
  }
}

extern "C" __global__ void softmax_half(const __half2* x, __half2* y, int pairs) {
  float top = -INFINITE, sum = 0;
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    const float2 v = __half22float2(x[blockIdx.x * pairs + i]);
    top = fmaxf(top, fmaxf(v.x, v.y));
  }
  top = block_reduce(top, Max(), -INFINITE);
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    const float2 v = __half22float2(x[blockIdx.x * pairs + i]);
    sum += __expf(v.x - top) + __expf(v.y - top);
  }
  const float scale = 1.0f / block_reduce(sum, Sum(), 0.0f);
  for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
    const float2 v = __half22float2(x[blockIdx.x * pairs + i]);
    y[blockIdx.x * pairs + i] = __floats2half2_rn(__expf(v.x - top) * scale, __expf(v.y - top) * scale);
  }
}
