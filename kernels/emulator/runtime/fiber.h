// fiber.h -- a second (third, ...) flow of control on one operating-system thread.
#pragma once
#include <cstddef>

#if !defined(EMU_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define EMU_UCONTEXT 1  // no hand-written switch for this machine: ten times slower, works everywhere
#endif
#ifdef EMU_UCONTEXT
#include <ucontext.h>
#endif

namespace emu {

#ifdef EMU_UCONTEXT
struct Context {
  ucontext_t registers;
};
#else
struct Context {
  void* stack_pointer;  // everything else that a call must preserve lies on the stack
};
#endif

// `entry` runs at the first switch to `context`; it must never return.
void prepare(Context& context, void* stack, size_t size, void (*entry)());
void switch_context(Context& from, Context& to);

// Stacks of one size, each above a guard page: an overflow is a fault, not corruption.
class Stacks {
 public:
  static constexpr size_t SIZE = 128 << 10, GUARD = 4 << 10;
  ~Stacks();
  void reserve(size_t count);
  char* base(size_t i) const { return memory_ + i * (SIZE + GUARD) + GUARD; }
  bool is_guard(const void* address) const;

 private:
  char* memory_ = nullptr;
  size_t count_ = 0;
};

}  // namespace emu
