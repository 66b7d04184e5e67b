// cuda_pipeline.h -- the asynchronous-copy primitives __pipeline_memcpy_async, _commit and _wait_prior.
#pragma once

EMU_INLINE void __pipeline_memcpy_async(void* shared, const void* global, size_t size, size_t zero_filled = 0) {
  emu::async_copy(shared, global, int(size), int(size - zero_filled));
}
EMU_INLINE void __pipeline_commit() { emu::async_commit(); }
EMU_INLINE void __pipeline_wait_prior(size_t pending) { emu::async_wait(int(pending)); }
