"""Check mode: each kind of mistake is reported as what it is, at its line; what is right is not reported.

The mistakes are small on purpose: one line each, marked by a comment, and the report must name that line.
"""

from __future__ import annotations

import numpy as np
import pytest
from deepgpu.kernels.emulator import (
    InitcheckError,
    KernelError,
    MemcheckError,
    RacecheckError,
    SynccheckError,
    TrapError,
)

from deepgpu.kernels import emulator

i32, f32 = np.int32, np.float32

CODE = r"""
extern "C" __global__ void past_the_end(float* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) x[i] = 1;  // HERE
}
extern "C" __global__ void before_the_start(float* x) { x[int(threadIdx.x) - 1] = 1; }  // HERE
extern "C" __global__ void wild(float* x, long long far) { x[far] = 1; }  // HERE
extern "C" __global__ void null(float* x) { x[threadIdx.x] = 1; }  // HERE
extern "C" __global__ void misaligned(const float* x, float4* y) {
  y[threadIdx.x] = *reinterpret_cast<const float4*>(x + 1);  // HERE
}
extern "C" __global__ void misaligned_member(const float* x, float* y) {
  y[threadIdx.x] = reinterpret_cast<const float2*>(x + 1)->y;  // HERE
}
extern "C" __global__ void misaligned_shared(float* y) {
  __shared__ __align__(16) char bytes[64];
  bytes[threadIdx.x] = 0;
  __syncthreads();
  y[threadIdx.x] = *reinterpret_cast<float*>(bytes + threadIdx.x);  // HERE
}
extern "C" __global__ void shared_row(float* y) {
  __shared__ float tile[4][8];
  for (int i = 0; i < 8; i++) tile[threadIdx.x][i] = i;
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x][8];  // HERE
}
extern "C" __global__ void shared_pointer(float* y) {
  __shared__ float line[32];
  float* p = line;
  p[threadIdx.x + 1] = 1;  // HERE
  y[threadIdx.x] = 0;
}
extern "C" __global__ void dynamic_shared(float* y) {
  extern __shared__ float line[];
  line[threadIdx.x] = 1;  // HERE
  y[threadIdx.x] = line[threadIdx.x];
}
extern "C" __global__ void local_array(float* y, int n) {
  float v[4] = {1, 2, 3, 4};
  y[threadIdx.x] = v[n];  // HERE
}
extern "C" __global__ void read_only(float* y) { y[threadIdx.x] = 1; }  // HERE
__device__ int four[4];
extern "C" __global__ void module_variable(int i) { int* p = four; p[i] = 1; }  // HERE
extern "C" __global__ void copied(float* x, float* y, int n) {
  memcpy(y, x, n * sizeof(float));  // HERE
}
__device__ __noinline__ int deep(int n) {
  volatile char big[4096];
  big[n % 4096] = 1;
  return n ? deep(n - 1) + big[0] : 0;
}
extern "C" __global__ void stack_overflow(int* y) { y[0] = deep(100000); }
extern "C" __global__ void unwritten_shared(float* y) {
  __shared__ float line[32];
  if (threadIdx.x < 31) line[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = line[threadIdx.x];  // HERE
}
extern "C" __global__ void left_by_the_block_before(float* y) {
  __shared__ float line[32];
  if (blockIdx.x == 0) line[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = line[threadIdx.x];  // HERE
}
extern "C" __global__ void unwritten_global(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }  // HERE
extern "C" __global__ void divergent(int* y) {
  if (threadIdx.x < 40) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
extern "C" __global__ void returns_early(int* y) {
  if (threadIdx.x >= 40) return;
  __syncthreads();
}
extern "C" __global__ void half_shuffles(int* y) {
  int v = threadIdx.x;
  if (threadIdx.x < 16) v = __shfl_xor_sync(~0u, v, 1);
  y[threadIdx.x] = v;
}
extern "C" __global__ void two_shuffles(int* y) {
  int v = threadIdx.x;
  if (threadIdx.x < 16) v = __shfl_xor_sync(~0u, v, 1);
  else v = __shfl_xor_sync(~0u, v, 2);
  y[threadIdx.x] = v;
}
extern "C" __global__ void not_in_mask(int* y) { y[threadIdx.x] = __shfl_sync(0xffffu, threadIdx.x, 0); }
extern "C" __global__ void inactive_lane(int* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(0xffffu, threadIdx.x, 16);
}
extern "C" __global__ void barrier_and_shuffle(int* y) {
  if (threadIdx.x == 0) __syncthreads();
  else y[threadIdx.x] = __shfl_sync(~0u, threadIdx.x, 0);
}
extern "C" __global__ void endless(int* y) { while (atomicAdd(y, 0) == 0) {} }
extern "C" __global__ void divides(int* y, int n) { y[0] = 7 / n; }  // HERE
extern "C" __global__ void shifts(int* y, int n) { y[0] = 1 << n; }  // HERE
extern "C" __global__ void traps(int* y) { if (threadIdx.x == 3) __trap(); }  // HERE
"""


