"""Kernels in the style of NVIDIA's public samples run as they are; with a planted bug, they are caught.

Every kernel runs fast and checked, in several orders, against NumPy. A mutant is one change of the text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from deepgpu.kernels.emulator import InitcheckError, MemcheckError, RacecheckError, SynccheckError

from deepgpu.kernels import emulator

SAMPLES = Path(__file__).with_name("samples")
SEEDS = (0, 1, 7)
i32, u32, f32 = np.int32, np.uint32, np.float32


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(f32)


# Each case: sample, kernel, launch(kernel, seed) that runs it and compares, name expressions.
def reduce_shared(kernel, seed):
    x, out = random(seed, 1000), np.zeros(4, f32)
    kernel((4,), (128,), (x, out, u32(1000)), shared_mem=512, seed=seed)
    want = [x[i * 256 : (i + 1) * 256].astype(np.float64).sum() for i in range(4)]
    np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)


def reduce_warps(kernel, seed):
    x, out = np.random.default_rng(seed).integers(-99, 99, 3000).astype(i32), np.zeros(3, i32)
    kernel((3,), (256,), (x, out, u32(3000)), seed=seed)
    assert out.sum() == x.sum()


def reduce_groups(kernel, seed):
    x, out = random(seed, 777), np.zeros(1, f32)
    kernel((1,), (192,), (x, out, u32(777)), seed=seed)
    np.testing.assert_allclose(out[0], x.astype(np.float64).sum(), rtol=1e-4, atol=1e-4)


def reduce_one_pass(kernel, seed):
    x, out = random(seed, 1500), np.zeros(1, f32)
    for _ in range(2):  # the counter returns to 0
        kernel((6,), (128,), (x, np.zeros(6, f32), out, u32(1500)), seed=seed)
        np.testing.assert_allclose(out[0], x.astype(np.float64).sum(), rtol=1e-4, atol=1e-4)


def exclusive(x):
    return np.concatenate([[0], np.cumsum(x)[:-1]])


def scan_blelloch(kernel, seed):
    x, out = np.random.default_rng(seed).integers(0, 99, 256).astype(i32), np.zeros(256, i32)
    kernel((1,), (128,), (x, out), seed=seed)
    np.testing.assert_array_equal(out, exclusive(x))


def scan_shuffle(kernel, seed):
    x, out = np.random.default_rng(seed).integers(0, 99, 300).astype(i32), np.zeros(300, i32)
    kernel((1,), (320,), (x, out, i32(300)), seed=seed)
    np.testing.assert_array_equal(out, exclusive(x))


def transpose(kernel, seed):
    x, out = random(seed, 70, 45), np.full((45, 70), np.nan, f32)
    kernel((2, 3), (32, 8), (out, x, i32(45), i32(70)), seed=seed)
    np.testing.assert_array_equal(out, x.T)


def transpose_naive(kernel, seed):
    x, out = random(seed, 70, 45), np.full((45, 70), np.nan, f32)
    kernel((2, 9), (32, 8), (out, x, i32(45), i32(70)), seed=seed)
    np.testing.assert_array_equal(out, x.T)


def matrix_mul(kernel, seed):
    a, b, c = random(seed, 50, 40), random(seed + 1, 40, 35), np.full((50, 35), np.nan, f32)
    kernel((3, 4), (16, 16), (c, a, b, i32(50), i32(35), i32(40)), seed=seed)
    np.testing.assert_allclose(c, a.astype(np.float64) @ b, rtol=1e-4, atol=1e-4)


def histogram(kernel, seed):
    data, bins = np.random.default_rng(seed).integers(0, 256, 4096).astype(np.uint8), np.zeros(256, u32)
    kernel((3,), (96,), (data.view(u32), bins, u32(1024)), seed=seed)
    np.testing.assert_array_equal(bins, np.bincount(data, minlength=256))


def stencil(kernel, seed):
    kernel.module.get_global("coefficient").view(f32)[:] = [0.5, 0.25, -0.125, 1]
    x, out = random(seed, 500), np.full(500, np.nan, f32)
    kernel((4,), (128,), (x, out, i32(500)), seed=seed)
    padded = np.pad(x.astype(np.float64), 3)
    want = 0.5 * x + sum(
        c * (padded[3 - r : 503 - r] + padded[3 + r : 503 + r]) for r, c in ((1, 0.25), (2, -0.125), (3, 1))
    )
    np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)


def softmax_of(x):
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def softmax(kernel, seed):
    x = 5 * random(seed, 4, 600)
    out = np.full_like(x, np.nan)
    kernel((4,), (128,), (x, out, i32(600)), seed=seed)
    np.testing.assert_allclose(out, softmax_of(x), rtol=1e-4, atol=1e-7)


def softmax_half(kernel, seed):
    x = (3 * random(seed, 2, 300)).astype(np.float16)
    out = np.full_like(x, np.nan)
    kernel((2,), (64,), (x, out, i32(150)), seed=seed)
    np.testing.assert_allclose(out.astype(np.float64), softmax_of(x), rtol=2e-3, atol=1e-6)


def filter_positive(kernel, seed):
    x, out, count = np.random.default_rng(seed).integers(-9, 9, 500).astype(i32), np.zeros(500, i32), np.zeros(1, u32)
    kernel((2,), (96,), (x, out, count, i32(500)), seed=seed)
    assert count[0] == (x > 0).sum()
    np.testing.assert_array_equal(np.sort(out[: count[0]]), np.sort(x[x > 0]))


def tiles(kernel, seed):
    x = np.random.default_rng(seed).integers(-99, 99, 96).astype(i32)
    sums, greatest, prefix = np.zeros(24, i32), np.zeros(24, i32), np.zeros(96, i32)
    kernel((1,), (48, 2), (x, sums, greatest, prefix), seed=seed)
    four = x.reshape(24, 4)
    np.testing.assert_array_equal(sums, four.sum(1))
    np.testing.assert_array_equal(greatest, four.max(1))
    np.testing.assert_array_equal(prefix.reshape(24, 4), np.cumsum(four, 1) - four)


def jacobi(kernel, seed):
    a = random(seed, 200)
    b, want = np.zeros_like(a), a.copy()
    kernel((4,), (64,), (a, b, i32(200), i32(6)), seed=seed)
    for _ in range(6):
        want[1:-1] = f32(0.5) * (want[:-2] + want[2:])
    np.testing.assert_allclose(a, want, rtol=1e-5, atol=1e-6)


def column_sums(kernel, seed):
    x, out = random(seed, 7, 64, 4), np.full((64, 4), np.nan, f32)
    kernel((1,), (64,), (x, out, i32(7)), seed=seed)
    np.testing.assert_allclose(out, x.astype(np.float64).sum(0)[::-1], rtol=1e-5, atol=1e-5)


def wmma_gemm(kernel, seed):
    a, b, c = (
        random(seed, 32, 48).astype(np.float16),
        random(seed + 1, 48, 48).astype(np.float16),
        np.full((32, 48), np.nan, f32),
    )
    kernel((2, 2), (64,), (a, b, c, i32(32), i32(48), i32(48)), seed=seed)
    np.testing.assert_allclose(c, a.astype(np.float64) @ b.astype(np.float64).T, rtol=1e-3, atol=1e-3)


CASES = {
    "reduction": {
        "reduce_shared": reduce_shared,
        "reduce_warps<int, 256>": reduce_warps,
        "reduce_groups": reduce_groups,
        "reduce_one_pass": reduce_one_pass,
    },
    "scan": {"scan_blelloch<256>": scan_blelloch, "scan_shuffle": scan_shuffle},
    "transpose": {"transpose<float, 32, 8>": transpose, "transpose_naive": transpose_naive},
    "matrix_mul": {"matrix_mul<16>": matrix_mul},
    "histogram": {"histogram": histogram},
    "stencil": {"stencil": stencil},
    "softmax": {"softmax": softmax, "softmax_half": softmax_half},
    "groups": {"filter": filter_positive, "tiles": tiles},
    "pipeline": {"column_sums": column_sums},
    "wmma": {"wmma_gemm": wmma_gemm},
}


def load(sample: str, check: bool, change: tuple[str, str] | None = None, **keywords) -> emulator.RawModule:
    """A sample, perhaps with a piece of its text changed; ``#include``s still find their files."""
    text = (SAMPLES / f"{sample}.cu").read_text()
    if change is not None:
        assert text.count(change[0]) >= 1, f"{sample}.cu no longer has {change[0]!r}"
        text = text.replace(change[0], change[1], 1)
    names = [n for n in CASES.get(sample, {}) if "<" in n]
    return emulator.RawModule(text, name_expressions=names, check=check, **keywords)


