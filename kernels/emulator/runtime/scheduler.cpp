// scheduler.cpp -- runs the grid: one block after another, each warp as far as it can go.
//
// Running far ahead shows more mistakes than taking turns: a warp that needs no barrier to be right is never held up by
// one, so it overtakes the others by as much as the program lets it.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "state.h"

namespace emu {

thread_local Launch* launch = nullptr;
thread_local const Thread* self = nullptr;

namespace {

constexpr uint32_t LANE_ORDERS = 16, BLOCK_ORDERS = 16;
constexpr uint32_t BLOCK_ORDER_KEY = UINT32_MAX;           // the decision about the order of blocks belongs to no block
constexpr uint32_t SPIN_LIMIT = 64;                        // atomics of one thread before others get a turn
constexpr uint64_t LIVELOCK_LIMIT = 1u << 20;              // turns without progress before the launch is given up

// Choice 0: ascending; the last: descending; between them: shuffled.
void make_order(std::vector<uint32_t>& order, uint32_t n, uint32_t choice, uint32_t choices, uint64_t salt) {
  order.resize(n);
  std::iota(order.begin(), order.end(), 0);
  if (choice == choices - 1) std::reverse(order.begin(), order.end());
  else if (choice)
    for (uint32_t i = n; i > 1; i--) std::swap(order[i - 1], order[launch->schedule.hash(salt + choice * 0x10001ull + i) % i]);
}

void fiber_entry() {
  for (;;) {
    launch->kernel->run(launch->arguments);
    thread_exits();
    suspend(Status::done);
  }
}

// A thread has a stack from its first instruction to its last: threads that never wait all run on the same one.
void resume(Fiber& fiber) {
  if (!fiber.stack) {
    fiber.stack = launch->block->free_stacks.back();
    launch->block->free_stacks.pop_back();
    prepare(fiber.context, fiber.stack, Stacks::SIZE, fiber_entry);
  }
  launch->fiber = &fiber;
  self = &fiber;
  fiber.atomics = 0;
  launch->running_fiber = true;
  switch_context(launch->scheduler, fiber.context);
  launch->running_fiber = false;
  if (fiber.status == Status::done) {
    launch->block->free_stacks.push_back(fiber.stack);
    fiber.stack = nullptr;
  }
  if (!launch->failed) settle_pending_store();
}

// Until no lane can go on, or a lane was preempted and every lane had a turn since.
void run_warp(Block& block, uint32_t warp) {
  std::vector<uint32_t>& lanes = launch->lane_order;
  make_order(lanes, std::min(32u, launch->threads - warp * 32), choose(Decision::lane_order, LANE_ORDERS), LANE_ORDERS, block.decisions);
  for (bool ran = true; ran && block.ready[warp];) {
    ran = launch->preempted = false;
    for (uint32_t lane : lanes) {
      Fiber& fiber = block.fibers[warp * 32 + lane];
      if (!(block.ready[warp] >> lane & 1)) continue;
      ran = true;
      resume(fiber);
      if (launch->failed) return;
    }
    if (launch->preempted) return;
  }
}

// Lanes that ask for the active mask and can go no further converge there: the compiler would have reconverged them.
bool release_active_mask(Block& block) {
  for (uint32_t warp = 0; warp < launch->warps; warp++) {
    unsigned together = 0;
    Site site = {nullptr, 0};
    for (uint32_t lane = 0; lane < 32 && warp * 32 + lane < launch->threads; lane++) {
      Fiber& f = block.fibers[warp * 32 + lane];
      if (f.status != Status::at_active_mask) continue;
      if (!site.file) site = f.site;
      if (f.site.line == site.line && f.site.file == site.file) together |= 1u << lane;
    }
    if (!together) continue;
    // Any subset is a legal answer. Every schedule but the default tries some.
    if (uint32_t subset = choose(Decision::converge, 4)) {
      const unsigned some = together & unsigned(launch->schedule.hash(block.decisions * 4 + subset));
      if (some) together = some;
    }
    for (uint32_t lane = 0; lane < 32; lane++)
      if (together >> lane & 1) {
        block.fibers[warp * 32 + lane].active = together;
        wake(block, block.fibers[warp * 32 + lane]);
      }
    return true;
  }
  return false;
}

bool waits_for_grid(const Block& block) {
  return std::any_of(block.fibers.begin(), block.fibers.end(), [](const Fiber& f) { return f.status == Status::at_grid; });
}

void save_shared(Block& block) {
  size_t size = 0;
  for (auto& v : block.shared.variables()) size += v.size;
  block.saved_shared.resize(size);
  char* to = block.saved_shared.data();
  for (auto& v : block.shared.variables()) memcpy(to, block.shared.window() + v.offset, v.size), to += v.size;
}

void restore_shared(Block& block) {
  const char* from = block.saved_shared.data();
  for (auto& v : block.shared.variables()) memcpy(block.shared.window() + v.offset, from, v.size), from += v.size;
}

void start_block(Block& block, uint32_t number, uint32_t first_stack) {
  const auto& c = launch->config;
  block.number = number;
  block.index = {number % c.grid[0], number / c.grid[0] % c.grid[1], number / (c.grid[0] * c.grid[1])};
  block.alive_count = launch->threads;
  block.alive.assign(launch->warps, ~0u);
  if (launch->threads % 32) block.alive.back() = (1u << launch->threads % 32) - 1;
  block.ready = block.alive;
  block.waiting.assign(launch->warps, 0);
  block.free_stacks.clear();
  for (uint32_t i = launch->threads; i-- > 0;) block.free_stacks.push_back(launch->stacks.base(first_stack + i));
  for (auto& b : block.barriers) b = {};
  block.decisions = block.next_warp = 0;
  if (c.check) block.clocks.start(number, launch->threads);
  block.shared.start_block();
  block.published.clear();
  block.fibers.resize(launch->threads);
  for (uint32_t i = 0; i < launch->threads; i++) {
    Fiber& f = block.fibers[i];
    f.index = i;
    f.thread_idx = {i % c.block[0], i / c.block[0] % c.block[1], i / (c.block[0] * c.block[1])};
    f.block_idx = block.index;
    f.block_dim = {c.block[0], c.block[1], c.block[2]};
    f.grid_dim = {c.grid[0], c.grid[1], c.grid[2]};
    f.lane = i % 32;
    f.warp = i / 32;
    f.status = Status::ready;
    f.copies.clear();
    f.copy_group = 0;
    f.stack = nullptr;
  }
}

// Until every thread has exited or waits for the grid.
void run_block(Block& block) {
  launch->block = &block;
  while (block.alive_count && !launch->failed) {
    if (launch->interrupted) {
      begin_report(Failure::interrupted, nullptr);
      launch->failed = true;
      return;
    }
    std::vector<uint32_t>& runnable = launch->runnable;  // in cyclic order: after a warp stops, the next one is the default
    runnable.clear();
    for (uint32_t i = 0; i < launch->warps; i++) {
      const uint32_t warp = (block.next_warp + i) % launch->warps;
      if (block.ready[warp]) runnable.push_back(warp);
    }
    if (!runnable.empty()) {
      // After a thread has spun in vain it is the next one's turn, or the one it waits for might never be chosen.
      const uint32_t warp = runnable[launch->spun ? 0 : choose(Decision::next_warp, uint32_t(runnable.size()))];
      launch->spun = false;
      run_warp(block, warp);
      block.next_warp = warp + 1;
      if (launch->config.cooperative && launch->preempted) return;  // a spinning thread may wait for another block
    } else if (!release_active_mask(block)) {
      if (waits_for_grid(block)) return;
      begin_report(Failure::deadlock, nullptr);
      describe_waiting(launch->error->text, sizeof launch->error->text);
      launch->failed = true;
    }
  }
}

void run_one_after_another(const std::vector<uint32_t>& order) {
  Block& block = *launch->blocks[0];
  launch->stacks.reserve(launch->threads);
  for (uint32_t number : order) {
    start_block(block, number, 0);
    run_block(block);
    report_unwritten_load();
    launch->traffic.end_all_requests();
    if (launch->failed) return;
  }
}

// All blocks are resident: they take turns, each with its own contents of shared memory.
void run_together(const std::vector<uint32_t>& order) {
  launch->stacks.reserve(size_t(launch->threads) * order.size());
  for (uint32_t number : order) {
    start_block(*launch->blocks[number], number, number * launch->threads);
    save_shared(*launch->blocks[number]);
  }
  for (bool any = true; any && !launch->failed;) {
    any = false;
    uint32_t waiting = 0, alive = 0;
    for (uint32_t number : order) {
      Block& block = *launch->blocks[number];
      if (!block.alive_count) continue;
      any = true;
      restore_shared(block);
      run_block(block);
      report_unwritten_load();
      if (launch->failed) return;
      save_shared(block);
      alive += block.alive_count;
      for (auto& f : block.fibers) waiting += f.status == Status::at_grid;
    }
    if (!waiting || waiting < alive) continue;
    if (alive < launch->threads * order.size()) {
      begin_report(Failure::exited_before_barrier, nullptr);
      snprintf(launch->error->text, sizeof launch->error->text, "grid.sync() is never reached by threads that have exited");
      launch->failed = true;
      return;
    }
    launch->memory.forget_accesses();  // everything before the grid barrier is ordered before everything after it
    for (auto& block : launch->blocks) {
      block->clocks.block_barrier();
      for (auto& f : block->fibers) wake(*block, f);
    }
    launch->idle_slices = 0;
  }
}

}  // namespace

uint32_t choose(Decision decision, uint32_t options) {
  Block& block = *launch->block;
  return launch->schedule.choose(decision, block.number, block.decisions++, options);
}

void run_grid() {
  const auto& c = launch->config;
  const uint32_t count = c.grid[0] * c.grid[1] * c.grid[2];
  std::vector<uint32_t>& order = launch->block_order;
  make_order(order, count, launch->schedule.choose(Decision::block_order, BLOCK_ORDER_KEY, 0, BLOCK_ORDERS), BLOCK_ORDERS, 7);
  launch->blocks.resize(c.cooperative ? count : 1);
  for (auto& block : launch->blocks) {
    block = std::make_unique<Block>();
    block->shared.start(reinterpret_cast<char*>(c.window_offset), c.window_size, c.variables, c.variable_count, c.check);
  }
  launch->block = launch->blocks[0].get();
  if (c.cooperative) run_together(order);
  else run_one_after_another(order);
  launch->traffic.end_all_requests();
}

void suspend(Status status) {
  Fiber& fiber = *launch->fiber;
  if (status != Status::ready) launch->idle_slices = 0;
  else if (++launch->idle_slices > LIVELOCK_LIMIT) {
    fail(Failure::livelock,
         "threads spin on atomics and none makes progress. Blocks run one after another here, as they may on a GPU: a block must not wait for "
         "one that has not started (launch with cooperative=True if the kernel needs all blocks to be resident)");
  }
  fiber.status = status;
  if (status != Status::ready) launch->block->ready[fiber.warp] &= ~(1u << fiber.lane);
  switch_context(fiber.context, launch->scheduler);
}

void preemption_point() {
  const bool spinning = ++launch->fiber->atomics >= SPIN_LIMIT;
  if (!spinning && !choose(Decision::preempt, 2)) return;
  launch->preempted = true;
  launch->spun = spinning;
  suspend(Status::ready);
}

void yield() {
  launch->preempted = launch->spun = true;
  suspend(Status::ready);
}

void thread_exits() {
  Fiber& fiber = *launch->fiber;
  Block& block = *launch->block;
  settle_pending_store();
  if (!fiber.copies.empty() && launch->config.check) {
    ErrorReport& report = begin_report(Failure::copy_never_awaited, nullptr);
    report.pc = fiber.copies.front().pc;
    snprintf(report.text, sizeof report.text, "the thread exits with %zu asynchronous copies that it never waited for", fiber.copies.size());
    stop();
  }
  block.alive[fiber.warp] &= ~(1u << fiber.lane);
  block.alive_count--;
  fiber.status = Status::done;
  complete_barriers_after_exit();
}

}  // namespace emu
