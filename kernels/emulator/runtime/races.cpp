// races.cpp -- see races.h.
#include "races.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace emu {

Words::Words(uintptr_t base, size_t size, Lifetime lifetime)
    : base_(base & ~uintptr_t(3)), lifetime_(lifetime), count_((base + size - base_ + 3) / 4 + 1) {
  void* memory = mmap(nullptr, count_ * sizeof(Word), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  words_ = static_cast<Word*>(memory);
}

Words::~Words() { munmap(words_, count_ * sizeof(Word)); }

void Words::forget() { madvise(words_, count_ * sizeof(Word), MADV_DONTNEED); }

const Record* Words::note(const Access& access, const Stamp& stamp, const BlockClocks& clocks) {
  const Record* race = nullptr;
  const uintptr_t end = access.address + access.size;
  for (uintptr_t at = access.address; at < end;) {
    const uintptr_t word = at & ~uintptr_t(3), next = std::min(word + 4, end);
    const unsigned bytes = ((1u << (next - at)) - 1) << (at - word);
    const Record* found = note_word(words_[(word - base_) / 4], bytes, access, stamp, clocks);
    if (!race) race = found;
    at = next;
  }
  return race;
}

const Record* Words::note_word(Word& word, unsigned bytes, const Access& access, const Stamp& stamp, const BlockClocks& clocks) {
  static thread_local Record race;  // a copy: the record itself may be replaced below
  const Record* found = nullptr;
  Record* slot = nullptr;
  for (Record& r : word.records) {
    if (!r.valid || (lifetime_ == Lifetime::block && r.block != stamp.block)) {
      r.valid = false;
      if (!slot) slot = &r;
      continue;
    }
    const bool same_thread = r.block == stamp.block && r.thread == stamp.thread;
    const bool ordered = same_thread || clocks.seen(r.stamp(), stamp.thread);
    if (!ordered && (r.bytes & bytes) && (r.store || access.store) && !(r.atomic && access.atomic) && !found) {
      race = r;
      found = &race;
    }
    // What the new record implies need not be kept: whatever races with the old one races with the new one, too.
    if (ordered && !(r.bytes & ~bytes) && (access.store || !r.store) && (!access.atomic || r.atomic)) {
      r.valid = false;
      slot = &r;
    }
  }
  if (!slot) {  // make room: first a read by a lane of the same warp, then any read, then whatever comes first
    for (Record& r : word.records)
      if (!r.store && r.block == stamp.block && r.thread / 32 == stamp.thread / 32) slot = &r;
    for (Record& r : word.records)
      if (!slot && !r.store) slot = &r;
    if (!slot) slot = &word.records[0];
  }
  slot->block = stamp.block;
  slot->clock = stamp.clock;
  slot->thread = stamp.thread;
  slot->bytes = bytes;
  slot->store = access.store;
  slot->atomic = access.atomic;
  slot->valid = true;
  slot->pc = access.pc;
  return found;
}

}  // namespace emu
