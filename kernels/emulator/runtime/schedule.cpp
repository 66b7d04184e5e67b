// schedule.cpp -- see schedule.h.
#include "schedule.h"

namespace emu {

uint64_t scramble(uint64_t x) {  // the finaliser of SplitMix64
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

void Schedule::start(uint64_t seed, const Choice* replay, size_t count, bool replaying, bool recording) {
  seed_ = seed;
  replaying_ = replaying;
  recording_ = recording;
  made_.clear();
  replay_.clear();
  for (size_t i = 0; i < count; i++) replay_[uint64_t(replay[i].block) << 32 | replay[i].index] = replay[i].value;
}

uint64_t Schedule::hash(uint64_t salt) const { return scramble(salt * 0x2545f4914f6cdd1dull + 1); }

uint32_t Schedule::choose(Decision decision, uint32_t block, uint32_t index, uint32_t options) {
  if (options < 2) return 0;
  uint32_t value = 0;
  const uint64_t key = uint64_t(block) << 32 | index;
  if (replaying_) {
    auto found = replay_.find(key);
    if (found != replay_.end()) value = found->second % options;
  } else if (seed_ == 1) {
    value = decision == Decision::preempt || decision == Decision::converge ? 0 : options - 1;
  } else if (seed_ > 1) {
    const uint64_t random = scramble(seed_ ^ scramble(key));
    // Preemption is drawn rarely: each one costs a switch, and a bug rarely needs more than one or two.
    value = decision == Decision::preempt ? random % 8 == 0 : random % options;
  }
  if (value && recording_) made_.push_back({block, index, decision, value, options});
  return value;
}

}  // namespace emu
