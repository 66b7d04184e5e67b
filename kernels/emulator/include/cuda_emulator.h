// cuda_emulator.h -- CUDA C++ for g++: included before every emulated source, as nvcc and NVRTC include their built-ins.
#pragma once
#include <cassert>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <vector_types.h>      // float4, dim3, ...: NVIDIA's own headers, from the wheel nvidia-cuda-runtime
#include <vector_functions.h>  // make_float4, ...

#include "emulator/interface.h"

#include "emulator/qualifiers.h"

#include "emulator/atomics.h"
#include "emulator/intrinsics.h"
#include "emulator/launch.h"
#include "emulator/math.h"
#include "emulator/memory.h"
#include "emulator/synchronisation.h"

// What the source may ask about its compiler. EMU_ARCH comes from the option -arch=sm_NN.
#include "emulator/device_macros.h"
