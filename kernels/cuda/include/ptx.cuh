// ptx.cuh -- the instructions that CUDA C++ has no function for: asynchronous copies, ldmatrix, mma.sync, named barriers.
//
// Each is a device function with two bodies: PTX for the GPU, and its twin for the CPU emulator (kernels/emulator). The
// twins are written from the PTX manual's figures, not from the kernels, and are tested by tests/emulator/test_twins.py.
// Below sm_80 asynchronous copies are plain ones, and the tensor-core functions trap: choose another kernel there.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// The emulator wants to know from where the functions of a whole warp are called.
#if defined(__CUDA_EMULATOR__)
#define DG_SITE , emu::Site site = {__builtin_FILE(), __builtin_LINE()}
#else
#define DG_SITE
#endif

namespace dg {

// Where a pointer to shared memory lies within it. Address arithmetic in 32 bits, as the instructions take it.
__device__ __forceinline__ unsigned shared_address(const void* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

// ---- asynchronous copies (LDGSTS) ----------------------------------------------------------------------------------
// Copies BYTES (4, 8 or 16) to shared memory; what lies behind the first `source_bytes` becomes zero, and with 0 the source
// is not read. 16-byte copies bypass L1.
template <int BYTES>
__device__ __forceinline__ void cp_async(unsigned destination, const void* source, int source_bytes = BYTES) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
#if defined(__CUDA_EMULATOR__)
  emu::async_copy(emu::shared_pointer(destination), source, BYTES, source_bytes);
#elif __CUDA_ARCH__ >= 800
  if constexpr (BYTES == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(destination), "l"(source), "r"(source_bytes) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(destination), "l"(source), "n"(BYTES), "r"(source_bytes) : "memory");
#else
  unsigned char* to = static_cast<unsigned char*>(__cvta_shared_to_generic(destination));
  const unsigned char* from = static_cast<const unsigned char*>(source);
#pragma unroll
  for (int i = 0; i < BYTES; i++) to[i] = i < source_bytes ? from[i] : 0;
#endif
}

// Closes the group of the copies made since the last commit.
__device__ __forceinline__ void cp_async_commit() {
#if defined(__CUDA_EMULATOR__)
  emu::async_commit();
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most PENDING of this thread's groups are in flight. Other threads see the data after a barrier.
template <int PENDING>
__device__ __forceinline__ void cp_async_wait() {
#if defined(__CUDA_EMULATOR__)
  emu::async_wait(PENDING);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// Waits for all of this thread's copies, committed or not.
__device__ __forceinline__ void cp_async_wait_all() {
#if defined(__CUDA_EMULATOR__)
  emu::async_wait(-1);
#elif __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

// ---- fragment loads (LDSM) -----------------------------------------------------------------------------------------
// 8x8 matrices of 16-bit elements; lane 8 * m + i gives the address of row i of matrix m. Lane 4 * g + q receives of each
// matrix the elements [g][2q] and [g][2q + 1]; transposed, [2q][g] and [2q + 1][g]. A pair of 16-bit elements may as well
// be one of 32 bits, but then it cannot be transposed.
#if defined(__CUDA_EMULATOR__)
#define DG_LDMATRIX(COUNT, TRANSPOSED, PTX, OUTPUTS, ...) emu::ldmatrix(r, COUNT, TRANSPOSED, emu::shared_pointer(row), site);
#elif __CUDA_ARCH__ >= 750
#define DG_LDMATRIX(COUNT, TRANSPOSED, PTX, OUTPUTS, ...) asm volatile("ldmatrix.sync.aligned.m8n8." PTX ".shared.b16 " OUTPUTS ";" : __VA_ARGS__ : "r"(row) : "memory");
#else
#define DG_LDMATRIX(COUNT, TRANSPOSED, PTX, OUTPUTS, ...) __trap();
#endif
__device__ __forceinline__ void ldmatrix(unsigned (&r)[1], unsigned row DG_SITE) { DG_LDMATRIX(1, false, "x1", "{%0}, [%1]", "=r"(r[0])) }
__device__ __forceinline__ void ldmatrix(unsigned (&r)[2], unsigned row DG_SITE) { DG_LDMATRIX(2, false, "x2", "{%0,%1}, [%2]", "=r"(r[0]), "=r"(r[1])) }
__device__ __forceinline__ void ldmatrix(unsigned (&r)[4], unsigned row DG_SITE) {
  DG_LDMATRIX(4, false, "x4", "{%0,%1,%2,%3}, [%4]", "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]))
}
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&r)[1], unsigned row DG_SITE) { DG_LDMATRIX(1, true, "x1.trans", "{%0}, [%1]", "=r"(r[0])) }
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&r)[2], unsigned row DG_SITE) { DG_LDMATRIX(2, true, "x2.trans", "{%0,%1}, [%2]", "=r"(r[0]), "=r"(r[1])) }
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&r)[4], unsigned row DG_SITE) {
  DG_LDMATRIX(4, true, "x4.trans", "{%0,%1,%2,%3}, [%4]", "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]))
}
#undef DG_LDMATRIX

// ---- tensor cores (HMMA): D = A * B + D, accumulated in float ------------------------------------------------------
// Element i of a thread's D: row g (i < 2) or g + 8, column 2q + i % 2, for lane 4 * g + q.
#if defined(__CUDA_EMULATOR__)
#define DG_MMA(TWIN, SHAPE) emu::TWIN(d, a, b, d, site);
#elif __CUDA_ARCH__ >= 800
#define DG_MMA(TWIN, SHAPE)                                                                              \
  asm volatile("mma.sync.aligned." SHAPE " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"        \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                          \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#define DG_MMA(TWIN, SHAPE) __trap();
#endif
// 16x16 by 16x8, two elements to a register; the last argument only names the type.
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __nv_bfloat16 DG_SITE) {
  DG_MMA(mma_m16n8k16_bf16, "m16n8k16.row.col.f32.bf16.bf16.f32")
}
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], __half DG_SITE) {
  DG_MMA(mma_m16n8k16_f16, "m16n8k16.row.col.f32.f16.f16.f32")
}
// 16x8 by 8x8, TF32: the tensor core reads the upper 19 bits of each float and ignores the others.
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], float DG_SITE) {
  DG_MMA(mma_m16n8k8_tf32, "m16n8k8.row.col.f32.tf32.tf32.f32")
}
#undef DG_MMA

