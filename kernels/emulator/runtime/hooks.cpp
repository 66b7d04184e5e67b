// hooks.cpp -- the calls that g++ -fsanitize=thread,alignment,bounds,... puts into a module compiled for checking.
//
// No sanitizer runtime is linked: these are the functions its instrumentation expects.
#include <cstring>

#include "state.h"

using namespace emu;

namespace {

// A struct without the alignment of a vector type: a GPU loads it word by word.
void observe_words(void* p, size_t size, bool store, bool is_volatile, void* pc) {
  const size_t word = size % 4 == 0 && reinterpret_cast<uintptr_t>(p) % 4 == 0 ? 4 : 1;
  for (size_t i = 0; i < size; i += word) observe_access(static_cast<char*>(p) + i, word, store, false, is_volatile, pc);
}

}  // namespace

extern "C" {

#define EMU_HOOKS(n)                                                                                                                             \
  void __tsan_read##n(void* p) { observe_access(p, n, false, false, false, __builtin_return_address(0)); }                                       \
  void __tsan_write##n(void* p) { observe_access(p, n, true, false, false, __builtin_return_address(0)); }                                       \
  void __tsan_unaligned_read##n(void* p) { observe_words(p, n, false, false, __builtin_return_address(0)); }                             \
  void __tsan_unaligned_write##n(void* p) { observe_words(p, n, true, false, __builtin_return_address(0)); }                             \
  void __tsan_volatile_read##n(void* p) { observe_access(p, n, false, false, true, __builtin_return_address(0)); }                               \
  void __tsan_volatile_write##n(void* p) { observe_access(p, n, true, false, true, __builtin_return_address(0)); }                               \
  void __tsan_unaligned_volatile_read##n(void* p) { observe_words(p, n, false, true, __builtin_return_address(0)); }                     \
  void __tsan_unaligned_volatile_write##n(void* p) { observe_words(p, n, true, true, __builtin_return_address(0)); }
EMU_HOOKS(1)
EMU_HOOKS(2)
EMU_HOOKS(4)
EMU_HOOKS(8)
EMU_HOOKS(16)
#undef EMU_HOOKS

// Copies of large structs.
void __tsan_read_range(void* p, size_t n) { observe_words(p, n, false, false, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t n) { observe_words(p, n, true, false, __builtin_return_address(0)); }

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

// Explicit calls in device code: compiler.py renames them in its object file.
void* emu_memcpy(void* to, const void* from, size_t n) {
  observe_words(const_cast<void*>(from), n, false, false, __builtin_return_address(0));
  observe_words(to, n, true, false, __builtin_return_address(0));
  return memcpy(to, from, n);
}
void* emu_memmove(void* to, const void* from, size_t n) {
  observe_words(const_cast<void*>(from), n, false, false, __builtin_return_address(0));
  observe_words(to, n, true, false, __builtin_return_address(0));
  return memmove(to, from, n);
}
void* emu_memset(void* to, int value, size_t n) {
  observe_words(to, n, true, false, __builtin_return_address(0));
  return memset(to, value, n);
}

// ---- undefined behaviour: the layouts are those of g++'s calls -----------------------------------------------------
struct SourceLocation {
  const char* file;
  uint32_t line, column;
};
struct TypeDescriptor {
  uint16_t kind, info;
  char name[1];
};
struct TypeMismatch {
  SourceLocation location;
  const TypeDescriptor* type;
  uint8_t log_alignment, kind;
};
struct OutOfBounds {
  SourceLocation location;
  const TypeDescriptor *array, *index;
};
struct Overflow {
  SourceLocation location;
  const TypeDescriptor* type;
};

void __ubsan_handle_type_mismatch_v1(TypeMismatch* data, uintptr_t address) {
  if (!launch || launch->failed) return;
  ErrorReport& report = begin_report(Failure::misaligned, __builtin_return_address(0));
  report.address = address;
  report.size = 1u << data->log_alignment;
  report.store = data->kind == 1;
  snprintf(report.text, sizeof report.text, "%s", data->type->name);
  if (const Region* region = launch->memory.find(address)) {
    report.region = region->id;
    report.offset = int64_t(address - region->base);
  } else if (launch->block->shared.contains(address)) {
    report.variable = launch->block->shared.nearest(address);
    if (report.variable >= 0) report.offset = int64_t(address - launch->config.window_offset - launch->block->shared.variables()[size_t(report.variable)].offset);
  }
  stop();
}

void __ubsan_handle_out_of_bounds(OutOfBounds* data, uintptr_t index) {
  if (!launch || launch->failed) return;
  ErrorReport& report = begin_report(Failure::array_index, __builtin_return_address(0));
  snprintf(report.text, sizeof report.text, "index %lld of an array %s", static_cast<long long>(index), data->array->name);
  stop();
}

void __ubsan_handle_divrem_overflow(Overflow*, uintptr_t, uintptr_t) {
  if (!launch || launch->failed) return;
  begin_report(Failure::division_by_zero, __builtin_return_address(0));
  stop();
}

void __ubsan_handle_shift_out_of_bounds(OutOfBounds* data, uintptr_t, uintptr_t exponent) {
  if (!launch || launch->failed) return;
  ErrorReport& report = begin_report(Failure::shift, __builtin_return_address(0));
  snprintf(report.text, sizeof report.text, "%s shifted by %lld", data->array->name, static_cast<long long>(exponent));
  stop();
}

// What <assert.h> calls.
void __assert_fail(const char* expression, const char* file, unsigned line, const char*) {
  if (!launch) abort();
  settle_pending_store();
  begin_report(Failure::assertion, __builtin_return_address(0));
  snprintf(launch->error->text, sizeof launch->error->text, "%s:%u: `%s`", file, line, expression);
  stop();
}

}  // extern "C"
