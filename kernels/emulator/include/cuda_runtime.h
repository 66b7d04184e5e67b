// cuda_runtime.h -- nothing beyond what every source gets: the host API is not emulated.