// Float to TF32, to be called on the operands of mma. Truncation alone would shrink every operand by 3.5e-4 on average;
// cvt.rna.tf32 rounds exactly but costs 2.5 instructions. One multiplication by 1 + 0.693 * 2^-11 before the truncation adds
// 0.35 to 0.69 of a TF32 unit: bias 1.4e-5, rms error 0.305 units (exact rounding: 0.289), at most 0.7. TF32 numbers stay
// what they are, NaN and infinity pass through.
__device__ __forceinline__ unsigned round_tf32(unsigned x) { return __float_as_uint(__uint_as_float(x) * 1.000338f); }

// ---- shared memory by 32-bit address -------------------------------------------------------------------------------
__device__ __forceinline__ uint4 load_shared(unsigned address) {
#if defined(__CUDA_EMULATOR__)
  return *static_cast<const uint4*>(emu::shared_pointer(address));
#else
  uint4 v;
  asm volatile("ld.shared.v4.b32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(address) : "memory");
  return v;
#endif
}
__device__ __forceinline__ void store_shared(unsigned address, uint4 v) {
#if defined(__CUDA_EMULATOR__)
  *static_cast<uint4*>(emu::shared_pointer(address)) = v;
#else
  asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
#endif
}

// ---- a barrier for some warps of the block (BAR): `id` 1 to 15, `threads` a multiple of 32 -------------------------
__device__ __forceinline__ void bar_sync(int id, int threads DG_SITE) {
#if defined(__CUDA_EMULATOR__)
  emu::named_barrier(id, threads, site);
#else
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#endif
}

}  // namespace dg
#undef DG_SITE
