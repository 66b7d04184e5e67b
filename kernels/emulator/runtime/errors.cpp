// errors.cpp -- the report that a failed launch leaves for Python.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "state.h"

namespace emu {

// A return address lies just behind its call.
uint32_t module_pc(void* return_address) { return uint32_t(reinterpret_cast<uintptr_t>(return_address) - launch->config.module_base - 1); }

ErrorReport& begin_report(Failure kind, void* pc) {
  ErrorReport& report = *launch->error;
  memset(&report, 0, sizeof report);
  report.kind = int32_t(kind);
  report.region = report.variable = -1;
  if (pc) report.pc = module_pc(pc);
  const uint3 block = launch->block->index;
  report.block[0] = block.x, report.block[1] = block.y, report.block[2] = block.z;
  if (launch->fiber) {
    const uint3 thread = launch->fiber->thread_idx;
    report.thread[0] = thread.x, report.thread[1] = thread.y, report.thread[2] = thread.z;
  }
  return report;
}

void stop() {
  launch->failed = true;
  for (;;) switch_context(launch->fiber->context, launch->scheduler);
}

void fail(Failure kind, const char* format, ...) {
  if (launch->pending.valid) settle_pending_store();
  ErrorReport& report = begin_report(kind, __builtin_return_address(0));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(report.text, sizeof report.text, format, arguments);
  va_end(arguments);
  stop();
}

int print(const char* format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  const int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  launch->output += line;
  return length;
}

// Nobody can go on: who waits where.
void describe_waiting(char* text, size_t size) {
  size_t used = 0;
  auto write = [&](const char* format, auto... values) {
    if (used < size) used += size_t(snprintf(text + used, size - used, format, values...));
  };
  const Block& block = *launch->block;
  const Fiber* odd = nullptr;  // the report names a thread that waits for others of its warp
  int listed = 0;
  for (const Fiber& f : block.fibers) {
    if (f.status == Status::done) continue;
    if (f.status == Status::at_warp_operation && !odd) odd = &f;
    const Fiber* previous = f.index ? &block.fibers[f.index - 1] : nullptr;
    if (previous && previous->status == f.status && previous->site.line == f.site.line && previous->site.file == f.site.file) continue;
    if (++listed > 6) continue;
    write("%sthread (%u,%u,%u) ", listed > 1 ? "; " : "", f.thread_idx.x, f.thread_idx.y, f.thread_idx.z);
    if (f.status == Status::at_barrier) write("waits at the barrier at %s:%d", f.site.file, f.site.line);
    else if (f.status == Status::at_warp_operation) write("waits for lanes %08x at %s:%d", f.mask & block.alive[f.warp], f.site.file, f.site.line);
    else write("waits at %s:%d", f.site.file, f.site.line);
  }
  if (block.alive_count < launch->threads) write("; %u threads have exited", launch->threads - block.alive_count);
  if (odd) {
    launch->error->kind = int32_t(Failure::divergent_warp);
    launch->error->thread[0] = odd->thread_idx.x, launch->error->thread[1] = odd->thread_idx.y, launch->error->thread[2] = odd->thread_idx.z;
  }
}

}  // namespace emu
