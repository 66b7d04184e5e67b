// signals.cpp -- a fault in a kernel (wild pointer, stack overflow, division by zero) ends the launch, not the process.
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <cstring>

#include "state.h"

namespace emu {
namespace {

constexpr int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGINT};
constexpr int SIGNAL_COUNT = sizeof SIGNALS / sizeof *SIGNALS;
struct sigaction previous[SIGNAL_COUNT];  // of the process, not of a thread: whoever installs first keeps them
int installed = 0;

void* program_counter(void* context) {
#if defined(__x86_64__)
  return reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return reinterpret_cast<void*>(static_cast<ucontext_t*>(context)->uc_mcontext.pc);
#else
  return nullptr;
#endif
}

void pass_on(int signal, siginfo_t* info, void* context) {
  for (int i = 0; i < SIGNAL_COUNT; i++) {
    if (SIGNALS[i] != signal) continue;
    const struct sigaction& before = previous[i];
    if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
    if (before.sa_handler == SIG_IGN) return;
    if (before.sa_handler != SIG_DFL) return before.sa_handler(signal);
  }
  ::signal(signal, SIG_DFL);
  raise(signal);
}

void on_signal(int signal, siginfo_t* info, void* context) {
  if (!launch) return pass_on(signal, info, context);
  if (signal == SIGINT && !launch->interrupted) {  // at the next opportunity; a second one comes through at once
    launch->interrupted = true;
    return;
  }
  // The fault is at this instruction; module_pc() expects the address behind a call.
  char* pc = static_cast<char*>(program_counter(context));
  const bool in_module = pc && reinterpret_cast<uintptr_t>(pc) - launch->config.module_base < launch->config.module_size;
  Failure kind = Failure::out_of_bounds;
  if (signal == SIGINT) kind = Failure::interrupted;
  else if (signal == SIGFPE) kind = Failure::division_by_zero;
  else if (signal == SIGILL) kind = Failure::trap;
  else if (launch->stacks.is_guard(info->si_addr)) kind = Failure::stack_overflow;
  else if (signal == SIGBUS || info->si_code == SI_KERNEL) kind = Failure::misaligned;  // a vector load; its address is not told
  else if (reinterpret_cast<uintptr_t>(info->si_addr) < (1 << 16)) kind = Failure::null_pointer;
  ErrorReport& report = begin_report(kind, in_module ? pc + 1 : nullptr);
  if (kind == Failure::out_of_bounds || kind == Failure::null_pointer) {
    report.address = reinterpret_cast<uintptr_t>(info->si_addr);
    if (const Region* near = launch->memory.nearest(report.address)) {
      report.region = near->id;
      report.offset = int64_t(report.address - near->base);
    }
  }
  launch->failed = true;
  siglongjmp(launch->fault, 1);
}

}  // namespace

struct FaultHandlers::Saved {
  stack_t stack;
  void* memory;
  static constexpr size_t SIZE = 64 << 10;
};

FaultHandlers::FaultHandlers() : saved_(std::make_unique<Saved>()) {
  saved_->memory = malloc(Saved::SIZE);  // a stack overflow leaves no room for the handler
  stack_t ours = {};
  ours.ss_sp = saved_->memory;
  ours.ss_size = Saved::SIZE;
  sigaltstack(&ours, &saved_->stack);
  if (__atomic_fetch_add(&installed, 1, __ATOMIC_SEQ_CST)) return;
  struct sigaction action = {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(SIGNALS[i], &action, &previous[i]);
}

FaultHandlers::~FaultHandlers() {
  if (__atomic_sub_fetch(&installed, 1, __ATOMIC_SEQ_CST) == 0)
    for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(SIGNALS[i], &previous[i], nullptr);
  sigaltstack(&saved_->stack, nullptr);
  free(saved_->memory);
}

}  // namespace emu
