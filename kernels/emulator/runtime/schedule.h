// schedule.h -- the order in which blocks, warps and lanes run: a sequence of choices, reproducible from a seed.
//
// Choice 0 is always the default (ascending order, no preemption). Seed 0 takes every default, seed 1 the last option of
// every choice (descending order), other seeds draw. A launch can instead replay a list of choices that differ from the
// default; the shrinker uses it to find the few that matter.
#pragma once
#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace emu {

enum class Decision : uint32_t { block_order, next_warp, lane_order, preempt, converge };

struct Choice {  // mirrored in runtime.py
  uint32_t block, index;  // the index-th decision of a block
  Decision decision;
  uint32_t value, options;
};

class Schedule {
 public:
  void start(uint64_t seed, const Choice* replay, size_t count, bool replaying, bool recording);
  uint32_t choose(Decision decision, uint32_t block, uint32_t index, uint32_t options);
  uint64_t hash(uint64_t salt) const;  // for permutations that a choice stands for
  const std::vector<Choice>& made() const { return made_; }

 private:
  uint64_t seed_ = 0;
  bool replaying_ = false, recording_ = false;
  std::unordered_map<uint64_t, uint32_t> replay_;
  std::vector<Choice> made_;
};

uint64_t scramble(uint64_t x);

}  // namespace emu
