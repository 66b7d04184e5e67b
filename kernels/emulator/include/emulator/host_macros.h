// host_macros.h -- before one of NVIDIA's headers: it shall define its host functions. Not guarded.
#undef __CUDACC__
#undef __CUDA_ARCH__
