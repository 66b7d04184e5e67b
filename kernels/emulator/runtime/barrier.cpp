// barrier.cpp -- barriers of a block (__syncthreads, bar.sync) and of the grid, fences.
#include <cstdio>

#include "state.h"

namespace emu {
namespace {

// Everyone the barrier waits for has arrived: they see each other's past and go on.
void release(Block& block, int id) {
  NamedBarrier& barrier = block.barriers[id];
  Arrivals arrivals = {0, 0};
  std::vector<uint32_t> threads;
  const Fiber* first = nullptr;
  for (Fiber& f : block.fibers) {
    if (f.status != Status::at_barrier || f.barrier != id) continue;
    if (!first) first = &f;
    if (f.site.line != first->site.line || f.site.file != first->site.file) {
      launch->fiber = &f;
      ErrorReport& report = begin_report(Failure::divergent_barrier, nullptr);
      snprintf(report.text, sizeof report.text, "thread (%u,%u,%u) waits at %s:%d, but thread (%u,%u,%u) at %s:%d", first->thread_idx.x, first->thread_idx.y,
               first->thread_idx.z, first->site.file, first->site.line, f.thread_idx.x, f.thread_idx.y, f.thread_idx.z, f.site.file, f.site.line);
      launch->failed = true;
      return;
    }
    arrivals.participants++;
    arrivals.nonzero += f.predicate != 0;
    threads.push_back(f.index);
  }
  if (launch->config.check && id == 0 && arrivals.participants < int(launch->threads) && barrier.expected == int(launch->threads)) {
    ErrorReport& report = begin_report(Failure::exited_before_barrier, nullptr);
    const Fiber* gone = nullptr;
    for (Fiber& f : block.fibers)
      if (f.status == Status::done && !gone) gone = &f;
    snprintf(report.text, sizeof report.text, "%u of %u threads have exited, first (%u,%u,%u); __syncthreads() at %s:%d is for all threads of the block",
             launch->threads - block.alive_count, launch->threads, gone->thread_idx.x, gone->thread_idx.y, gone->thread_idx.z, first->site.file, first->site.line);
    launch->failed = true;
    return;
  }
  for (uint32_t t : threads) {
    block.fibers[t].arrivals = arrivals;
    wake(block, block.fibers[t]);
  }
  barrier.arrived = 0;
  for (uint32_t w = 0; w < launch->warps; w++) launch->traffic.end_requests(w);
  if (!launch->config.check) return;
  if (id == 0) report_unwritten_load();
  if (threads.size() == launch->threads) block.clocks.block_barrier();
  else block.clocks.group_barrier(threads);
}

int participants_alive(const Block& block, int expected) { return expected == int(launch->threads) ? int(block.alive_count) : expected; }

Arrivals wait_at(int id, int expected, int predicate, Site site, void* pc) {
  Fiber& fiber = *launch->fiber;
  Block& block = *launch->block;
  settle_pending_store();
  NamedBarrier& barrier = block.barriers[id];
  if (barrier.arrived && barrier.expected != expected) {
    begin_report(Failure::bad_barrier, pc);
    snprintf(launch->error->text, sizeof launch->error->text, "barrier %d is used for %d threads and for %d", id, barrier.expected, expected);
    stop();
  }
  barrier.expected = expected;
  barrier.arrived++;
  fiber.site = site;
  fiber.barrier = id;
  fiber.predicate = predicate;
  fiber.status = Status::at_barrier;
  if (barrier.arrived == participants_alive(block, expected)) {
    release(block, id);
    suspend(launch->failed ? Status::at_barrier : Status::ready);  // who goes on first is for the schedule to say
  } else {
    suspend(Status::at_barrier);
  }
  return fiber.arrivals;
}

}  // namespace

Arrivals block_barrier(int predicate, Site site) { return wait_at(0, int(launch->threads), predicate, site, __builtin_return_address(0)); }

void named_barrier(int id, int threads, Site site) {
  void* pc = __builtin_return_address(0);
  if (id < 0 || id > 15 || threads < 1 || threads % 32 || threads > int(launch->threads)) {
    begin_report(Failure::bad_barrier, pc);
    snprintf(launch->error->text, sizeof launch->error->text, "barrier %d for %d threads: ids are 0 to 15, thread counts multiples of 32 up to the block's %u", id, threads,
             launch->threads);
    stop();
  }
  wait_at(id, threads, 0, site, pc);
}

void complete_barriers_after_exit() {
  Block& block = *launch->block;
  for (int id = 0; id < 16; id++) {
    NamedBarrier& barrier = block.barriers[id];
    if (barrier.arrived && barrier.arrived == participants_alive(block, barrier.expected)) release(block, id);
  }
}

void grid_barrier(Site site) {
  if (!launch->config.cooperative) {
    begin_report(Failure::unsupported, __builtin_return_address(0));
    snprintf(launch->error->text, sizeof launch->error->text, "grid.sync() needs a cooperative launch: enable_cooperative_groups=True");
    stop();
  }
  settle_pending_store();
  launch->fiber->site = site;
  suspend(Status::at_grid);
}

void fence(Scope scope) {
  settle_pending_store();
  if (launch->config.check) launch->block->clocks.fence(launch->fiber->index, scope);
}

}  // namespace emu
