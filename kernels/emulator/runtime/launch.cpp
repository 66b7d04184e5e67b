// launch.cpp -- the functions that Python calls.
#include <link.h>

#include <cstdio>
#include <cstring>

#include "state.h"

using namespace emu;

namespace {

thread_local std::unique_ptr<Launch> storage;  // one for each operating-system thread that launches kernels

// Where this module and its thread-local segment (the shared window) lie.
int find_module(dl_phdr_info* info, size_t, void* data) {
  auto& c = *static_cast<LaunchConfiguration*>(data);
  const uintptr_t inside = reinterpret_cast<uintptr_t>(&find_module);
  bool here = false;
  uintptr_t end = 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type == PT_TLS) c.window_size = segment.p_memsz;
    if (segment.p_type != PT_LOAD) continue;
    end = info->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    here |= inside - (info->dlpi_addr + segment.p_vaddr) < segment.p_memsz;
  }
  if (!here) return 0;
  c.module_base = info->dlpi_addr;
  c.module_size = end - info->dlpi_addr;
  c.window_offset = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
  return 1;
}

}  // namespace

#define EMU_API extern "C" __attribute__((visibility("default")))

EMU_API int emu_launch(const Kernel* kernel, void** arguments, const LaunchConfiguration* configuration, ErrorReport* error) {
  memset(error, 0, sizeof *error);
  error->region = error->variable = -1;
  if (!storage) storage = std::make_unique<Launch>();
  Launch& l = *storage;
  l.config = *configuration;
  self = nullptr;  // touches the thread-local segment, which is allocated lazily
  dl_iterate_phdr(find_module, &l.config);
  l.kernel = kernel;
  l.arguments = arguments;
  l.error = error;
  l.failed = l.preempted = l.spun = l.running_fiber = l.pending.valid = l.unwritten.valid = l.interrupted = false;
  l.fiber = nullptr;
  l.idle_slices = 0;
  l.output.clear();
  l.published.clear();
  l.traffic.clear();
  l.threads = l.config.block[0] * l.config.block[1] * l.config.block[2];
  l.warps = (l.threads + 31) / 32;
  l.schedule.start(l.config.seed, l.config.choices, l.config.choice_count, l.config.replaying, l.config.recording);
  l.memory.start(l.config.regions, l.config.region_count);
  FaultHandlers handlers;
  if (sigsetjmp(l.fault, 1) == 0) {
    launch = &l;
    run_grid();
  }
  // A later failure is likely to come of the value that was never written; a race on it is its cause.
  const bool cause = error->kind == int(Failure::race) && error->variable == l.unwritten.report.variable;
  if (l.failed && l.unwritten.valid && !cause) *error = l.unwritten.report;
  launch = nullptr;
  self = nullptr;
  l.blocks.clear();
  return l.failed;
}

// Gives back the memory that this operating-system thread's next launch would use again: stacks above all.
EMU_API void emu_release() { storage.reset(); }

EMU_API size_t emu_output(const char** text) {
  *text = storage->output.data();
  return storage->output.size();
}

EMU_API size_t emu_traffic(const TrafficRow** rows) {
  *rows = storage->traffic.rows().data();
  return storage->traffic.rows().size();
}

EMU_API size_t emu_choices(const Choice** choices) {
  *choices = storage->schedule.made().data();
  return storage->schedule.made().size();
}

EMU_API size_t emu_base() {
  LaunchConfiguration c = {};
  dl_iterate_phdr(find_module, &c);
  return c.module_base;
}