@pytest.fixture(scope="module")
def checked():
    return emulator.RawModule(CODE, check=True)


def line_of(kernel: str) -> int:
    lines = CODE.splitlines()
    start = next(i for i, text in enumerate(lines) if f" {kernel}(" in text and "__global__" in text)
    return next(i for i in range(start, len(lines)) if "// HERE" in lines[i]) + 1


def floats(n):
    return np.zeros(n, f32)


def read_only_array():
    array = floats(32)
    array.flags.writeable = False
    return array


# kernel, block, arguments, exception, kind, the argument or variable it names
MISTAKES = [
    ("past_the_end", 33, lambda: (floats(32), i32(32)), MemcheckError, "out_of_bounds", "x"),
    ("before_the_start", 32, lambda: (floats(32),), MemcheckError, "out_of_bounds", "x"),
    ("wild", 1, lambda: (floats(32), np.int64(1 << 40)), MemcheckError, "out_of_bounds", None),
    ("null", 1, lambda: (None,), MemcheckError, "null_pointer", None),
    ("misaligned", 1, lambda: (floats(32), floats(4)), MemcheckError, "misaligned", "x"),
    ("misaligned_member", 1, lambda: (floats(32), floats(4)), MemcheckError, "misaligned", "x"),
    ("misaligned_shared", 32, lambda: (floats(32),), MemcheckError, "misaligned", "bytes"),
    ("shared_row", 4, lambda: (floats(4),), MemcheckError, "array_index", None),
    ("shared_pointer", 32, lambda: (floats(32),), MemcheckError, "out_of_bounds", "line"),
    ("dynamic_shared", 32, lambda: (floats(32),), MemcheckError, "out_of_bounds", "dynamic shared memory"),
    ("local_array", 1, lambda: (floats(1), i32(4)), MemcheckError, "array_index", None),
    ("read_only", 1, lambda: (read_only_array(),), MemcheckError, "read_only", "y"),
    ("module_variable", 1, lambda: (i32(4),), MemcheckError, "out_of_bounds", "four"),
    ("copied", 1, lambda: (floats(4), floats(4), i32(5)), MemcheckError, "out_of_bounds", "x"),
    ("unwritten_shared", 32, lambda: (floats(32),), InitcheckError, "uninitialised", "line"),
    ("unwritten_global", 32, lambda: (emulator.empty(32), floats(32)), InitcheckError, "uninitialised", "x"),
    ("divides", 1, lambda: (np.zeros(1, i32), i32(0)), TrapError, "division_by_zero", None),
    ("shifts", 1, lambda: (np.zeros(1, i32), i32(32)), TrapError, "shift", None),
    ("traps", 32, lambda: (np.zeros(1, i32),), TrapError, "trap", None),
]


@pytest.mark.parametrize(
    ("kernel", "block", "arguments", "error", "kind", "argument"), MISTAKES, ids=[m[0] for m in MISTAKES]
)
def test_mistake_is_reported_at_its_line(checked, kernel, block, arguments, error, kind, argument):
    shared = {"dynamic_shared": 31 * 4}.get(kernel, 0)
    with pytest.raises(error) as caught:
        checked.get_function(kernel)((1,), (block,), arguments(), shared_mem=shared)
    report = caught.value
    assert (report.kernel, report.kind, report.argument) == (kernel, kind, argument)
    assert report.line == line_of(kernel), str(report)
    assert f"kernel.cu:{report.line}" in str(report)


def test_the_report_names_thread_and_element(checked):
    with pytest.raises(MemcheckError) as caught:
        checked.get_function("past_the_end")((3, 1), (16,), (floats(40), i32(40)))
    assert (caught.value.block, caught.value.thread, caught.value.seed) == ((2, 0, 0), (8, 0, 0), 0)
    assert "`x` (array of shape (40,), 160 bytes): 0 bytes past its end" in str(caught.value)
    assert "thread (8,0,0) of block (2,0,0)" in str(caught.value)


