// language.cu -- what ordinary CUDA C++ uses, a kernel each.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math_constants.h>

namespace shapes {
struct Point {
  float x, y;
  __host__ __device__ float dot(const Point& o) const { return x * o.x + y * o.y; }
};
// Shared memory in a function that several kernels call, and one array an instance of a template.
template <class T, int N>
__device__ T reversed(T value) {
  __shared__ T buffer[N];
  __syncthreads();
  buffer[threadIdx.x] = value;
  __syncthreads();
  return buffer[N - 1 - threadIdx.x];
}
template <class T>
__global__ void reverse(T* data) {
  data[threadIdx.x] = reversed<T, 64>(data[threadIdx.x]);
}
}  // namespace shapes

#define MAKE_FILL(T, NAME) \
  extern "C" __global__ void fill_##NAME(T* out, T value) { out[blockIdx.x * blockDim.x + threadIdx.x] = value; }
MAKE_FILL(float, float)
MAKE_FILL(long long, ll)

// Every way to write a shared variable.
__shared__ int at_file_scope[32];
extern "C" {
__global__ void shared_declarations(int* out) {
  __shared__ float plain[32][33];
  static __shared__ int also_static;
  __shared__ __align__(16) float4 vectors[32];
  alignas(16) __shared__ unsigned char bytes[64];
  __shared__ struct { int a[32]; short b; } record;
  __shared__ shapes::Point points[32];
  extern __shared__ int dynamic[];
  extern __shared__ __align__(8) double same_place[];
  const int t = threadIdx.x;
  plain[t][t] = t;
  if (t == 0) also_static = 1000;
  vectors[t] = make_float4(t, 0, 0, 0);
  bytes[2 * t] = t;
  record.a[t] = t;
  points[t] = {float(t), 1.0f};
  at_file_scope[t] = t;
  dynamic[t] = t;
  __syncthreads();
  const int o = 31 - t;
  out[t] = int(plain[o][o]) + also_static + int(vectors[o].x) + bytes[2 * o] + record.a[o] + int(points[o].dot({1, 0})) + at_file_scope[o] + dynamic[o] +
           ((void*)dynamic == (void*)same_place);
}
}

__constant__ float table[4] = {1, 2, 4, 8};
__device__ int counter = 5;
static __device__ __forceinline__ int bump(int by) { return atomicAdd(&counter, by); }
extern "C" __global__ void module_variables(float* out) {
  if (threadIdx.x == 0) bump(3);
  out[threadIdx.x] = table[threadIdx.x % 4];
}

extern "C" __global__ void builtins(int* out) {
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = block * 1000 + thread % warpSize;
}

extern "C" __global__ void warp_functions(int* out) {
  const int lane = threadIdx.x % 32;
  int* o = out + threadIdx.x * 12;
  o[0] = __shfl_sync(~0u, lane, 5);
  o[1] = __shfl_sync(~0u, lane, lane + 1, 8);
  o[2] = __shfl_up_sync(~0u, lane, 3, 16);
  o[3] = __shfl_down_sync(~0u, lane, 3, 16);
  o[4] = __shfl_xor_sync(~0u, lane, 9);
  o[5] = int(__ballot_sync(~0u, lane % 3 == 0));
  o[6] = __any_sync(~0u, lane == 31) * 2 + __all_sync(~0u, lane < 31);
  o[7] = int(__match_any_sync(~0u, lane / 4));
  int same;
  o[8] = int(__match_all_sync(~0u, 7, &same)) + same;
  o[9] = __reduce_add_sync(~0u, lane) + __reduce_max_sync(~0u, lane - 40);
  o[10] = lane < 16 ? int(__reduce_xor_sync(0xffffu, unsigned(lane))) : int(__reduce_min_sync(0xffff0000u, unsigned(lane)));
  o[11] = __syncthreads_count(lane < 10) + 100 * __syncthreads_or(lane == 3) + 1000 * __syncthreads_and(lane < 32);
}

