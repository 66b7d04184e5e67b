// traffic.h -- exact counts of what the warps ask of memory, by place in the program.
//
// The accesses of a warp's lanes at one instruction form one request, as on the GPU. Lanes run one after another here, so
// the k-th execution of an instruction by a lane, counted since the warp last met, belongs to the k-th request.
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

namespace emu {

enum class Traffic : uint32_t { global_load, global_store, global_atomic, shared_load, shared_store, shared_atomic, copy_read, copy_write, ldmatrix };

struct TrafficRow {  // mirrored in runtime.py
  uint64_t pc;
  uint32_t kind, size;        // size of one lane's access in bytes
  uint64_t requests, bytes;
  uint64_t units, ideal;      // 32-byte sectors (global) or bank wavefronts (shared); the fewest for so many bytes
};

class TrafficCounter {
 public:
  void add(uint32_t warp, uint32_t lane, Traffic kind, uint64_t pc, uint64_t address, uint32_t size);
  void end_requests(uint32_t warp);  // the lanes of the warp meet: later accesses are new requests
  void end_all_requests();
  void clear();
  const std::vector<TrafficRow>& rows() const { return rows_; }

 private:
  struct Request {
    uint32_t lanes = 0;
    uint64_t address[32];
  };
  struct Instruction {
    Traffic kind;
    uint32_t size;
    uint32_t executed[32] = {};  // by lane
    std::vector<Request> requests;
  };
  void finish(uint64_t pc, const Instruction& instruction, const Request& request);

  std::unordered_map<uint32_t, std::map<uint64_t, Instruction>> open_;  // by warp, then by pc and kind
  std::vector<TrafficRow> rows_;
  std::unordered_map<uint64_t, std::size_t> row_of_;
};

}  // namespace emu
