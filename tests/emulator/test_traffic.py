"""Traffic counters against numbers worked out by hand from the rules of the hardware.

A request of a warp to global memory takes as many 32-byte sectors as it touches. Shared memory has 32 banks of 4 bytes;
a wavefront serves one word of each; 8-byte accesses go by half warps, 16-byte ones by quarter warps.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deepgpu.kernels import emulator
from tests.emulator.test_samples import SAMPLES

i32, f32 = np.int32, np.float32

CODE = r"""
#include <ptx.cuh>
template <class T>
__global__ void load(const T* x, T* y, int stride, int offset) {
  const T value = x[threadIdx.x * stride + offset];
  if (offset < 0) y[threadIdx.x] = value;
}
template <class T>
__global__ void shared(int stride) {
  __shared__ __align__(16) T s[32 * 33];
  s[threadIdx.x * stride] = T();
}
struct Three { float x, y, z; };
extern "C" __global__ void three(const Three* x, Three* y) { y[threadIdx.x] = x[threadIdx.x]; }
extern "C" __global__ void matrices(int stride) {
  __shared__ __align__(16) char s[32 * 144];
  for (int i = threadIdx.x; i < 32 * 144; i += 32) s[i] = 0;
  __syncthreads();
  unsigned r[4];
  dg::ldmatrix(r, dg::shared_address(s + threadIdx.x * stride));
}
extern "C" __global__ void copies(const float4* x, int stride) {
  __shared__ float4 s[32 * 2];
  dg::cp_async<16>(dg::shared_address(&s[threadIdx.x * stride]), &x[threadIdx.x], threadIdx.x < 24 ? 16 : 0);
  dg::cp_async_wait_all();
}
extern "C" __global__ void loop(const float* x, float* y, int n) {
  float sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
  for (int o = 16; o; o /= 2) sum += __shfl_xor_sync(~0u, sum, o);
  if (threadIdx.x % 32 == 0) atomicAdd(y, sum);
}
"""
TYPES = ("float", "float4", "__half", "double")


@pytest.fixture(scope="module")
def module():
    names = [f"load<{t}>" for t in TYPES] + [f"shared<{t}>" for t in ("float", "double", "float4")]
    return emulator.RawModule(CODE, name_expressions=names)


def only_row(traffic, kind):
    (row,) = [r for r in traffic if r.kind == kind]
    return row


@pytest.mark.parametrize(
    ("type_", "size", "stride", "offset", "sectors", "ideal"),
    [
        ("float", 4, 1, 0, 4, 4),
        ("float", 4, 1, 1, 5, 4),  # shifted by one element: one more sector
        ("float", 4, 1, 8, 4, 4),  # shifted by a whole sector
        ("float", 4, 2, 0, 8, 4),
        ("float", 4, 8, 0, 32, 4),
        ("float", 4, 0, 3, 1, 1),  # all lanes read the same word
        ("float4", 16, 1, 0, 16, 16),
        ("__half", 2, 1, 0, 2, 2),
        ("double", 8, 1, 0, 8, 8),
    ],
)
def test_sectors_of_a_global_load(module, type_, size, stride, offset, sectors, ideal):
    x = np.zeros((31 * stride + offset + 1) * size, np.uint8)
    with module.count() as traffic:
        module.get_function(f"load<{type_}>")((1,), (32,), (x, x, i32(stride), i32(offset)))
    row = only_row(traffic, "global load")
    assert (row.size, row.requests, row.bytes, row.units, row.ideal) == (size, 1, 32 * size, sectors, ideal)
    assert row.efficiency == ideal / sectors
    assert traffic.excess_sectors == sectors - ideal


def test_sectors_count_from_the_start_of_the_allocation(module):
    x = np.zeros(41, f32)
    with module.count() as traffic:  # a view that starts at the second element
        module.get_function("load<float>")((1,), (32,), (x[1:], x, i32(1), i32(0)))
    assert only_row(traffic, "global load").units == 5


@pytest.mark.parametrize(
    ("type_", "stride", "wavefronts", "ideal"),
    [
        ("float", 1, 1, 1),
        ("float", 2, 2, 1),
        ("float", 3, 1, 1),
        ("float", 32, 32, 1),
        ("float", 33, 1, 1),
        ("float", 0, 1, 1),
        ("double", 1, 2, 2),
        ("double", 2, 4, 2),
        ("float4", 1, 4, 4),
        ("float4", 2, 8, 4),
        ("float4", 3, 4, 4),
    ],
)
def test_wavefronts_of_a_shared_store(module, type_, stride, wavefronts, ideal):
    with module.count() as traffic:
        module.get_function(f"shared<{type_}>")((1,), (32,), (i32(stride),))
    row = only_row(traffic, "shared store")
    assert (row.requests, row.units, row.ideal) == (1, wavefronts, ideal)
    assert traffic.bank_conflicts == wavefronts - ideal


def test_a_struct_without_vector_alignment_goes_word_by_word(module):
    x = np.zeros(96, f32)
    with module.count() as traffic:
        module.get_function("three")((1,), (32,), (x, x.copy()))
    row = only_row(traffic, "global load")
    assert (row.size, row.requests, row.bytes) == (4, 3, 384)
    assert row.per_request == 12  # every request touches all 12 sectors


@pytest.mark.parametrize(("stride", "wavefronts"), [(16, 4), (128, 32), (144, 4)])
def test_wavefronts_of_ldmatrix(module, stride, wavefronts):
    """One wavefront a matrix if its eight 16-byte rows fall into different banks."""
    with module.count() as traffic:
        module.get_function("matrices")((1,), (32,), (i32(stride),))
    row = only_row(traffic, "ldmatrix")
    assert (row.size, row.requests, row.bytes, row.units, row.ideal) == (16, 1, 512, wavefronts, 4)


@pytest.mark.parametrize(("stride", "wavefronts"), [(1, 4), (2, 8)])
def test_both_sides_of_an_asynchronous_copy(module, stride, wavefronts):
    with module.count() as traffic:
        module.get_function("copies")((1,), (32,), (np.zeros(128, f32), i32(stride)))
    read, write = only_row(traffic, "copy read"), only_row(traffic, "copy write")
    assert (read.requests, read.bytes, read.units) == (
        1,
        24 * 16,
        12,
    )  # the last 8 lanes fill with zeros and read nothing
    assert (write.requests, write.bytes, write.units) == (1, 32 * 16, wavefronts)


def test_a_loop_counts_every_iteration(module):
    x = np.ones(1000, f32)
    y = np.zeros(1, f32)
    with module.count() as traffic:
        module.get_function("loop")((1,), (64,), (x, y, i32(1000)))
    assert y[0] == 1000
    load, atomic = only_row(traffic, "global load"), only_row(traffic, "global atomic")
    assert load.bytes == traffic.bytes("global load") == 4000
    assert load.requests == 16 + 16  # 15 iterations of 64 threads, then 40 threads: both warps once more
    assert load.units == load.ideal == 125
    assert (atomic.requests, atomic.bytes) == (2, 8)
    assert load.line == next(i for i, text in enumerate(CODE.splitlines(), 1) if "sum += x[i]" in text)


def test_counting_stops_with_the_block_and_leaves_results_alone(module):
    y = np.zeros(1, f32)
    with module.count() as traffic:
        module.get_function("loop")((1,), (32,), (np.ones(64, f32), y, i32(64)))
    before = str(traffic)
    module.get_function("loop")((1,), (32,), (np.ones(64, f32), y, i32(64)))
    assert (str(traffic), y[0]) == (before, 128)
    assert "global load" in before
    assert "kernel.cu:" in before


def test_padding_a_tile_removes_its_bank_conflicts():
    """What the transpose sample is for."""
    text = (SAMPLES / "transpose.cu").read_text()
    x, out = np.zeros((64, 64), f32), np.zeros((64, 64), f32)
    conflicts = {}
    for padded, source in ((True, text), (False, text.replace("[TILE + 1]", "[TILE]"))):
        module = emulator.RawModule(source, name_expressions=["transpose<float, 32, 8>"])
        with module.count() as traffic:
            module.get_function("transpose<float, 32, 8>")((2, 2), (32, 8), (out, x, i32(64), i32(64)))
        conflicts[padded] = traffic.bank_conflicts
        assert traffic.excess_sectors == 0
        assert traffic.bytes("global") == 2 * 64 * 64 * 4
    assert conflicts == {True: 0, False: 31 * 64 * 64 // 32}
    naive = emulator.RawModule(path=Path(SAMPLES / "transpose.cu"))
    with naive.count() as traffic:
        naive.get_function("transpose_naive")((2, 8), (32, 8), (out, x, i32(64), i32(64)))
    assert only_row(traffic, "global store").per_request == 32