def test_shared_memory_of_the_block_before_counts_as_unwritten(checked):
    with pytest.raises(InitcheckError) as caught:
        checked.get_function("left_by_the_block_before")((2,), (32,), (floats(32),))
    assert caught.value.block == (1, 0, 0)


def test_shared_memory_of_the_block_before_is_nan_without_check():
    y = floats(32)
    emulator.RawModule(CODE).get_function("left_by_the_block_before")((2,), (32,), (y,))
    assert np.isnan(y).all()


def test_uninitialised_memory_counts_as_written_once_someone_has(checked):
    x, y = emulator.empty(32), floats(32)
    checked.get_function("null")((1,), (16,), (x,))  # a kernel writes the first half
    x[16:] = 2  # the host writes the second
    checked.get_function("unwritten_global")((1,), (32,), (x, y))
    np.testing.assert_array_equal(y, [1] * 16 + [2] * 16)
    x = emulator.empty(32)
    checked.get_function("null")((1,), (16,), (x,))
    with pytest.raises(InitcheckError, match=r"`x\[16\]`"):
        checked.get_function("unwritten_global")((1,), (32,), (x, y))


@pytest.mark.parametrize(
    ("kernel", "kind", "text"),
    [
        ("divergent", "divergent_barrier", r"waits at .*kernel\.cu:\d+, but thread"),
        ("returns_early", "exited_before_barrier", r"24 of 64 threads have exited, first \(40,0,0\)"),
        ("half_shuffles", "divergent_warp", "waits for lanes 0000ffff"),
        ("two_shuffles", "divergent_warp", "waits for lanes ffffffff"),
        ("not_in_mask", "not_in_mask", "lane 16 makes the call, but is not in its mask 0000ffff"),
        ("inactive_lane", "inactive_lane", "lane 0 reads lane 16, which does not take part"),
        ("barrier_and_shuffle", "divergent_warp", r"thread \(0,0,0\) waits at the barrier"),
        ("endless", "livelock", "none makes progress"),
    ],
)
def test_threads_that_never_meet(checked, kernel, kind, text):
    with pytest.raises(SynccheckError, match=text) as caught:
        checked.get_function(kernel)((1,), (64,), (np.zeros(64, i32),))
    assert caught.value.kind == kind


@pytest.mark.parametrize("check", [False, True], ids=["fast", "check"])
def test_faults_end_the_launch_and_not_the_process(check):
    module = emulator.RawModule(CODE, check=check)
    for kernel, arguments, kind in (
        ("null", (None,), "null_pointer"),
        ("stack_overflow", (np.zeros(1, i32),), "stack_overflow"),
        ("divides", (np.zeros(1, i32), i32(0)), "division_by_zero"),
        ("traps", (np.zeros(1, i32),), "trap"),
    ):
        with pytest.raises(KernelError) as caught:
            module.get_function(kernel)((1,), (32,), arguments)
        assert caught.value.kind == kind
    y = floats(32)
    module.get_function("past_the_end")((1,), (32,), (y, i32(31)))  # and the next launch is fine
    assert (y == 1).all()


def test_a_misaligned_vector_load_is_caught_by_both_modes():
    for check in (False, True):
        with pytest.raises(MemcheckError) as caught:
            emulator.RawModule(CODE, check=check).get_function("misaligned")((1,), (1,), (floats(32), floats(4)))
        assert (caught.value.kind, caught.value.line) == ("misaligned", line_of("misaligned"))


