// async_copy.cpp -- cp.async: copies from global to shared memory that land at the latest when their thread waits.
//
// Here they land exactly then, and until then the destination holds NaN: what reads too early is wrong for sure.
#include <cstring>

#include "state.h"

namespace emu {
namespace {

void mark(const AsyncCopy& copy, SharedMemory::State state) {
  if (launch->config.check) memset(launch->block->shared.state(reinterpret_cast<uintptr_t>(copy.shared)), state, size_t(copy.size));
}

void land(const AsyncCopy& copy) {
  void* pc = reinterpret_cast<void*>(launch->config.module_base + copy.pc + 1);  // again a return address
  if (launch->config.check) {
    mark(copy, SharedMemory::initialised);
    if (copy.source_size) observe_access(copy.global, size_t(copy.source_size), false, false, false, pc);
    observe_access(copy.shared, size_t(copy.size), true, false, false, pc);
  }
  memcpy(copy.shared, copy.global, size_t(copy.source_size));
  memset(copy.shared + copy.source_size, 0, size_t(copy.size - copy.source_size));
}

void count(const void* address, Traffic kind, int size, void* pc) {
  const Fiber& f = *launch->fiber;
  launch->traffic.add(f.warp, f.lane, kind, module_pc(pc), reinterpret_cast<uintptr_t>(address), uint32_t(size));
}

}  // namespace

void async_copy(void* shared, const void* global, int size, int source_size) {
  void* pc = __builtin_return_address(0);
  Fiber& fiber = *launch->fiber;
  settle_pending_store();
  const bool bad_size = size != 4 && size != 8 && size != 16;
  if (bad_size || source_size < 0 || source_size > size || !launch->block->shared.contains(reinterpret_cast<uintptr_t>(shared))) {
    begin_report(Failure::invalid_async_copy, pc);
    snprintf(launch->error->text, sizeof launch->error->text, "asynchronous copy of %d of %d bytes to %s memory: sizes are 4, 8 or 16, the destination is shared memory", source_size,
             size, launch->block->shared.contains(reinterpret_cast<uintptr_t>(shared)) ? "shared" : "non-shared");
    stop();
  }
  const uintptr_t unaligned = (reinterpret_cast<uintptr_t>(shared) | (source_size ? reinterpret_cast<uintptr_t>(global) : 0)) % uintptr_t(size);
  if (unaligned) {
    ErrorReport& report = begin_report(Failure::misaligned, pc);
    report.address = reinterpret_cast<uintptr_t>(reinterpret_cast<uintptr_t>(shared) % uintptr_t(size) ? shared : global);
    report.size = uint64_t(size);
    stop();
  }
  AsyncCopy copy = {static_cast<char*>(shared), static_cast<const char*>(global), size, source_size, fiber.copy_group, module_pc(pc)};
  if (launch->config.check) {
    // The source is read and the destination written at some time from now on.
    if (source_size) observe_access(global, size_t(source_size), false, false, false, pc);
    observe_access(shared, size_t(size), true, false, false, pc);
    mark(copy, SharedMemory::in_flight);
  }
  if (launch->config.count) {
    if (source_size) {
      Region* region = launch->memory.find(reinterpret_cast<uintptr_t>(global));
      const uintptr_t shift = region ? region->device_alignment - region->base : 0;
      count(static_cast<const char*>(global) + shift, Traffic::copy_read, size, pc);
    }
    count(shared, Traffic::copy_write, size, pc);
  }
  memset(shared, SharedMemory::POISON, size_t(size));
  fiber.copies.push_back(copy);
}

void async_commit() { launch->fiber->copy_group++; }

void async_wait(int pending_groups) {
  Fiber& fiber = *launch->fiber;
  settle_pending_store();
  if (pending_groups < 0) {
    pending_groups = 0;
    fiber.copy_group++;
  }
  size_t kept = 0;
  for (size_t i = 0; i < fiber.copies.size(); i++) {
    const AsyncCopy copy = fiber.copies[i];
    if (copy.group < fiber.copy_group - pending_groups) land(copy);
    else fiber.copies[kept++] = copy;
  }
  fiber.copies.resize(kept);
}

size_t shared_offset(const void* p) { return reinterpret_cast<uintptr_t>(p) - launch->config.window_offset; }
void* shared_pointer(size_t offset) { return reinterpret_cast<void*>(launch->config.window_offset + offset); }
bool is_shared(const void* p) { return launch->block->shared.contains(reinterpret_cast<uintptr_t>(p)); }
bool is_global(const void* p) {
  const uintptr_t from_stack = reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(launch->stacks.base(0));
  return !is_shared(p) && from_stack >= (Stacks::SIZE + Stacks::GUARD) * launch->threads;
}
long long ticks() {
  static thread_local long long now = 0;
  return ++now;
}
unsigned dynamic_shared_size() { return unsigned(launch->config.dynamic_shared); }

}  // namespace emu
