// warp.cpp -- the meetings of a warp's lanes: __syncwarp, shuffles, votes, and whatever else a warp does as one.
#include <cstring>

#include "state.h"

namespace emu {
namespace {

bool same_meeting(const Fiber& a, const Fiber& b) {
  return a.operation == b.operation && a.mask == b.mask && a.site.line == b.site.line && a.site.file == b.site.file;
}

struct ShuffleArgument {
  const void* value;
  void* result;
  size_t size;
  int source;
};

void do_shuffle(void* const* arguments, unsigned lanes) {
  for (unsigned lane = 0; lane < 32; lane++) {
    if (!(lanes >> lane & 1)) continue;
    auto& a = *static_cast<ShuffleArgument*>(arguments[lane]);
    if (!(lanes >> a.source & 1)) {
      launch->fiber = &launch->block->fibers[launch->fiber->warp * 32 + lane];
      begin_report(Failure::inactive_lane, nullptr);
      snprintf(launch->error->text, sizeof launch->error->text, "%s:%d: lane %u reads lane %d, which does not take part (mask %08x)", launch->fiber->site.file,
               launch->fiber->site.line, lane, a.source, launch->fiber->mask);
      launch->failed = true;
      return;
    }
    memcpy(a.result, static_cast<ShuffleArgument*>(arguments[a.source])->value, a.size);
  }
}

struct BallotArgument {
  bool predicate;
  unsigned result;
};

void do_ballot(void* const* arguments, unsigned lanes) {
  unsigned result = 0;
  for (unsigned lane = 0; lane < 32; lane++)
    if (lanes >> lane & 1) result |= unsigned(static_cast<BallotArgument*>(arguments[lane])->predicate) << lane;
  for (unsigned lane = 0; lane < 32; lane++)
    if (lanes >> lane & 1) static_cast<BallotArgument*>(arguments[lane])->result = result;
}

}  // namespace

void meet(WarpOperation operation, unsigned mask, void* argument, WarpWork work, Site site) {
  Fiber& fiber = *launch->fiber;
  Block& block = *launch->block;
  settle_pending_store();
  if (!(mask >> fiber.lane & 1)) {
    begin_report(Failure::not_in_mask, nullptr);
    snprintf(launch->error->text, sizeof launch->error->text, "%s:%d: lane %u makes the call, but is not in its mask %08x", site.file, site.line, fiber.lane, mask);
    stop();
  }
  const bool whole_warp = operation == WarpOperation::ldmatrix || operation == WarpOperation::mma;
  if (whole_warp && block.alive[fiber.warp] != ~0u) {
    begin_report(Failure::incomplete_warp, nullptr);
    snprintf(launch->error->text, sizeof launch->error->text, "%s:%d: the instruction is for all 32 lanes, but only lanes %08x exist or have not exited", site.file, site.line,
             block.alive[fiber.warp]);
    stop();
  }
  fiber.operation = operation;
  fiber.mask = mask;
  fiber.argument = argument;
  fiber.site = site;
  fiber.status = Status::at_warp_operation;
  block.waiting[fiber.warp] |= 1u << fiber.lane;
  const unsigned lanes = mask & block.alive[fiber.warp];
  Fiber* warp = &block.fibers[fiber.warp * 32];
  bool complete = (lanes & ~block.waiting[fiber.warp]) == 0;
  for (unsigned lane = 0; complete && lane < 32; lane++) complete = !(lanes >> lane & 1) || same_meeting(warp[lane], fiber);
  if (!complete) {
    suspend(Status::at_warp_operation);
    return;
  }
  block.waiting[fiber.warp] &= ~lanes;
  // The last one to arrive does the work for all, and goes on.
  void* arguments[32] = {};
  for (unsigned lane = 0; lane < 32; lane++)
    if (lanes >> lane & 1) {
      arguments[lane] = warp[lane].argument;
      wake(block, warp[lane]);
    }
  if (lanes == block.alive[fiber.warp]) launch->traffic.end_requests(fiber.warp);
  if (work) work(arguments, lanes);
  if (launch->failed) stop();
  if (operation == WarpOperation::sync && launch->config.check) block.clocks.warp_sync(fiber.warp, lanes);
  launch->idle_slices = 0;
}

void warp_sync(unsigned mask, Site site) { meet(WarpOperation::sync, mask, nullptr, nullptr, site); }

void shuffle(unsigned mask, const void* value, void* result, size_t size, int source_lane, Site site) {
  ShuffleArgument argument = {value, result, size, source_lane};
  meet(WarpOperation::shuffle, mask, &argument, do_shuffle, site);
}

unsigned ballot(unsigned mask, bool predicate, Site site) {
  BallotArgument argument = {predicate, 0};
  meet(WarpOperation::vote, mask, &argument, do_ballot, site);
  return argument.result;
}

unsigned active_mask(Site site) {
  settle_pending_store();
  Fiber& fiber = *launch->fiber;
  fiber.site = site;
  suspend(Status::at_active_mask);
  return fiber.active;
}

}  // namespace emu