# ---- races: the same exchange between threads, with and without what orders it ----------------------------------
ORDERS = (
    "",
    "__syncwarp();",
    "__syncthreads();",
    "cooperative_groups::tiled_partition<32>(cooperative_groups::this_thread_block()).sync();",
    "__threadfence();",
    "__threadfence(); __syncthreads();",
    "__syncthreads(); __threadfence();",
    "__syncwarp(threadIdx.x < 16 ? 0xffffu : 0xffff0000u);",
    "__shfl_xor_sync(~0u, 1, 1);",
    "__threadfence_block();",
    "__syncwarp(1u);",
)
RACES = r"""
#include <cooperative_groups.h>
template <int HOW>
__device__ void order() {
  %s
}
// One warp exchanges through shared memory.
template <int HOW>
__global__ void within_a_warp(int* y) {
  __shared__ int s[32];
  s[threadIdx.x] = threadIdx.x;
  order<HOW>();
  y[threadIdx.x] = s[31 - threadIdx.x];
}
// Two blocks exchange through global memory: the last to arrive reads what both wrote.
template <int HOW>
__global__ void between_blocks(int* data, unsigned* ticket, int* y) {
  data[blockIdx.x] = blockIdx.x + 1;
  order<HOW>();
  if (atomicAdd(ticket, 1u) == gridDim.x - 1) {
    int sum = 0;
    for (int b = 0; b < gridDim.x; b++) sum += data[b];
    *y = sum;
  }
}
// All threads of a block write, one publishes.
template <int HOW>
__global__ void published_by_one(int* data, unsigned* ticket, int* y) {
  __shared__ bool last;
  data[blockIdx.x * blockDim.x + threadIdx.x] = 1;
  order<HOW>();
  if (threadIdx.x == 0) last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  __syncthreads();
  if (last && threadIdx.x == 0) {
    int sum = 0;
    for (int i = 0; i < gridDim.x * blockDim.x; i++) sum += data[i];
    *y = sum;
  }
}
// A lock: what it protects needs no atomics.
template <int HOW>
__global__ void locked(int* lock, int* data, unsigned*) {
  for (bool done = false; !done;) {
    if (atomicCAS(lock, 0, 1) == 0) {
      __threadfence();
      *data += 1;
      order<HOW>();
      atomicExch(lock, 0);
      done = true;
    }
  }
}
// A flag in global memory, waited for by another warp.
template <int HOW>
__global__ void flagged(volatile int* flag, int* data, int* y) {
  if (threadIdx.x == 0) {
    *data = 42;
    order<HOW>();
    *flag = 1;
  } else if (threadIdx.x == 32) {
    while (*flag == 0) {}
    __threadfence();
    *y = *data;
  }
}
extern "C" __global__ void neighbours_of_a_word(unsigned char* bytes, unsigned short* shorts) {
  bytes[threadIdx.x] = threadIdx.x;
  shorts[threadIdx.x] = threadIdx.x;
}
extern "C" __global__ void same_value(int* y) { y[0] = 7; }
extern "C" __global__ void other_value(int* y) { y[0] = threadIdx.x; }
extern "C" __global__ void atomic_and_plain(int* y) { if (threadIdx.x == 0) y[0] = 1; else atomicAdd(y, 1); }
extern "C" __global__ void in_place(float* x, const float* z) { x[threadIdx.x] = z[(threadIdx.x + 1) % blockDim.x]; }
"""


ORDERED_KERNELS = ("within_a_warp", "between_blocks", "published_by_one", "locked", "flagged")


@pytest.fixture(scope="module")
def races():
    """Each kernel once for each way to order its accesses, among them ways that do not."""
    branches = "\n  ".join(f"if constexpr (HOW == {i}) {{ {text} }}" for i, text in enumerate(ORDERS))
    names = [f"{kernel}<{i}>" for kernel in ORDERED_KERNELS for i in range(len(ORDERS))]
    return emulator.RawModule(RACES.replace("%s", branches), name_expressions=names, check=True)


def run_races(module, kernel, order, seed):
    def ints(*sizes):
        return tuple(np.zeros(n, i32) for n in sizes)

    function = module.get_function(f"{kernel}<{ORDERS.index(order)}>")
    y = np.zeros(1, i32)
    ticket = np.zeros(1, np.uint32)
    if kernel == "within_a_warp":
        out = np.zeros(32, i32)
        function((1,), (32,), (out,), seed=seed)
        assert out.tolist() == list(range(31, -1, -1))
    elif kernel == "between_blocks":
        function((5,), (1,), (*ints(5), ticket, y), seed=seed)
        assert y[0] == 15
    elif kernel == "published_by_one":
        function((3,), (64,), (*ints(192), ticket, y), seed=seed)
        assert y[0] == 192
    elif kernel == "locked":
        (data,) = ints(1)
        function((2,), (64,), (*ints(1), data, None), seed=seed)
        assert data[0] == 128
    else:
        function((1,), (64,), (*ints(1, 1), y), seed=seed)
        assert y[0] == 42


