// observer.cpp -- what the checks do with every load and store: bounds, initialisation, races, traffic.
#include <cstdio>
#include <cstring>

#include "state.h"

namespace emu {
namespace {

constexpr uintptr_t NULL_PAGE = 1 << 16;
constexpr uint32_t PATIENCE = 1 << 20;  // accesses after an unwritten load: its value may be the bound of a loop

void describe_access(ErrorReport& report, const Access& access) {
  report.address = access.address;
  report.size = access.size;
  report.store = access.store;
  report.atomic = access.atomic;
}

void out_of_bounds(const Access& access, void* pc) {
  const Block& block = *launch->block;
  ErrorReport& report = begin_report(access.address < NULL_PAGE ? Failure::null_pointer : Failure::out_of_bounds, pc);
  describe_access(report, access);
  if (block.shared.contains(access.address)) {
    report.variable = block.shared.nearest(access.address);
    if (report.variable >= 0) report.offset = int64_t(access.address - (launch->config.window_offset + block.shared.variables()[size_t(report.variable)].offset));
  } else if (const Region* near = launch->memory.nearest(access.address)) {
    report.region = near->id;
    report.offset = int64_t(access.address - near->base);
  }
  stop();
}

// The access conflicts with an earlier one.
void race(const Access& access, const Record& earlier, int region, int variable, int64_t offset, void* pc) {
  const auto& c = launch->config;
  const bool may_store_the_same = access.store && earlier.store && !access.atomic && !earlier.atomic && access.size <= sizeof launch->pending.before;
  ErrorReport saved = *launch->error;
  ErrorReport& report = begin_report(Failure::race, pc);
  describe_access(report, access);
  report.region = region;
  report.variable = variable;
  report.offset = offset;
  report.has_other = 1;
  const uint32_t b = earlier.block, t = earlier.thread;
  report.other_block[0] = b % c.grid[0], report.other_block[1] = b / c.grid[0] % c.grid[1], report.other_block[2] = b / (c.grid[0] * c.grid[1]);
  report.other_thread[0] = t % c.block[0], report.other_thread[1] = t / c.block[0] % c.block[1], report.other_thread[2] = t / (c.block[0] * c.block[1]);
  report.other_pc = earlier.pc;
  report.other_store = earlier.store;
  report.other_atomic = earlier.atomic;
  if (!may_store_the_same) stop();
  auto& pending = launch->pending;
  pending.valid = true;
  pending.address = access.address;
  pending.size = access.size;
  pending.load = nullptr;
  memcpy(pending.before, reinterpret_cast<void*>(access.address), access.size);
  pending.report = report;
  *launch->error = saved;
}

ErrorReport& begin_shared_report(Failure kind, const Access& access, int variable, int64_t offset, void* pc) {
  ErrorReport& report = begin_report(kind, pc);
  describe_access(report, access);
  report.variable = variable;
  report.offset = offset;
  return report;
}

// Whose asynchronous copy the access runs into.
void name_copy(ErrorReport& report, const Access& access) {
  for (const Fiber& f : launch->block->fibers)
    for (const AsyncCopy& copy : f.copies) {
      const uintptr_t first = reinterpret_cast<uintptr_t>(copy.shared);
      if (first >= access.address + access.size || access.address >= first + uintptr_t(copy.size)) continue;
      report.has_other = 1;
      report.other_block[0] = f.block_idx.x, report.other_block[1] = f.block_idx.y, report.other_block[2] = f.block_idx.z;
      report.other_thread[0] = f.thread_idx.x, report.other_thread[1] = f.thread_idx.y, report.other_thread[2] = f.thread_idx.z;
      report.other_pc = copy.pc;
    }
}

void check_shared(const Access& access, void* pc) {
  Block& block = *launch->block;
  SharedMemory& shared = block.shared;
  const int variable = shared.find(access.address, access.size);
  if (variable < 0) out_of_bounds(access, pc);
  const int64_t offset = int64_t(access.address - (launch->config.window_offset + shared.variables()[size_t(variable)].offset));
  uint8_t* state = shared.state(access.address);
  if (memchr(state, SharedMemory::in_flight, access.size)) {
    name_copy(begin_shared_report(Failure::copy_in_flight, access, variable, offset, pc), access);
    stop();
  }
  const bool reads = !access.store || access.atomic;
  if (reads && !launch->unwritten.valid && any_word_uninitialised(state, access.address, access.size))
    launch->unwritten = {true, PATIENCE, begin_shared_report(Failure::uninitialised, access, variable, offset, pc)};
  if (access.store) memset(state, SharedMemory::initialised, access.size);
  const uint32_t thread = launch->fiber->index;
  if (const Record* earlier = shared.words().note(access, block.clocks.stamp(thread), block.clocks)) race(access, *earlier, -1, variable, offset, pc);
}

void check_global(const Access& access, void* pc) {
  Region* region = launch->memory.find(access.address);
  if (!region || access.address + access.size > region->base + region->size) {
    // The module's own constants (string literals, tables the compiler made) have no name.
    if (!region && !access.store && access.address - launch->config.module_base < launch->config.module_size) return;
    out_of_bounds(access, pc);
  }
  const int64_t offset = int64_t(access.address - region->base);
  Failure wrong = Failure::none;
  if (access.store && !region->writable) wrong = Failure::read_only;
  else if (region->initialised && (!access.store || access.atomic)) {
    // Written by the host, if it no longer holds the pattern of fresh memory.
    const uint8_t* bytes = reinterpret_cast<const uint8_t*>(access.address);
    bool poison = true;
    for (uint32_t i = 0; i < access.size; i++) poison &= bytes[i] == SharedMemory::POISON;
    if (poison && any_word_uninitialised(region->initialised + offset, access.address, access.size)) wrong = Failure::uninitialised;
  }
  if (wrong != Failure::none) {
    ErrorReport& report = begin_report(wrong, pc);
    describe_access(report, access);
    report.region = region->id;
    report.offset = offset;
    stop();
  }
  if (access.store && region->initialised) memset(region->initialised + offset, 1, access.size);
  if (!region->words) region->words = std::make_unique<Words>(region->base, region->size, Words::Lifetime::launch);
  Block& block = *launch->block;
  if (const Record* earlier = region->words->note(access, block.clocks.stamp(launch->fiber->index), block.clocks)) race(access, *earlier, region->id, -1, offset, pc);
}

void count(const Access& access, bool shared) {
  const Fiber& f = *launch->fiber;
  Traffic kind = access.atomic ? Traffic::global_atomic : access.store ? Traffic::global_store : Traffic::global_load;
  uintptr_t address = access.address;
  if (shared) kind = Traffic(uint32_t(kind) + uint32_t(Traffic::shared_load) - uint32_t(Traffic::global_load));
  else if (const Region* region = launch->memory.find(address)) address += region->device_alignment - region->base;
  launch->traffic.add(f.warp, f.lane, kind, access.pc, address, access.size);
}

// threadIdx and the others.
bool is_builtin_variable(uintptr_t address) {
  const auto& fibers = launch->block->fibers;
  return address - reinterpret_cast<uintptr_t>(fibers.data()) < fibers.size() * sizeof(Fiber) || address == reinterpret_cast<uintptr_t>(&self);
}

Published& published_at(const void* address, bool shared) { return (shared ? launch->block->published : launch->published)[address]; }

}  // namespace

void settle_pending_store() {
  auto& pending = launch->pending;
  if (!pending.valid) return;
  pending.valid = false;
  if (memcmp(pending.before, reinterpret_cast<void*>(pending.address), pending.size) == 0) return;  // it stored what was there: harmless
  *launch->error = pending.report;
  launch->failed = true;
  if (launch->running_fiber) stop();
}

void report_unwritten_load() {
  if (!launch->unwritten.valid || launch->failed) return;
  *launch->error = launch->unwritten.report;
  launch->failed = true;
}

void observe_access(const void* p, size_t size, bool store, bool atomic, bool is_volatile, void* pc) {
  if (!launch || launch->failed) return;
  Fiber& fiber = *launch->fiber;
  Access access = {reinterpret_cast<uintptr_t>(p), uint32_t(size), store, atomic, 0};
  if (access.address - reinterpret_cast<uintptr_t>(fiber.stack) < Stacks::SIZE) return;  // its local memory
  if (is_builtin_variable(access.address)) return;
  // When one struct in memory is assigned to another, the compiler announces the store and then the load before it copies.
  auto& pending = launch->pending;
  if (pending.valid && !store && (!pending.load || pending.load == pc)) pending.load = pc;
  else settle_pending_store();
  if (launch->unwritten.valid && launch->unwritten.patience-- == 0) {
    report_unwritten_load();
    stop();
  }
  access.pc = module_pc(pc);
  const bool shared = launch->block->shared.contains(access.address);
  if (launch->config.count) count(access, shared);
  if (!launch->config.check) return;
  if (is_volatile && !shared) {
    // A volatile access of global memory is a flag between threads. (In shared memory it is the warp-synchronous style of
    // before Volta, which is a race today.)
    access.atomic = true;
    if (!store) preemption_point();
    BlockClocks& clocks = launch->block->clocks;
    if (store) clocks.release(fiber.index, launch->published[p]);
    else clocks.acquire(fiber.index, launch->published[p]);
  }
  if (shared) check_shared(access, pc);
  else check_global(access, pc);
}

void observe(const void* address, size_t size, bool store, void* pc) {
  if (launch->config.check || launch->config.count) observe_access(address, size, store, false, false, pc);
}

void atomic_access(void* address, size_t size, Scope, void* pc) {
  settle_pending_store();
  preemption_point();
  if (reinterpret_cast<uintptr_t>(address) % size) {
    ErrorReport& report = begin_report(Failure::misaligned, pc);
    report.address = reinterpret_cast<uintptr_t>(address);
    report.size = size;
    report.atomic = 1;
    stop();
  }
  if (launch->config.check) {
    Published& published = published_at(address, is_shared(address));
    launch->block->clocks.acquire(launch->fiber->index, published);
    launch->block->clocks.release(launch->fiber->index, published);
  }
  if (launch->config.check || launch->config.count) observe_access(address, size, true, true, false, pc);
}

}  // namespace emu
