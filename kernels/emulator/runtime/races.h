// races.h -- the last accesses to every word, and whether a new one races with them.
#pragma once
#include <cstdint>
#include <memory>

#include "clocks.h"

namespace emu {

struct Access {
  uintptr_t address;
  uint32_t size;
  bool store, atomic;
  uint32_t pc;  // within the module
};

// One access to (part of) a 4-byte word.
struct Record {
  uint32_t block, clock;
  uint32_t thread : 10, bytes : 4, store : 1, atomic : 1, valid : 1, : 15;
  uint32_t pc;
  Stamp stamp() const { return {block, thread, clock}; }
};

// Four records a word: enough for a write and reads by another lane, another warp and another block. With more readers
// than that the one kept is a matter of the schedule, so a race that is missed at one seed may show at another.
struct Word {
  Record records[4];
};

// The words of one memory region. Pages of never-touched words cost nothing.
class Words {
 public:
  enum class Lifetime { launch, block };  // shared memory starts afresh with every block
  Words(uintptr_t base, size_t size, Lifetime lifetime);
  ~Words();
  Words(const Words&) = delete;
  Words& operator=(const Words&) = delete;
  void forget();  // after everything so far has been ordered before everything to come

  // Notes the access. Returns an earlier one that races with it, or null.
  const Record* note(const Access& access, const Stamp& stamp, const BlockClocks& clocks);

 private:
  const Record* note_word(Word& word, unsigned bytes, const Access& access, const Stamp& stamp, const BlockClocks& clocks);

  uintptr_t base_;
  Lifetime lifetime_;
  size_t count_;
  Word* words_;
};

}  // namespace emu