_modules: dict[tuple[str, bool], emulator.RawModule] = {}


@pytest.mark.parametrize("check", [False, True], ids=["fast", "check"])
@pytest.mark.parametrize(("sample", "name"), [(s, n) for s, kernels in CASES.items() for n in kernels])
def test_sample_is_right_in_every_order(sample, name, check):
    module = _modules.setdefault((sample, check), load(sample, check))
    for seed in SEEDS:
        CASES[sample][name](module.get_function(name), seed)


@pytest.mark.parametrize("check", [False, True], ids=["fast", "check"])
def test_grid_barrier_of_a_cooperative_launch(check):
    module = load("groups", check, enable_cooperative_groups=True)
    for seed in SEEDS:
        jacobi(module.get_function("jacobi"), seed)


# sample, kernel, text, its replacement, what must report it
MUTANTS = [
    ("reduction", "reduce_shared", "  __syncthreads();  // loads are done", "", RacecheckError),
    ("reduction", "reduce_shared", "    __syncthreads();  // step is done", "", RacecheckError),
    ("reduction", "reduce_shared", "if (i + blockDim.x < n)", "if (i + blockDim.x <= n)", MemcheckError),
    ("reduction", "reduce_shared", "sdata[tid + s];", "sdata[tid + s + 1];", MemcheckError),
    (
        "reduction",
        "reduce_warps<int, 256>",
        "  __syncthreads();\n  if (threadIdx.x < 32)",
        "  if (threadIdx.x < 32)",
        RacecheckError,
    ),
    ("reduction", "reduce_warps<int, 256>", "  if (threadIdx.x < 32) {", "  if (threadIdx.x < 16) {", SynccheckError),
    (
        "reduction",
        "reduce_warps<int, 256>",
        "partial[threadIdx.x / 32] = sum",
        "partial[threadIdx.x / 32 + 1] = sum",
        MemcheckError,
    ),
    ("reduction", "reduce_groups", "  cg::sync(cta);\n", "", RacecheckError),
    (
        "reduction",
        "reduce_one_pass",
        "    __threadfence();  // the sum is visible before the ticket\n",
        "",
        RacecheckError,
    ),
    ("scan", "scan_blelloch<256>", "    __syncthreads();  // before a step up\n", "", RacecheckError),
    ("scan", "scan_blelloch<256>", "    __syncthreads();  // before a step down\n", "", RacecheckError),
    (
        "scan",
        "scan_blelloch<256>",
        "  __syncthreads();  // before the result\n",
        "",
        None,
    ),  # a thread reads what it wrote
    (
        "scan",
        "scan_blelloch<256>",
        "temp[2 * t + 1] = in[2 * t + 1];",
        "temp[2 * t + 2] = in[2 * t + 1];",
        (MemcheckError, InitcheckError, RacecheckError),
    ),
    ("scan", "scan_shuffle", "  __syncthreads();  // totals are written\n", "", RacecheckError),
    ("scan", "scan_shuffle", "  __syncthreads();  // totals are scanned\n", "", RacecheckError),
    ("scan", "scan_shuffle", "  if (t < n) out[t]", "  out[t]", MemcheckError),
    ("transpose", "transpose<float, 32, 8>", "  __syncthreads();\n", "", RacecheckError),
    (
        "transpose",
        "transpose<float, 32, 8>",
        "if (x < height && y + j < width)",
        "if (x <= height && y + j < width)",
        (MemcheckError, RacecheckError, InitcheckError),
    ),
    (
        "transpose",
        "transpose<float, 32, 8>",
        "if (x < width && y + j < height) tile",
        "if (x < width) tile",
        MemcheckError,
    ),
    (
        "matrix_mul",
        "matrix_mul<16>",
        "    __syncthreads();  // the tiles are loaded\n",
        "",
        RacecheckError,
    ),
    ("matrix_mul", "matrix_mul<16>", "    __syncthreads();  // the tiles are used\n", "", RacecheckError),
    ("matrix_mul", "matrix_mul<16>", "k0 + ty < K &&", "k0 + ty <= K &&", MemcheckError),
    ("histogram", "histogram", "  __syncthreads();  // the bins are empty\n", "", RacecheckError),
    ("histogram", "histogram", "  __syncthreads();  // the bins are full\n", "", RacecheckError),
    (
        "histogram",
        "histogram",
        "atomicAdd(&local[four >> shift & 0xffu], 1u)",
        "local[four >> shift & 0xffu]++",
        RacecheckError,
    ),
    ("histogram", "histogram", "atomicAdd(&bins[i], local[i])", "bins[i] += local[i]", RacecheckError),
    ("stencil", "stencil", "  __syncthreads();\n", "", RacecheckError),
    ("stencil", "stencil", "if (threadIdx.x < RADIUS)", "if (threadIdx.x < RADIUS - 1)", InitcheckError),
    ("stencil", "stencil", "line[BLOCK + 2 * RADIUS]", "line[BLOCK + RADIUS]", MemcheckError),
    ("stencil", "stencil", "g >= RADIUS ?", "g >= 0 ?", MemcheckError),
    (
        "softmax",
        "softmax",
        "  __syncthreads();  // the previous result has been read\n",
        "",
        None,
    ),  # each instance has its array
    ("softmax", "softmax", "  __syncthreads();\n  value = lane", "  value = lane", RacecheckError),
    (
        "softmax",
        "softmax",
        "x + size_t(blockIdx.x) * columns);",
        "x + size_t(blockIdx.x) * columns + 1);",
        MemcheckError,
    ),
    ("softmax", "softmax_half", "x[blockIdx.x * pairs + i]", "x[(blockIdx.x + 1) * pairs + i]", MemcheckError),
    ("groups", "filter", "active.shfl(base, 0)", "base", RacecheckError),
    ("groups", "tiles", "if (tile.thread_rank() == 0) {", "if (tile.thread_rank() < 1 || value > 0) {", None),
    ("pipeline", "column_sums", "    __pipeline_wait_prior(STAGES - 2);", "    ", RacecheckError),
    ("pipeline", "column_sums", "wait_prior(STAGES - 2)", "wait_prior(STAGES - 1)", RacecheckError),
    ("pipeline", "column_sums", "    __syncthreads();  ", "    ", RacecheckError),
    ("pipeline", "column_sums", "  __pipeline_wait_prior(0);  // nothing is left in flight\n", "", None),
    ("pipeline", "column_sums", "if (tile < tiles)", "if (tile <= tiles)", MemcheckError),
]


@pytest.mark.parametrize(
    ("sample", "name", "old", "new", "errors"), MUTANTS, ids=[f"{m[0]}-{i}" for i, m in enumerate(MUTANTS)]
)
def test_planted_bug_is_caught(sample, name, old, new, errors):
    kernel = load(sample, True, (old, new)).get_function(name)

    def run():
        for seed in SEEDS:
            CASES[sample][name](kernel, seed)

    if errors is None:  # a change that is no bug: nothing must be reported
        run()
        return
    with pytest.raises(errors):
        run()


def test_deleted_grid_barrier_is_caught():
    module = load("groups", True, ("    grid.sync();\n", ""), enable_cooperative_groups=True)
    with pytest.raises(RacecheckError):
        jacobi(module.get_function("jacobi"), 0)


def test_grid_barrier_needs_a_cooperative_launch():
    with pytest.raises(emulator.TrapError, match="enable_cooperative_groups=True"):
        jacobi(load("groups", True).get_function("jacobi"), 0)
