"""The twins of mma, ldmatrix and cp.async, against the fragment figures of the PTX manual written out as tables.

The tables are from "Matrix Fragments for mma.m16n8k8" (.tf32), "... mma.m16n8k16 with floating point type" and
"Warp-level matrix load instruction: ldmatrix"; T<lane>:{registers} in the figures.
"""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from deepgpu.kernels import emulator

PATH = Path(__file__).with_name("twins.cu")
NAMES = [
    *(f"one_mma<{t}>" for t in ("__nv_bfloat16", "__half", "float")),
    *(f"one_ldmatrix<{n}, {t}>" for n in (1, 2, 4) for t in ("false", "true")),
    *(f"copies<{n}>" for n in (4, 8, 16)),
]
SEEDS = (0, 1, 5)


@pytest.fixture(scope="module", params=[False, True], ids=["fast", "check"])
def module(request):
    return emulator.RawModule(path=PATH, name_expressions=NAMES, check=request.param)


@pytest.fixture(scope="module")
def checked():
    return emulator.RawModule(path=PATH, name_expressions=NAMES, check=True)


# Row and column of every register's elements, for lane 4 * g + q: (row, column) of A, B and D.
def fragments_k16(g, q):
    a = [
        [(g, 2 * q), (g, 2 * q + 1)],
        [(g + 8, 2 * q), (g + 8, 2 * q + 1)],
        [(g, 2 * q + 8), (g, 2 * q + 9)],
        [(g + 8, 2 * q + 8), (g + 8, 2 * q + 9)],
    ]
    b = [[(2 * q, g), (2 * q + 1, g)], [(2 * q + 8, g), (2 * q + 9, g)]]
    return a, b


def fragments_k8(g, q):
    return [[(g, q)], [(g + 8, q)], [(g, q + 4)], [(g + 8, q + 4)]], [[(q, g)], [(q + 4, g)]]


def accumulators(g, q):
    return [(g, 2 * q), (g, 2 * q + 1), (g + 8, 2 * q), (g + 8, 2 * q + 1)]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["__nv_bfloat16", "__half", "float"])
def test_mma_follows_the_fragment_figures(module, kind, seed):
    rng = np.random.default_rng(seed)
    depth, figures = (8, fragments_k8) if kind == "float" else (16, fragments_k16)
    dtype = {"__nv_bfloat16": ml_dtypes.bfloat16, "__half": np.float16, "float": np.float32}[kind]
    a_matrix, b_matrix = (rng.integers(-8, 9, shape).astype(dtype) for shape in ((16, depth), (depth, 8)))
    d_matrix = rng.integers(-8, 9, (16, 8)).astype(np.float32)

    def register(matrix, elements):
        bits = 0
        for i, at in enumerate(elements):
            value = matrix[at].reshape(1).view(np.uint16 if len(elements) == 2 else np.uint32)[0]
            bits |= int(value) << 16 * i
        return bits if len(elements) == 2 or bits == 0 else bits | 0x1FFF  # the low 13 bits of a tf32 must not count

    a, b = np.zeros((32, 4), np.uint32), np.zeros((32, 2), np.uint32)
    d = np.zeros((32, 4), np.float32)
    for lane in range(32):
        in_a, in_b = figures(*divmod(lane, 4))
        a[lane] = [register(a_matrix, e) for e in in_a]
        b[lane] = [register(b_matrix, e) for e in in_b]
        d[lane] = [d_matrix[at] for at in accumulators(*divmod(lane, 4))]
    module.get_function(f"one_mma<{kind}>")((1,), (32,), (d, a, b), seed=seed)
    want = d_matrix + a_matrix.astype(np.float64) @ b_matrix.astype(np.float64)
    for lane in range(32):
        assert d[lane].tolist() == [want[at] for at in accumulators(*divmod(lane, 4))], f"lane {lane}"


