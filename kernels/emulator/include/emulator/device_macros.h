// device_macros.h -- the macros that tell a source it is compiled for the device; also restores them after one of
// NVIDIA's headers, whose host side the emulator uses (see host_macros.h). Not guarded: included more than once.
#define __CUDACC__ 1
#define __CUDA_ARCH__ EMU_ARCH
#define __CUDA_EMULATOR__ 1
