// atomics.h -- atomic functions. The fibers of a launch run one at a time, so the operation itself needs no care; the
// runtime is told first, and may let another thread run before it.
#pragma once

struct __half;  // complete once the source includes <cuda_fp16.h>, <cuda_bf16.h>
struct __half2;
struct __nv_bfloat16;
struct __nv_bfloat162;

namespace emu {

template <class T, class... Allowed>
constexpr bool is_one_of = (std::is_same_v<T, Allowed> || ...);
using ull = unsigned long long;

template <class T, class Update>
EMU_UNCHECKED T read_modify_write(T* address, Scope scope, Update update) {
  atomic_access(address, sizeof(T), scope, __builtin_return_address(0));
  T old;
  __builtin_memcpy(&old, address, sizeof old);  // a half type's own copying is a function, which would be observed
  const T next = update(old);
  __builtin_memcpy(address, &next, sizeof next);
  return old;
}

}  // namespace emu

// `NAME`, `NAME_block` and `NAME_system`, for the types that the hardware has it for. (uint64_t is not one of them on
// Linux: it is `unsigned long`, CUDA takes `unsigned long long`.)
#define EMU_ATOMIC_SCOPED(NAME, SCOPE, EXPRESSION, ...)                                                                \
  template <class T>                                                                                                   \
  EMU_INLINE T NAME(T* address, std::common_type_t<T> value) {                                                         \
    static_assert(emu::is_one_of<T, __VA_ARGS__>, #NAME " is not defined for this type");                              \
    return emu::read_modify_write(address, emu::Scope::SCOPE, [value](T old) -> T { return EXPRESSION; });             \
  }
#define EMU_ATOMIC(NAME, EXPRESSION, ...)                             \
  EMU_ATOMIC_SCOPED(NAME, device, EXPRESSION, __VA_ARGS__)            \
  EMU_ATOMIC_SCOPED(NAME##_block, block, EXPRESSION, __VA_ARGS__)     \
  EMU_ATOMIC_SCOPED(NAME##_system, device, EXPRESSION, __VA_ARGS__)

EMU_ATOMIC(atomicAdd, T(old + value), int, unsigned, emu::ull, float, double, __half, __half2, __nv_bfloat16, __nv_bfloat162)
EMU_ATOMIC(atomicSub, T(old - value), int, unsigned)
EMU_ATOMIC(atomicExch, value, int, unsigned, emu::ull, float)
EMU_ATOMIC(atomicMin, old < value ? old : value, int, unsigned, long long, emu::ull)
EMU_ATOMIC(atomicMax, old > value ? old : value, int, unsigned, long long, emu::ull)
EMU_ATOMIC(atomicInc, old >= value ? 0 : old + 1, unsigned)
EMU_ATOMIC(atomicDec, old == 0 || old > value ? value : old - 1, unsigned)
EMU_ATOMIC(atomicAnd, old & value, int, unsigned, emu::ull)
EMU_ATOMIC(atomicOr, old | value, int, unsigned, emu::ull)
EMU_ATOMIC(atomicXor, old ^ value, int, unsigned, emu::ull)

#define EMU_CAS(NAME, SCOPE)                                                                                          \
  template <class T>                                                                                                  \
  EMU_INLINE T NAME(T* address, std::common_type_t<T> compare, std::common_type_t<T> value) {                         \
    static_assert(emu::is_one_of<T, int, unsigned, emu::ull, unsigned short>, #NAME " is not defined for this type"); \
    return emu::read_modify_write(address, emu::Scope::SCOPE, [=](T old) -> T { return old == compare ? value : old; }); \
  }
EMU_CAS(atomicCAS, device)
EMU_CAS(atomicCAS_block, block)
EMU_CAS(atomicCAS_system, device)
#undef EMU_CAS
#undef EMU_ATOMIC
#undef EMU_ATOMIC_SCOPED