extern "C" __global__ void atomics(int* i, unsigned* u, unsigned long long* l, float* f, double* d, __half2* h) {
  const int t = threadIdx.x;
  atomicAdd(&i[0], t);
  atomicSub(&i[1], t);
  atomicMin(&i[2], -t);
  atomicMax(&i[3], t);
  atomicOr(&i[4], 1 << t % 32);
  atomicAnd(&i[5], ~(1 << t % 16));
  atomicXor(&i[6], t);
  atomicExch(&i[7], 77);
  if (atomicCAS(&i[8], 0, t + 1) == 0) atomicAdd(&i[9], 1);
  atomicInc(&u[0], 9);
  atomicDec(&u[1], 9);
  atomicAdd(&l[0], 1ull << 40);
  atomicMax(&l[1], static_cast<unsigned long long>(t) << 40);
  atomicAdd(f, 0.5f);
  atomicAdd(d, 0.25);
  atomicAdd(h, __floats2half2_rn(1, 2));
  atomicAdd_block(&i[10], 2);
}

extern "C" __global__ void vector_types(const float4* a, const int2* b, uchar4* c, double2* d) {
  const int t = threadIdx.x;
  float4 v = a[t];
  v.x += b[t].x;
  c[t] = make_uchar4(v.x, v.y, v.z, b[t].y);
  d[t] = make_double2(v.w, 0.5);
}

extern "C" __global__ void half_types(const __half* a, const __nv_bfloat16* b, __half* c, __nv_bfloat16* e, float* f) {
  const int t = threadIdx.x;
  const __half x = a[t];
  c[t] = x * x + __float2half(1.0f);
  c[t + 32] = hexp(x);
  c[t + 64] = __hfma(x, x, x);
  c[t + 96] = __hmax(x, __half(0.25f));
  const __nv_bfloat16 y = b[t];
  e[t] = y + __nv_bfloat16(1.0f);
  e[t + 32] = __float2bfloat16(__bfloat162float(y) * 0.5f);
  e[t + 64] = hsqrt(__habs(y));
  f[t] = __half2float(x) + __bfloat162float(y);
  f[t + 32] = __low2float(__hadd2(__halves2half2(x, x), __float2half2_rn(2.0f)));
  f[t + 64] = __half2int_rn(x * __half(100.0f));
}

extern "C" __global__ void integer_functions(const int* x, int* out) {
  const int t = threadIdx.x, a = x[t];
  int* o = out + t * 12;
  o[0] = __popc(a);
  o[1] = __clz(a);
  o[2] = __ffs(a);
  o[3] = int(__brev(a));
  o[4] = __mulhi(a, 123456789);
  o[5] = int(__byte_perm(a, 0x89abcdef, 0x7340));
  o[6] = int(__funnelshift_l(a, 0x12345678, 8));
  o[7] = __dp4a(a, 0x01020304, 5);
  o[8] = min(a, 100) + max(a, -5);
  o[9] = int(__sad(a, 7, 1u));
  o[10] = __float2int_rn(a * 0.3f);
  o[11] = __float2int_rd(a * 0.3f) + __float2uint_rz(-3.5f);
}

// A 12-byte and a large struct by value, passed on to functions.
struct Large { float values[40]; int n; };
__device__ __noinline__ float total(const Large& large) {
  float sum = 0;
  for (int i = 0; i < large.n; i++) sum += large.values[i];
  return sum;
}
extern "C" __global__ void structs(const __grid_constant__ Large large, float3 v, float* out) { out[threadIdx.x] = total(large) + v.x + 2 * v.y + 3 * v.z; }

extern "C" __global__ void said(int n) {
  if (threadIdx.x == 1) printf("thread %d of %d: %.2f %s\n", threadIdx.x, n, 0.5, "done");
}
extern "C" __global__ void asserted(const int* x) { assert(x[threadIdx.x] < 10); }

__device__ int factorial(int n) { return n < 2 ? 1 : n * factorial(n - 1); }
extern "C" __global__ void recursion(int* out) { out[threadIdx.x] = factorial(threadIdx.x); }

extern "C" __global__ void lambdas(float* out) {
  auto twice = [](auto x) { return x + x; };
  const float scale = 3;
  auto scaled = [&](float x) { return scale * x; };
  out[threadIdx.x] = twice(scaled(float(threadIdx.x))) + (CUDART_INF_F > 1 ? 1 : 0);
}

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800 && defined(__CUDACC__)
extern "C" __global__ void conditional(int* out) { *out = __CUDA_ARCH__; }
#endif
