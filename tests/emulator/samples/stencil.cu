// stencil.cu -- a 7-point stencil along a line, with a halo in shared memory and coefficients in constant memory.
#define RADIUS 3
#define BLOCK 128
__constant__ float coefficient[RADIUS + 1];

extern "C" __global__ void __launch_bounds__(BLOCK) stencil(const float* in, float* out, int n) {
  __shared__ float line[BLOCK + 2 * RADIUS];
  const int g = blockIdx.x * BLOCK + threadIdx.x, l = threadIdx.x + RADIUS;
  line[l] = g < n ? in[g] : 0;
  if (threadIdx.x < RADIUS) {
    line[l - RADIUS] = g >= RADIUS ? in[g - RADIUS] : 0;
    line[l + BLOCK] = g + BLOCK < n ? in[g + BLOCK] : 0;
  }
  __syncthreads();
  float sum = coefficient[0] * line[l];
#pragma unroll
  for (int r = 1; r <= RADIUS; r++) sum += coefficient[r] * (line[l - r] + line[l + r]);
  if (g < n) out[g] = sum;
}