@pytest.mark.parametrize(
    ("kernel", "order"),
    [
        ("within_a_warp", "__syncwarp();"),
        ("within_a_warp", "__syncthreads();"),
        ("within_a_warp", "cooperative_groups::tiled_partition<32>(cooperative_groups::this_thread_block()).sync();"),
        ("between_blocks", "__threadfence();"),
        ("published_by_one", "__threadfence(); __syncthreads();"),
        ("published_by_one", "__syncthreads(); __threadfence();"),
        ("locked", "__threadfence();"),
        ("flagged", "__threadfence();"),
    ],
)
def test_what_is_ordered_is_no_race(races, kernel, order):
    for seed in (0, 1, 5, 9):
        run_races(races, kernel, order, seed)


@pytest.mark.parametrize(
    ("kernel", "order"),
    [
        ("within_a_warp", ""),
        ("within_a_warp", "__syncwarp(threadIdx.x < 16 ? 0xffffu : 0xffff0000u);"),
        ("within_a_warp", "__shfl_xor_sync(~0u, 1, 1);"),  # a shuffle orders no memory
        ("between_blocks", ""),
        ("between_blocks", "__threadfence_block();"),
        ("between_blocks", "__syncthreads();"),
        ("published_by_one", "__threadfence();"),
        ("published_by_one", "__syncthreads();"),
        ("locked", ""),
        ("flagged", ""),
        ("flagged", "__syncwarp(1u);"),
    ],
)
def test_what_is_not_ordered_is_a_race(races, kernel, order):
    def run():
        for seed in (0, 1, 5, 9):
            run_races(races, kernel, order, seed)

    with pytest.raises(RacecheckError):  # the first to run reads what the others have not written
        run()


def test_a_race_names_both_accesses(races):
    with pytest.raises(RacecheckError) as caught:
        races.get_function("other_value")((1,), (32,), (np.zeros(1, i32),))
    error, other = caught.value, caught.value.other
    assert (error.thread, other.thread, other.action) == ((1, 0, 0), (0, 0, 0), "store")
    assert error.line == int(other.location[0].split(":")[-1])
    assert str(error).startswith(
        "racecheck: kernel `other_value`: data race on argument `y[0]`: store of 4 bytes by thread (1,0,0)"
    )


def test_accesses_that_only_look_like_races(races):
    module = races
    bytes_, shorts = np.zeros(64, np.uint8), np.zeros(64, np.uint16)
    module.get_function("neighbours_of_a_word")((1,), (64,), (bytes_, shorts))
    assert bytes_.tolist() == shorts.tolist() == list(range(64))
    y = np.zeros(1, i32)
    module.get_function("same_value")((4,), (64,), (y,))
    assert y[0] == 7


def test_atomics_race_with_plain_accesses(races):
    with pytest.raises(RacecheckError):
        races.get_function("atomic_and_plain")((1,), (32,), (np.zeros(1, i32),))


def test_arguments_that_overlap_are_seen_to_overlap(races):
    x = np.arange(64, dtype=f32)
    module = races
    module.get_function("in_place")((1,), (32,), (x[:32], x[32:]))  # neighbours in memory
    with pytest.raises(RacecheckError):
        module.get_function("in_place")((1,), (32,), (x[:32], x[:32]))
    with pytest.raises(RacecheckError):
        module.get_function("in_place")((1,), (32,), (x[:32], x[16:48]))


STRUCTS = r"""
template <int N> struct Words { unsigned v[N]; };
template <int N> __global__ void assigned(Words<N>* y, const Words<N>* x) {
  y[0] = x[threadIdx.x / 32];  // HERE
}
"""


@pytest.mark.parametrize("words", [1, 2, 4, 7])
def test_structs_that_are_assigned_race(words):
    """The compiler announces the store before the load, and copies only then: is it the value that stood there?"""
    module = emulator.RawModule(STRUCTS, name_expressions=[f"assigned<{words}>"], check=True)
    kernel = module.get_function(f"assigned<{words}>")
    x = np.arange(2 * words, dtype=np.uint32)
    for seed in range(3):
        with pytest.raises(RacecheckError, match=r"data race on argument `y\["):
            kernel((1,), (64,), (np.zeros(words, np.uint32), x), seed=seed)
        kernel((1,), (64,), (np.zeros(words, np.uint32), np.full_like(x, 7)), seed=seed)  # all store the same
