// traffic.cpp -- see traffic.h.
#include "traffic.h"

#include <algorithm>

namespace emu {
namespace {

constexpr uint32_t SECTOR = 32, BANKS = 32, BANK_BYTES = 4;

bool is_shared(Traffic kind) {
  switch (kind) {
    case Traffic::shared_load: case Traffic::shared_store: case Traffic::shared_atomic: case Traffic::copy_write: case Traffic::ldmatrix: return true;
    default: return false;
  }
}

// One wavefront serves one word of every bank: the bank with the most distinct words decides.
uint32_t wavefronts(std::vector<uint64_t>& words) {
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  uint32_t in_bank[BANKS] = {}, most = 0;
  for (uint64_t w : words) most = std::max(most, ++in_bank[w % BANKS]);
  return most;
}

uint64_t key(uint64_t pc, Traffic kind) { return pc << 4 | uint64_t(kind); }

}  // namespace

void TrafficCounter::add(uint32_t warp, uint32_t lane, Traffic kind, uint64_t pc, uint64_t address, uint32_t size) {
  auto [it, fresh] = open_[warp].try_emplace(key(pc, kind));
  Instruction& instruction = it->second;
  if (fresh) instruction.kind = kind, instruction.size = size;
  const uint32_t k = instruction.executed[lane]++;
  if (k >= instruction.requests.size()) instruction.requests.resize(k + 1);
  Request& request = instruction.requests[k];
  request.lanes |= 1u << lane;
  request.address[lane] = address;
}

void TrafficCounter::finish(uint64_t pc, const Instruction& instruction, const Request& request) {
  auto [it, fresh] = row_of_.try_emplace(key(pc, instruction.kind), rows_.size());
  if (fresh) rows_.push_back({pc, uint32_t(instruction.kind), instruction.size, 0, 0, 0, 0});
  TrafficRow& row = rows_[it->second];
  const uint32_t size = instruction.size;
  const uint64_t bytes = uint64_t(__builtin_popcount(request.lanes)) * size;
  row.requests++;
  row.bytes += bytes;
  if (!is_shared(instruction.kind)) {
    std::vector<uint64_t> sectors, words;
    for (uint32_t lane = 0; lane < 32; lane++) {
      if (!(request.lanes >> lane & 1)) continue;
      const uint64_t first = request.address[lane], last = first + size - 1;
      for (uint64_t s = first / SECTOR; s <= last / SECTOR; s++) sectors.push_back(s);
      for (uint64_t b = first; b <= last; b++) words.push_back(b);
    }
    std::sort(sectors.begin(), sectors.end());
    row.units += uint64_t(std::unique(sectors.begin(), sectors.end()) - sectors.begin());
    std::sort(words.begin(), words.end());  // lanes that read the same bytes share them: a broadcast is ideal
    const uint64_t distinct = uint64_t(std::unique(words.begin(), words.end()) - words.begin());
    row.ideal += (distinct + SECTOR - 1) / SECTOR;
    return;
  }
  const uint32_t phase = size >= 16 ? 8 : size == 8 ? 16 : 32;  // wide accesses go by quarter and half warps
  for (uint32_t first = 0; first < 32; first += phase) {
    std::vector<uint64_t> words;
    for (uint32_t lane = first; lane < first + phase; lane++)
      if (request.lanes >> lane & 1)
        for (uint64_t w = request.address[lane] / BANK_BYTES; w <= (request.address[lane] + size - 1) / BANK_BYTES; w++) words.push_back(w);
    if (words.empty()) continue;
    row.units += wavefronts(words);
    row.ideal += (words.size() + BANKS - 1) / BANKS;  // `words` now holds distinct ones
  }
}

void TrafficCounter::end_requests(uint32_t warp) {
  auto found = open_.find(warp);
  if (found == open_.end()) return;
  for (auto& [key, instruction] : found->second)
    for (auto& request : instruction.requests)
      if (request.lanes) finish(key >> 4, instruction, request);
  open_.erase(found);
}

void TrafficCounter::end_all_requests() {
  while (!open_.empty()) end_requests(open_.begin()->first);
}

void TrafficCounter::clear() {
  open_.clear();
  rows_.clear();
  row_of_.clear();
}

}  // namespace emu
