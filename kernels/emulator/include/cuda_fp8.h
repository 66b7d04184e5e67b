// cuda_fp8.h -- NVIDIA's header, host side.
#ifndef EMU_CUDA_FP8_H
#define EMU_CUDA_FP8_H
#include <cuda_bf16.h>
#include "emulator/host_macros.h"
#include_next <cuda_fp8.h>
#include "emulator/device_macros.h"
#endif
