// scan.cu -- exclusive prefix sums of one block: work-efficient (up-sweep and down-sweep), and with shuffles.
template <int N>
__global__ void scan_blelloch(const int* in, int* out) {
  __shared__ int temp[N];
  const int t = threadIdx.x;
  temp[2 * t] = in[2 * t];
  temp[2 * t + 1] = in[2 * t + 1];
  int offset = 1;
  for (int d = N >> 1; d > 0; d >>= 1) {
    __syncthreads();  // before a step up
    if (t < d) temp[offset * (2 * t + 2) - 1] += temp[offset * (2 * t + 1) - 1];
    offset *= 2;
  }
  if (t == 0) temp[N - 1] = 0;
  for (int d = 1; d < N; d *= 2) {
    offset >>= 1;
    __syncthreads();  // before a step down
    if (t < d) {
      const int a = offset * (2 * t + 1) - 1, b = offset * (2 * t + 2) - 1;
      const int left = temp[a];
      temp[a] = temp[b];
      temp[b] += left;
    }
  }
  __syncthreads();  // before the result
  out[2 * t] = temp[2 * t];
  out[2 * t + 1] = temp[2 * t + 1];
}

__device__ int warp_inclusive(int value) {
  for (int delta = 1; delta < 32; delta *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, value, delta);
    if (threadIdx.x % 32 >= delta) value += other;
  }
  return value;
}

extern "C" __global__ void scan_shuffle(const int* in, int* out, int n) {
  __shared__ int totals[32];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  const int value = t < n ? in[t] : 0;
  int sum = warp_inclusive(value);
  if (lane == 31) totals[warp] = sum;
  __syncthreads();  // totals are written
  if (warp == 0) {
    const int mine = lane < blockDim.x / 32 ? totals[lane] : 0;
    const int all = warp_inclusive(mine);
    __syncwarp();
    totals[lane] = all - mine;
  }
  __syncthreads();  // totals are scanned
  if (t < n) out[t] = totals[warp] + sum - value;
}
