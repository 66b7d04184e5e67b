// memory.h -- loads and stores with cache hints, address spaces, asynchronous copies through <cuda_pipeline.h>.
#pragma once

// The hint changes nothing here.
#define EMU_LOAD(NAME) \
  template <class T>   \
  EMU_INLINE T NAME(const T* p) { return *p; }
EMU_LOAD(__ldg)
EMU_LOAD(__ldca)
EMU_LOAD(__ldcg)
EMU_LOAD(__ldcs)
EMU_LOAD(__ldlu)
#undef EMU_LOAD
template <class T>
EMU_INLINE T __ldcv(const T* p) { return *static_cast<const volatile T*>(p); }
#define EMU_STORE(NAME) \
  template <class T>    \
  EMU_INLINE void NAME(T* p, std::common_type_t<T> value) { *p = value; }
EMU_STORE(__stwb)
EMU_STORE(__stcg)
EMU_STORE(__stcs)
#undef EMU_STORE
template <class T>
EMU_INLINE void __stwt(T* p, std::common_type_t<T> value) { *static_cast<volatile T*>(p) = value; }

EMU_INLINE size_t __cvta_generic_to_shared(const void* p) { return emu::shared_offset(p); }
EMU_INLINE void* __cvta_shared_to_generic(size_t offset) { return emu::shared_pointer(offset); }
EMU_INLINE size_t __cvta_generic_to_global(const void* p) { return reinterpret_cast<size_t>(p); }
EMU_INLINE void* __cvta_global_to_generic(size_t p) { return reinterpret_cast<void*>(p); }
EMU_INLINE unsigned __isShared(const void* p) { return emu::is_shared(p); }
EMU_INLINE unsigned __isGlobal(const void* p) { return emu::is_global(p); }
EMU_INLINE unsigned __isLocal(const void* p) { return !emu::is_shared(p) && !emu::is_global(p); }

EMU_INLINE long long clock64() { return emu::ticks(); }  // advances: emulated time means nothing else
