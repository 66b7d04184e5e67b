// state.h -- the launch that runs on this operating-system thread: its blocks, warps and fibers.
#pragma once
#include <setjmp.h>

#include <memory>
#include <string>
#include <vector>

#include "clocks.h"
#include "fiber.h"
#include "interface.h"
#include "memory.h"
#include "schedule.h"
#include "traffic.h"

namespace emu {

// What went wrong, for Python. Mirrored in runtime.py.
struct ErrorReport {
  int32_t kind;                                  // a Failure
  uint32_t block[3], thread[3];
  uint64_t pc;                                   // within the module; 0: unknown
  int32_t region, variable;                      // index of the global region or shared variable concerned, -1: none
  int64_t offset;                                // from the start of that
  uint64_t size, address;
  uint32_t store, atomic;
  uint32_t has_other;                            // the earlier of two conflicting accesses
  uint32_t other_block[3], other_thread[3];
  uint64_t other_pc;
  uint32_t other_store, other_atomic;
  char text[768];
};

struct LaunchConfiguration {  // mirrored in runtime.py
  uint32_t grid[3], block[3];
  uint64_t seed;
  uint32_t check, count, cooperative, replaying, recording;
  uint64_t dynamic_shared;
  uint64_t module_base, module_size, window_offset, window_size;  // filled in by the runtime
  const RegionSpec* regions;
  uint64_t region_count;
  const VariableSpec* variables;
  uint64_t variable_count;
  const Choice* choices;
  uint64_t choice_count;
};

enum class Status : uint8_t { ready, at_barrier, at_warp_operation, at_active_mask, at_grid, done };

struct AsyncCopy {
  char* shared;
  const char* global;
  int size, source_size, group;
  uint32_t pc;
};

struct Fiber : Thread {
  Context context;
  Status status;
  char* stack;                                   // null before the thread's first instruction and after its last
  uint32_t index;                                // within the block
  Site site;                                     // where it waits
  // at a barrier
  int barrier;
  int predicate;
  Arrivals arrivals;
  // at a warp operation
  WarpOperation operation;
  unsigned mask;
  void* argument;
  unsigned active;                               // what active_mask() returns
  // its asynchronous copies
  std::vector<AsyncCopy> copies;
  int copy_group;
  uint32_t atomics;                              // since it was last resumed: a spinning thread must let others run
};

struct NamedBarrier {
  int arrived = 0, expected = 0;
};

struct Block {
  uint3 index;
  uint32_t number;                               // linear
  std::vector<Fiber> fibers;
  std::vector<unsigned> alive;                   // per warp: lanes that have not exited
  std::vector<unsigned> ready;                   // per warp: lanes that can run
  std::vector<unsigned> waiting;                 // per warp: lanes at a warp operation
  std::vector<char*> free_stacks;                // the one used last on top: it is in the cache
  uint32_t alive_count;
  NamedBarrier barriers[16];
  BlockClocks clocks;
  SharedMemory shared;
  PublishedMap published;                        // through addresses in shared memory
  std::vector<char> saved_shared;                // contents while another block of a cooperative launch runs
  uint32_t decisions;
  uint32_t next_warp;
};

struct Launch {
  LaunchConfiguration config;
  const Kernel* kernel;
  void** arguments;
  ErrorReport* error;
  bool failed;
  bool running_fiber;                            // else: the scheduler runs
  Schedule schedule;
  GlobalMemory memory;
  PublishedMap published;
  TrafficCounter traffic;
  Stacks stacks;
  std::vector<std::unique_ptr<Block>> blocks;    // resident: one, or all of a cooperative launch
  Block* block;
  Fiber* fiber;
  Context scheduler;
  uint32_t threads, warps;
  uint64_t idle_slices;                          // slices of fibers since one of them made progress
  bool preempted, spun;                          // the last slice was cut short; because the thread waits for another
  volatile bool interrupted;
  sigjmp_buf fault;                              // where a fault jumps to; nothing on the way has a destructor
  std::vector<uint32_t> block_order, lane_order, runnable;
  std::string output;                            // of printf
  // The first load of shared memory that nobody has written. If a thread writes it before the next barrier the mistake is
  // a race, which says more.
  struct {
    bool valid;
    uint32_t patience;                           // accesses left until it is reported all the same
    ErrorReport report;
  } unwritten;
  // A store of a thread where another thread has stored: a race unless it stores the value that is already there.
  struct {
    bool valid;
    uintptr_t address;
    uint32_t size;
    char before[16];
    void* load;  // the load that was announced after it, if there was one
    ErrorReport report;
  } pending;
};

extern thread_local Launch* launch;              // null outside a launch

// scheduler.cpp
void run_grid();
void suspend(Status);                            // back to the scheduler, until the fiber is woken
inline void wake(Block& block, Fiber& fiber) {
  fiber.status = Status::ready;
  block.ready[fiber.warp] |= 1u << fiber.lane;
}
void preemption_point();
uint32_t choose(Decision, uint32_t options);
void thread_exits();
// barrier.cpp
void complete_barriers_after_exit();
// errors.cpp
ErrorReport& begin_report(Failure, void* pc);    // fills in who and where
[[noreturn]] void stop();                        // ends the launch with the report begun
void describe_waiting(char* text, size_t size);
uint32_t module_pc(void* return_address);
// observer.cpp
void observe_access(const void* address, size_t size, bool store, bool atomic, bool is_volatile, void* pc);
void settle_pending_store();
void report_unwritten_load();                    // if there is one: no thread has written it in time
// signals.cpp
class FaultHandlers {                            // while it lives, faults on this thread end the launch, not the process
 public:
  FaultHandlers();
  ~FaultHandlers();

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

}  // namespace emu
