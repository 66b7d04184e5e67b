// fiber.cpp -- context switches and the stacks of fibers.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

namespace emu {

#ifdef EMU_UCONTEXT

void prepare(Context& context, void* stack, size_t size, void (*entry)()) {
  getcontext(&context.registers);
  context.registers.uc_stack.ss_sp = stack;
  context.registers.uc_stack.ss_size = size;
  context.registers.uc_link = nullptr;
  makecontext(&context.registers, entry, 0);
}

void switch_context(Context& from, Context& to) { swapcontext(&from.registers, &to.registers); }

#else

// Saves the registers that a callee must preserve on the present stack, and takes them from the other one.
extern "C" void emu_switch_stack(void** save, void* resume) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
asm(R"(
  .text
  .hidden emu_switch_stack
  .globl emu_switch_stack
  .type emu_switch_stack, @function
emu_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emu_switch_stack, .-emu_switch_stack
)");

void prepare(Context& context, void* stack, size_t size, void (*entry)()) {
  void** top = reinterpret_cast<void**>(static_cast<char*>(stack) + size);
  *--top = nullptr;                            // keeps the stack 16-byte aligned at the entry, and ends backtraces
  *--top = reinterpret_cast<void*>(entry);     // `ret` goes there
  top -= 6;                                    // the six registers
  context.stack_pointer = top;
}
#else  // aarch64: x19-x30 and the low halves of v8-v15
asm(R"(
  .text
  .hidden emu_switch_stack
  .globl emu_switch_stack
  .type emu_switch_stack, %function
emu_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size emu_switch_stack, .-emu_switch_stack
)");

void prepare(Context& context, void* stack, size_t size, void (*entry)()) {
  uint64_t* top = reinterpret_cast<uint64_t*>(static_cast<char*>(stack) + size) - 20;
  for (int i = 0; i < 20; i++) top[i] = 0;
  top[11] = reinterpret_cast<uint64_t>(entry);  // x30, the link register: `ret` goes there
  context.stack_pointer = top;
}
#endif

void switch_context(Context& from, Context& to) { emu_switch_stack(&from.stack_pointer, to.stack_pointer); }

#endif

void Stacks::reserve(size_t count) {
  if (count <= count_) return;
  if (memory_) munmap(memory_, count_ * (SIZE + GUARD));
  const size_t bytes = count * (SIZE + GUARD);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  memory_ = nullptr;
  count_ = 0;
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  count_ = count;
  for (size_t i = 0; i < count; i++) mprotect(base(i) - GUARD, GUARD, PROT_NONE);
}

Stacks::~Stacks() {
  if (memory_) munmap(memory_, count_ * (SIZE + GUARD));
}

bool Stacks::is_guard(const void* address) const {
  const char* p = static_cast<const char*>(address);
  return memory_ && p >= memory_ && p < memory_ + count_ * (SIZE + GUARD) && size_t(p - memory_) % (SIZE + GUARD) < GUARD;
}

}  // namespace emu
