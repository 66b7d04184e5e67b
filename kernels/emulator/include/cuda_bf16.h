// cuda_bf16.h -- NVIDIA's header for the host, and after it the functions that it has for the device only.
#ifndef EMU_CUDA_BF16_H
#define EMU_CUDA_BF16_H
#include <cuda_fp16.h>
#include "emulator/host_macros.h"
#include_next <cuda_bf16.h>
#include "emulator/device_macros.h"
#define EMU_T __nv_bfloat16
#define EMU_T2 __nv_bfloat162
#define EMU_FROM __float2bfloat16_rn
#define EMU_TO __bfloat162float
#define EMU_PAIR_OF __halves2bfloat162
#define EMU_NAME __bfloat16
#include "emulator/half_functions.h"
#endif
