// qualifiers.h -- CUDA's declaration specifiers.
//
// A `__shared__` variable becomes a thread_local one: all fibers of a block run on one operating-system thread, so they
// share it, and blocks on different threads do not. The compiler does the parsing (templates, `static`, any type), the
// symbol table tells the runtime where each variable lies and how large it is. `extern __shared__ T x[]` is an undefined
// thread-local symbol, which the linker puts at the start of the dynamic shared memory.
#pragma once
#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __managed__
#undef __forceinline__
#undef __inline_hint__
#undef __noinline__
#undef __launch_bounds__
#undef __maxnreg__
#undef __cluster_dims__
#undef __grid_constant__
// `emu_global` is for source.py, g++ ignores it. `flatten` inlines everything into the kernel, as nvcc does; also, g++ does
// not instrument a struct that is passed or returned by value straight from memory, unless the call is inlined.
#define __global__ __attribute__((emu_global, flatten))
#define __device__
#define __host__
#define __shared__ __attribute__((used)) thread_local
#define __constant__ __attribute__((used))
#define __managed__
#define __forceinline__ inline __attribute__((always_inline))
#define __inline_hint__
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) __emu_launch_bounds__(__VA_ARGS__)  // read and removed by source.py
#define __maxnreg__(...)
#define __cluster_dims__(...)
#define __grid_constant__
#define __nv_pure__

#define threadIdx (::emu::self->thread_idx)
#define blockIdx (::emu::self->block_idx)
#define blockDim (::emu::self->block_dim)
#define gridDim (::emu::self->grid_dim)
#define warpSize 32

#define printf(...) (::emu::print(__VA_ARGS__))
