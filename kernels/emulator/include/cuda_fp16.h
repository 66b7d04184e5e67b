// cuda_fp16.h -- NVIDIA's header for the host, and after it the functions that it has for the device only.
#ifndef EMU_CUDA_FP16_H
#define EMU_CUDA_FP16_H
#include "emulator/host_macros.h"
#include_next <cuda_fp16.h>
#include "emulator/device_macros.h"
#define EMU_T __half
#define EMU_T2 __half2
#define EMU_FROM __float2half_rn
#define EMU_TO __half2float
#define EMU_PAIR_OF __halves2half2
#define EMU_NAME __half
#include "emulator/half_functions.h"
#endif
