// memory.cpp -- see memory.h.
#include "memory.h"

#include <algorithm>
#include <cstring>

namespace emu {

void GlobalMemory::start(const RegionSpec* regions, size_t count) {
  regions_.clear();
  regions_.resize(count);
  for (size_t i = 0; i < count; i++) {
    static_cast<RegionSpec&>(regions_[i]) = regions[i];
    regions_[i].id = int32_t(i);
  }
  std::sort(regions_.begin(), regions_.end(), [](const Region& a, const Region& b) { return a.base < b.base; });
  last_ = nullptr;
}

Region* GlobalMemory::find(uintptr_t address) {
  if (last_ && address - last_->base < last_->size) return last_;
  auto after = std::upper_bound(regions_.begin(), regions_.end(), address, [](uintptr_t a, const Region& r) { return a < r.base; });
  if (after == regions_.begin()) return nullptr;
  Region& region = *--after;
  if (address - region.base >= region.size) return nullptr;
  return last_ = &region;
}

Region* GlobalMemory::nearest(uintptr_t address) {
  Region* best = nullptr;
  uint64_t least = 1 << 20;  // farther away it is a wild pointer
  for (Region& r : regions_) {
    const uint64_t distance = address < r.base ? r.base - address : address - (r.base + r.size - 1);
    if (address - r.base < r.size) return &r;
    if (distance < least) least = distance, best = &r;
  }
  return best;
}

void GlobalMemory::forget_accesses() {
  for (Region& r : regions_)
    if (r.words) r.words->forget();
}

void SharedMemory::start(char* window, size_t size, const VariableSpec* variables, size_t count, bool checking) {
  window_ = reinterpret_cast<uintptr_t>(window);
  size_ = size;
  variables_.assign(variables, variables + count);
  last_ = 0;
  words_.reset();
  state_.clear();
  if (checking) {
    state_.resize(size);
    words_ = std::make_unique<Words>(window_, size, Words::Lifetime::block);
  }
}

void SharedMemory::start_block() {
  for (const VariableSpec& v : variables_) {
    memset(window() + v.offset, POISON, v.size);
    if (!state_.empty()) memset(&state_[v.offset], uninitialised, v.size);
  }
}

int SharedMemory::find(uintptr_t address, size_t size) {
  const size_t offset = address - window_;
  auto holds = [&](int i) { return offset - variables_[size_t(i)].offset < variables_[size_t(i)].size && offset + size <= variables_[size_t(i)].offset + variables_[size_t(i)].size; };
  if (!variables_.empty() && holds(last_)) return last_;
  for (int i = 0; i < int(variables_.size()); i++)
    if (holds(i)) return last_ = i;
  return -1;
}

int SharedMemory::nearest(uintptr_t address) const {
  const size_t offset = address - window_;
  int best = -1;
  for (int i = 0; i < int(variables_.size()); i++)  // the last variable that starts before the address
    if (variables_[size_t(i)].offset <= offset && variables_[size_t(i)].size && (best < 0 || variables_[size_t(i)].offset > variables_[size_t(best)].offset)) best = i;
  return best;
}

bool any_word_uninitialised(const uint8_t* state, uintptr_t address, size_t size) {
  for (size_t i = 0; i < size;) {
    const size_t next = std::min(size, size_t(((address + i) & ~uintptr_t(3)) + 4 - address));
    bool any = false;
    for (; i < next; i++) any |= state[i] != 0;
    if (!any) return true;
  }
  return false;
}

}  // namespace emu
