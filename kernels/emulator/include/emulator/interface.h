// interface.h -- what the device-side headers ask of the runtime.
//
// Device code is compiled by g++ and linked with the runtime into one shared object. A CUDA thread is a fiber; `self` is
// the one that runs now. Functions that can fail do not return: they record the error, and the launch ends.
#pragma once
#include <vector_types.h>

#include <cstddef>
#include <cstdint>

namespace emu {

// The built-in variables of CUDA C++.
struct Thread {
  uint3 thread_idx, block_idx;
  dim3 block_dim, grid_dim;
  unsigned lane, warp;
};
extern thread_local const Thread* self;

// Where in the source a synchronising call stands. A compiler may duplicate a call, so its address does not identify it.
struct Site {
  const char* file;
  int line;
};

// ---- errors, output ------------------------------------------------------------------------------------------------
// The numbers are those of `KINDS` in report.py.
enum class Failure : int {
  none, out_of_bounds, misaligned, read_only, null_pointer, stack_overflow, array_index,
  race, copy_in_flight, copy_never_awaited,
  uninitialised,
  divergent_barrier, exited_before_barrier, divergent_warp, not_in_mask, inactive_lane, deadlock, livelock, incomplete_warp,
  bad_barrier, invalid_async_copy,
  assertion, trap, division_by_zero, shift, unsupported, interrupted
};
[[noreturn]] void fail(Failure, const char* format, ...) __attribute__((format(printf, 2, 3)));
int print(const char* format, ...) __attribute__((format(printf, 1, 2)));

// ---- synchronisation -----------------------------------------------------------------------------------------------
struct Arrivals {
  int participants, nonzero;  // threads at the barrier, and how many of them gave a nonzero predicate
};
Arrivals block_barrier(int predicate, Site);                 // __syncthreads and its family: the whole block
void named_barrier(int id, int threads, Site);               // bar.sync id, threads
void grid_barrier(Site);                                     // cooperative launches only
enum class Scope { block, device };
void fence(Scope);                                           // __threadfence_block, __threadfence
void yield();                                                // __nanosleep

// The lanes of `mask` meet; the last to arrive runs `work` for all, on the arguments of the lanes that take part.
enum class WarpOperation { sync, shuffle, vote, match, reduce, ldmatrix, mma, group };
using WarpWork = void (*)(void* const* arguments, unsigned lanes);
void meet(WarpOperation, unsigned mask, void* argument, WarpWork, Site);
void warp_sync(unsigned mask, Site);                         // __syncwarp: orders memory, too
void shuffle(unsigned mask, const void* value, void* result, size_t size, int source_lane, Site);
unsigned ballot(unsigned mask, bool predicate, Site);
unsigned active_mask(Site);

// ---- memory --------------------------------------------------------------------------------------------------------
size_t shared_offset(const void*);                           // __cvta_generic_to_shared
void* shared_pointer(size_t offset);                         // __cvta_shared_to_generic
bool is_shared(const void*);
bool is_global(const void*);
void atomic_access(void* address, size_t size, Scope, void* pc);  // called before a read-modify-write
void observe(const void* address, size_t size, bool store, void* pc);  // an access by a twin
void async_copy(void* shared, const void* global, int size, int source_size);  // cp.async: zero-fills past source_size
void async_commit();
void async_wait(int pending_groups);                         // -1: everything, committed or not
unsigned dynamic_shared_size();
long long ticks();

// ---- whole-warp twins of PTX instructions --------------------------------------------------------------------------
void ldmatrix(unsigned* registers, int matrices, bool transposed, const void* row, Site);
void mma_m16n8k16_bf16(float* d, const unsigned* a, const unsigned* b, const float* c, Site);
void mma_m16n8k16_f16(float* d, const unsigned* a, const unsigned* b, const float* c, Site);
void mma_m16n8k8_tf32(float* d, const unsigned* a, const unsigned* b, const float* c, Site);

// ---- launch --------------------------------------------------------------------------------------------------------
struct Parameter {
  uint32_t size, alignment;
  uint8_t is_pointer, kind;                                  // kind of the value or pointee: 'f', 'i', 'u', 'b', 'V', 'v' (void)
  uint16_t value_size;                                       // bytes of the value or pointee, 0 for void
};
struct Kernel {
  void (*run)(void** arguments);                             // one thread
  const void* function;
  uint32_t parameters;
  Parameter parameter[64];
};

}  // namespace emu

// The call site of the user's code: the default arguments are evaluated there.
#define EMU_SITE ::emu::Site site = {__builtin_FILE(), __builtin_LINE()}
#define EMU_INLINE inline __attribute__((always_inline, artificial))
// For functions of the emulator that touch the user's memory themselves and report it themselves.
#define EMU_UNCHECKED __attribute__((noinline, no_sanitize("thread", "undefined")))
