// clocks.cpp -- see clocks.h.
#include "clocks.h"

#include <algorithm>

namespace emu {
namespace {

KnowledgePointer merged(const KnowledgePointer& a, const KnowledgePointer& b) {
  if (!a || a == b) return b;
  if (!b) return a;
  auto sum = std::make_shared<Knowledge>(*a);
  sum->join(*b);
  return sum;
}

// The union of `all`, given to everyone.
void share(std::vector<KnowledgePointer>& all, const std::vector<uint32_t>& threads) {
  KnowledgePointer sum;
  for (uint32_t t : threads)
    if (all[t] != sum) sum = merged(sum, all[t]);
  for (uint32_t t : threads) all[t] = sum;
}

}  // namespace

bool Knowledge::covers(const Stamp& access) const {
  auto found = seen_.find(access.block);
  return found != seen_.end() && access.clock <= (*found->second)[access.thread];
}

void Knowledge::join(uint32_t block, Clocks clocks) {
  auto& mine = seen_[block];
  if (mine)
    for (size_t i = 0; i < clocks.size(); i++) clocks[i] = std::max(clocks[i], (*mine)[i]);
  mine = std::make_shared<const Clocks>(std::move(clocks));
}

void Knowledge::join(const Knowledge& other) {
  for (auto& [block, clocks] : other.seen_) {
    auto& mine = seen_[block];
    if (!mine) mine = clocks;
    else if (mine != clocks) join(block, *clocks);
  }
}

void BlockClocks::start(uint32_t block, uint32_t threads) {
  block_ = block;
  clock_.assign(threads, 1);
  at_barrier_.assign(threads, 0);
  lane_clocks_.assign(threads, {});
  knowledge_.assign(threads, nullptr);
  for (auto& f : fenced_) f.assign(threads, nullptr);
  any_knowledge_ = any_fence_ = false;
}

bool BlockClocks::seen(const Stamp& access, uint32_t by) const {
  if (access.block == block_) {
    if (access.thread == by || access.clock <= at_barrier_[access.thread]) return true;
    if (access.thread / 32 == by / 32 && access.clock <= lane_clocks_[by][access.thread % 32]) return true;
  }
  return knowledge_[by] && knowledge_[by]->covers(access);
}

void BlockClocks::block_barrier() {
  at_barrier_ = clock_;
  for (auto& c : clock_) c++;
  if (!any_knowledge_ && !any_fence_) return;
  std::vector<uint32_t> everyone(clock_.size());
  for (uint32_t t = 0; t < everyone.size(); t++) everyone[t] = t;
  if (any_knowledge_) share(knowledge_, everyone);
  // Fence by each thread, barrier, atomic by thread 0: 0's atomic publishes what all of them fenced.
  if (any_fence_)
    for (auto& f : fenced_) share(f, everyone);
  any_fence_ = false;
}

void BlockClocks::warp_sync(uint32_t warp, unsigned lanes) {
  std::array<uint32_t, 32> row{};
  std::vector<uint32_t> threads;
  for (uint32_t lane = 0; lane < 32; lane++) {
    if (!(lanes >> lane & 1)) continue;
    const uint32_t t = warp * 32 + lane;
    threads.push_back(t);
    for (uint32_t i = 0; i < 32; i++) row[i] = std::max(row[i], lane_clocks_[t][i]);
    row[lane] = std::max(row[lane], clock_[t]);
  }
  for (uint32_t t : threads) {
    lane_clocks_[t] = row;
    clock_[t]++;
  }
  if (any_knowledge_) share(knowledge_, threads);
}

void BlockClocks::group_barrier(const std::vector<uint32_t>& threads) {
  auto sum = std::make_shared<Knowledge>();
  for (uint32_t t : threads) sum->join(*snapshot(t));
  for (uint32_t t : threads) {
    knowledge_[t] = sum;
    clock_[t]++;
  }
  any_knowledge_ = true;
}

Knowledge::Clocks BlockClocks::own_block_clocks(uint32_t thread) const {
  Knowledge::Clocks clocks = at_barrier_;
  const uint32_t first = thread / 32 * 32;
  for (uint32_t lane = 0; lane < 32 && first + lane < clocks.size(); lane++)
    clocks[first + lane] = std::max(clocks[first + lane], lane_clocks_[thread][lane]);
  clocks[thread] = clock_[thread];
  return clocks;
}

KnowledgePointer BlockClocks::snapshot(uint32_t thread) const {
  auto all = knowledge_[thread] ? std::make_shared<Knowledge>(*knowledge_[thread]) : std::make_shared<Knowledge>();
  all->join(block_, own_block_clocks(thread));
  return all;
}

void BlockClocks::fence(uint32_t thread, Scope scope) {
  KnowledgePointer ready = snapshot(thread);
  fenced_[int(Scope::block)][thread] = ready;
  if (scope == Scope::device) fenced_[int(Scope::device)][thread] = ready;
  clock_[thread]++;
  any_fence_ = true;
}

void BlockClocks::release(uint32_t thread, Published& at) const {
  at.device = merged(at.device, fenced_[int(Scope::device)][thread]);
  if (auto& ready = fenced_[int(Scope::block)][thread]) {
    auto& here = at.block[block_];
    here = merged(here, ready);
  }
}

void BlockClocks::acquire(uint32_t thread, const Published& at) {
  KnowledgePointer gained = at.device;
  auto here = at.block.find(block_);
  if (here != at.block.end()) gained = merged(gained, here->second);
  if (!gained) return;
  knowledge_[thread] = merged(knowledge_[thread], gained);
  any_knowledge_ = true;
}

}  // namespace emu
