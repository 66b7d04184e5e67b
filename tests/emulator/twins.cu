// twins.cu -- one warp, one instruction: each function of ptx.cuh that has a twin in the emulator.
#include <ptx.cuh>

template <class T>
__global__ void one_mma(float* d, const unsigned* a, const unsigned* b) {
  const int lane = threadIdx.x;
  unsigned fa[4], fb[2];
  float fd[4];
  for (int i = 0; i < 4; i++) fa[i] = a[lane * 4 + i], fd[i] = d[lane * 4 + i];
  for (int i = 0; i < 2; i++) fb[i] = b[lane * 2 + i];
  dg::mma(fd, fa, fb, T());
  for (int i = 0; i < 4; i++) d[lane * 4 + i] = fd[i];
}

// x: 32 rows of 8 elements; lane l gives the address of row order[l].
template <int COUNT, bool TRANSPOSED>
__global__ void one_ldmatrix(unsigned* out, const unsigned short* x, const int* order) {
  __shared__ __align__(16) unsigned short rows[32][8];
  const int lane = threadIdx.x;
  for (int i = 0; i < 8; i++) rows[lane][i] = x[lane * 8 + i];
  __syncthreads();
  unsigned r[COUNT];
  const unsigned address = dg::shared_address(rows[order[lane]]);
  if (TRANSPOSED) dg::ldmatrix_transposed(r, address);
  else dg::ldmatrix(r, address);
  for (int i = 0; i < COUNT; i++) out[lane * COUNT + i] = r[i];
}

// Three stages of copies; the result says what each wait has let through.
template <int BYTES>
__global__ void copies(const unsigned char* x, unsigned char* out, const int* bytes) {
  __shared__ __align__(16) unsigned char stage[3][32 * BYTES];
  const int lane = threadIdx.x;
  for (int s = 0; s < 3; s++) {
    dg::cp_async<BYTES>(dg::shared_address(&stage[s][lane * BYTES]), x + (s * 32 + lane) * BYTES, bytes[lane]);
    dg::cp_async_commit();
  }
  dg::cp_async_wait<1>();
  for (int i = 0; i < 2 * BYTES; i++) out[(i / BYTES * 32 + lane) * BYTES + i % BYTES] = stage[i / BYTES][lane * BYTES + i % BYTES];
  dg::cp_async_wait_all();
  for (int i = 0; i < BYTES; i++) out[(2 * 32 + lane) * BYTES + i] = stage[2][lane * BYTES + i];
}

// The last stage is read one wait too early.
extern "C" __global__ void early(const float* x, float* out) {
  __shared__ __align__(16) float stage[2][32];
  const int lane = threadIdx.x;
  for (int s = 0; s < 2; s++) {
    dg::cp_async<4>(dg::shared_address(&stage[s][lane]), x + s * 32 + lane);
    dg::cp_async_commit();
  }
  dg::cp_async_wait<1>();
  out[lane] = stage[1][lane];
  dg::cp_async_wait_all();
}

extern "C" __global__ void vectors(const uint4* x, uint4* out) {
  __shared__ uint4 buffer[32];
  const int lane = threadIdx.x;
  dg::store_shared(dg::shared_address(&buffer[lane]), x[lane]);
  __syncthreads();
  out[lane] = dg::load_shared(dg::shared_address(&buffer[31 - lane]));
}

extern "C" __global__ void rounded(unsigned* x) { x[threadIdx.x] = dg::round_tf32(x[threadIdx.x]); }

// Two halves of the block, each with a barrier of its own, exchange values among themselves only.
extern "C" __global__ void halves(int* out) {
  __shared__ int values[128];
  const int thread = threadIdx.x, half = thread / 64;
  values[thread] = thread;
  dg::bar_sync(1 + half, 64);
  out[thread] = values[half * 64 + 63 - thread % 64];
}