def test_mma_of_half_handles_every_value():
    """One product 1 * x a launch would be slow: 16 rows of A hold x, B is the identity's first column."""
    module = emulator.RawModule(path=PATH, name_expressions=NAMES)
    mma = module.get_function("one_mma<__half>")
    special = np.array(
        [0.0, -0.0, 6e-8, -6e-8, 6.1e-5, 65504.0, -65504.0, np.inf, -np.inf, 1 / 3, 1e-7, 2.0, 0.5, 1.0, -1.0, 5e-5],
        np.float16,
    )
    a, b, d = np.zeros((32, 4), np.uint32), np.zeros((32, 2), np.uint32), np.zeros((32, 4), np.float32)
    for lane in range(0, 32, 4):  # column 0 of A is in lanes with q = 0
        a[lane, 0], a[lane, 1] = (int(special[row].view(np.uint16)) for row in (lane // 4, lane // 4 + 8))
    b[0, 0] = int(np.float16(1).view(np.uint16))  # B[0][0] = 1
    mma((1,), (32,), (d, a, b))
    got = np.array([d[4 * (row % 8), 2 * (row // 8)] for row in range(16)])
    np.testing.assert_array_equal(got, special.astype(np.float32))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_ldmatrix_follows_the_figure(module, count, transposed, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 1 << 16, (32, 8)).astype(np.uint16)
    order = rng.permutation(32).astype(np.int32)
    out = np.zeros((32, count), np.uint32)
    module.get_function(f"one_ldmatrix<{count}, {str(transposed).lower()}>")((1,), (32,), (out, x, order), seed=seed)
    for matrix in range(count):
        rows = x[order[8 * matrix : 8 * matrix + 8]]  # lanes 8m to 8m+7 hold its row addresses
        if transposed:
            rows = rows.T
        for lane in range(32):
            g, q = divmod(lane, 4)
            assert out[lane, matrix] == int(rows[g, 2 * q]) | int(rows[g, 2 * q + 1]) << 16, (matrix, lane)


@pytest.mark.parametrize("size", [4, 8, 16])
def test_cp_async_copies_and_fills_with_zeros(module, size):
    rng = np.random.default_rng(size)
    x = rng.integers(1, 256, (3, 32, size)).astype(np.uint8)
    out = np.full_like(x, 77)
    bytes_ = rng.integers(0, size + 1, 32).astype(np.int32)
    module.get_function(f"copies<{size}>")((1,), (32,), (x, out, bytes_))
    keep = np.arange(size)[None, :] < bytes_[:, None]
    np.testing.assert_array_equal(out, np.where(keep, x, 0))


def test_reading_before_the_wait_gives_nan():
    module = emulator.RawModule(path=PATH, name_expressions=NAMES)
    out = np.zeros(32, np.float32)
    module.get_function("early")((1,), (32,), (np.ones(64, np.float32), out))
    assert np.isnan(out).all()


def test_reading_before_the_wait_is_a_race(checked):
    with pytest.raises(emulator.RacecheckError, match="asynchronous copy is in flight") as caught:
        checked.get_function("early")((1,), (32,), (np.ones(64, np.float32), np.zeros(32, np.float32)))
    source = PATH.read_text().splitlines()
    assert "out[lane] = stage[1][lane]" in source[caught.value.line - 1]
    assert "dg::cp_async<4>" in source[int(caught.value.other.location[-1].split(":")[-1]) - 1]


MISUSE = r"""
#include <ptx.cuh>
extern "C" __global__ void incomplete_warp(float* out) {
  unsigned a[4] = {}, b[2] = {};
  float d[4] = {};
  dg::mma(d, a, b, 1.0f);
  out[threadIdx.x] = d[0];
}
extern "C" __global__ void two_instructions(float* out) {
  unsigned a[4] = {}, b[2] = {};
  float d[4] = {};
  if (threadIdx.x < 16) dg::mma(d, a, b, 1.0f);
  else dg::mma(d, a, b, 1.0f);
  out[threadIdx.x] = d[0];
}
extern "C" __global__ void bad_barrier(float* out) { dg::bar_sync(16, 32); }
extern "C" __global__ void misaligned_copy(float* x) {
  __shared__ __align__(16) float s[64];
  dg::cp_async<16>(dg::shared_address(&s[threadIdx.x]), x);
  dg::cp_async_wait_all();
}
extern "C" __global__ void never_awaited(float* x) {
  __shared__ __align__(16) float s[128];
  dg::cp_async<16>(dg::shared_address(&s[threadIdx.x * 4]), x + threadIdx.x * 4);
  dg::cp_async_commit();
}
extern "C" __global__ void two_copies_to_one_place(float* x) {
  __shared__ __align__(16) float s[4];
  dg::cp_async<16>(dg::shared_address(s), x);
  dg::cp_async_wait_all();
}
extern "C" __global__ void overwritten_source(float* x) {
  __shared__ __align__(16) float s[128];
  dg::cp_async<16>(dg::shared_address(&s[threadIdx.x * 4]), x + threadIdx.x * 4);
  x[127 - threadIdx.x] = 0;
  dg::cp_async_wait_all();
}
"""


@pytest.mark.parametrize(
    ("kernel", "threads", "error", "kind"),
    [
        ("incomplete_warp", 48, emulator.SynccheckError, "incomplete_warp"),
        ("two_instructions", 32, emulator.SynccheckError, "divergent_warp"),
        ("bad_barrier", 32, emulator.SynccheckError, "bad_barrier"),
        ("misaligned_copy", 32, emulator.MemcheckError, "misaligned"),
        ("never_awaited", 32, emulator.RacecheckError, "copy_never_awaited"),
        ("two_copies_to_one_place", 32, emulator.RacecheckError, "race"),
        ("overwritten_source", 32, emulator.RacecheckError, "race"),
    ],
)
def test_misuse_is_reported(kernel, threads, error, kind):
    with pytest.raises(error) as caught:
        emulator.RawModule(MISUSE, check=True).get_function(kernel)((1,), (threads,), (np.zeros(128, np.float32),))
    assert caught.value.kind == kind


def test_vector_accesses_by_shared_address(module):
    x = np.arange(128, dtype=np.uint32).reshape(32, 4)
    out = np.zeros_like(x)
    module.get_function("vectors")((1,), (32,), (x, out))
    np.testing.assert_array_equal(out, x[::-1])


def test_round_tf32_is_near_and_keeps_tf32_numbers(module):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1024).astype(np.float32)
    x[:4] = [np.inf, -np.inf, np.nan, 0]
    x[4:512] = (x[4:512].view(np.uint32) & 0xFFFFE000).view(np.float32)  # TF32 already
    got = x.copy().view(np.uint32)
    module.get_function("rounded")((1,), (1024,), (got,))
    got = (got & 0xFFFFE000).view(np.float32)  # what the tensor core reads
    np.testing.assert_array_equal(got[:512], x[:512])
    ulp = np.exp2(np.floor(np.log2(np.abs(x[512:]))) - 10)
    assert (np.abs(got[512:] - x[512:]) <= 0.7 * ulp).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_named_barriers_of_half_a_block(module, seed):
    out = np.zeros(128, np.int32)
    module.get_function("halves")((1,), (128,), (out,), seed=seed)
    np.testing.assert_array_equal(out, np.r_[np.arange(63, -1, -1), np.arange(127, 63, -1)])
