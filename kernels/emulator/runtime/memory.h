// memory.h -- what memory there is: arguments and module variables in global memory, the window of shared memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "races.h"

namespace emu {

// What Python says about a piece of global memory. Mirrored in runtime.py.
struct RegionSpec {
  uint64_t base, size;
  uint8_t* initialised;      // one byte a byte, 1 once written; null: everything is
  uint32_t writable;
  uint32_t device_alignment; // address modulo 256 that the base would have on the device
};
// A variable in shared memory; the last one is the launch's dynamic shared memory. Mirrored in runtime.py.
struct VariableSpec {
  uint64_t offset, size;
};

struct Region : RegionSpec {
  int32_t id;
  std::unique_ptr<Words> words;
};

class GlobalMemory {
 public:
  void start(const RegionSpec* regions, size_t count);
  Region* find(uintptr_t address);  // the region that holds this byte, or null
  Region* nearest(uintptr_t address);
  void forget_accesses();

 private:
  std::vector<Region> regions_;  // by address
  Region* last_ = nullptr;
};

// The shared window is the thread-local segment of the module: a `__shared__` variable is a thread_local of the operating-
// system thread that runs the block. One byte of state a byte says whether it has been written since the block began.
class SharedMemory {
 public:
  enum State : uint8_t { uninitialised = 0, initialised = 1, in_flight = 2 };
  static constexpr uint8_t POISON = 0xff;  // NaN in every floating-point format, -1 in integers

  void start(char* window, size_t size, const VariableSpec* variables, size_t count, bool checking);
  void start_block();  // poisons the variables and forgets what was written
  bool contains(uintptr_t address) const { return address - window_ < size_; }
  int find(uintptr_t address, size_t size);  // the variable that holds all these bytes, or -1
  int nearest(uintptr_t address) const;
  uint8_t* state(uintptr_t address) { return &state_[address - window_]; }
  Words& words() { return *words_; }
  char* window() const { return reinterpret_cast<char*>(window_); }
  const std::vector<VariableSpec>& variables() const { return variables_; }
  size_t dynamic_size() const { return variables_.empty() ? 0 : variables_.back().size; }

 private:
  uintptr_t window_ = 0;
  size_t size_ = 0;
  std::vector<VariableSpec> variables_;
  std::vector<uint8_t> state_;
  std::unique_ptr<Words> words_;
  int last_ = 0;
};

// Whether some 4-byte word of [offset, offset + size) has none of its accessed bytes initialised. (A struct's padding
// may be copied without ever having been written.)
bool any_word_uninitialised(const uint8_t* state, uintptr_t address, size_t size);

}  // namespace emu
