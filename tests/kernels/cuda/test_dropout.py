"""dropout.cu: Philox against its published numbers and a loop in Python; masks, layouts, and that they come again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from deepgpu.kernels.emulator import RawModule, compile_judge

import deepgpu as dg
from deepgpu.backends.cuda import dropout, instances, runtime
from deepgpu.testing import usable
from deepgpu.testing.layouts import LAYOUTS
from tests.kernels.cuda.emulated import DTYPES, SEEDS, assert_near, counted, judged, random, run

INSTANCES = {"dropout.cu": instances.INSTANCES["dropout.cu"]}
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 100, 255, 256, 257, 1023, 1024, 1025, 4099)
KEY = 0x299F31D0A4093822


def philox(counter: int, key: int) -> tuple[int, ...]:
    """Four words: the rounds as Salmon et al. (SC'11) write them, on Python's integers."""
    c, k = [counter & 0xFFFFFFFF, counter >> 32 & 0xFFFFFFFF, 0, 0], [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [k[0] + 0x9E3779B9 & 0xFFFFFFFF, k[1] + 0xBB67AE85 & 0xFFFFFFFF]
    return tuple(c)


def mask_of(n: int, p: float, key: int) -> np.ndarray:
    words = [w for i in range(-(-n // 4)) for w in philox(i, key)][:n]
    return np.array(words) >= round(p * 2**32)


def test_philox_gives_the_published_words():
    """The known answers of the Random123 distribution for a counter and a key of zeros."""
    published = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    assert philox(0, 0) == published
    source = """#include <philox.cuh>
extern "C" __global__ void words(uint4* out, unsigned long long first, unsigned long long key) {
  out[threadIdx.x] = dg::philox(first + threadIdx.x, key);
}"""
    kernel = RawModule(source, options=runtime.compiler_options()).get_function("words")
    for first, key in ((0, 0), (2**32 - 3, KEY), (2**63, 2**64 - 1)):
        out = np.zeros((8, 4), np.uint32)
        kernel((1,), (8,), (out, np.uint64(first), np.uint64(key)))
        np.testing.assert_array_equal(out, [philox(first + i, key) for i in range(8)])


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_at_every_length(dtype, rng):
    for i, n in enumerate(SIZES):
        x, p = random(rng, dtype, n), (0.1, 0.5, 0.9)[i % 3]
        mask = dropout.PhiloxMask(KEY + i, round(p * 2**32), (0,))
        got = [run(dropout.dropout, x, mask, 1 / (1 - p), seed=seed) for seed in SEEDS]
        assert_near(got[0], x.astype(float) * mask_of(n, p, KEY + i) / (1 - p), dtype)
        np.testing.assert_array_equal(got[0], got[1])


@pytest.mark.parametrize("arrange", LAYOUTS)
def test_the_mask_follows_the_memory_of_what_it_was_made_for(arrange, rng):
    for shape in ((3, 5), (2, 3, 4, 5), (1, 7, 1, 2), (), (0, 3)):
        x = LAYOUTS[arrange](random(rng, "float32", *shape))
        mask = dropout.dropout_mask(np, x, 0.5, lambda: np.random.default_rng(0))
        kept = mask_of(x.size, 0.5, mask.key).reshape([x.shape[a] for a in mask.order])
        kept = kept.transpose(np.argsort(mask.order)) if x.ndim else kept
        assert_near(run(dropout.dropout, x, mask, 2.0), 2 * x.astype(float) * kept, "float32")
        other = random(rng, "float32", *shape)  # a gradient, in another layout
        assert_near(run(dropout.dropout, other, mask, 2.0), 2 * other.astype(float) * kept, "float32")


def test_a_dropped_nan_stays_one():
    x = np.full(64, np.nan, np.float32)
    assert np.isnan(run(dropout.dropout, x, dropout.PhiloxMask(1, 2**31, (0,)), 2.0)).all()


def test_arrays_that_begin_anywhere(rng):
    x = random(rng, "float32", 1003)
    mask = dropout.PhiloxMask(KEY, 2**31, (0,))
    got = run(lambda xp, x: dropout.dropout(xp, x[3:], mask, 2.0), x)
    assert_near(got, 2 * x[3:].astype(float) * mask_of(1000, 0.5, KEY), "float32")


def test_the_op_repeats_with_its_seed_and_in_backward():
    with usable("cuda"):
        ys = []
        for seed in (3, 3, 4):
            dg.manual_seed(seed)
            x = dg.ones(50, 40, device="cuda", requires_grad=True)
            y = dg.nn.functional.dropout(x, 0.3)
            y.sum().backward()
            ys.append(y.detach().cpu().numpy())
            np.testing.assert_array_equal(x.grad.cpu().numpy(), ys[-1])
    np.testing.assert_array_equal(ys[0], ys[1])
    assert (ys[0] != ys[2]).any()
    zeros = (ys[0] == 0).mean()
    assert abs(zeros - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 2000)
    for a, b in ((ys[0][1:], ys[0][:-1]), (ys[0][:, 1:], ys[0][:, :-1])):
        assert abs(((a == 0) & (b == 0)).mean() - 0.09) < 5 * math.sqrt(0.09 * 0.91 / 2000)


def test_checked(rng):
    for n in (5, 2055):
        x, mask = random(rng, "float32", n), dropout.PhiloxMask(KEY, 2**31, (0,))
        got = run(dropout.dropout, x, mask, 2.0, check=True)
        assert_near(got, 2 * x.astype(float) * mask_of(n, 0.5, KEY), "float32")


def test_a_key_in_memory(rng):
    for n in (5, 2055):
        x, key = random(rng, "float32", n), np.array([KEY], np.uint64)

        def dropped(xp, x, key):
            return dropout.dropout(xp, x, dropout.PhiloxMask(key, 2**31, (0,)), 2.0)

        for seed in SEEDS:
            got = run(dropped, x, key, check=True, seed=seed)
            assert_near(got, 2 * x.astype(float) * mask_of(n, 0.5, KEY), "float32")


def test_traffic_is_what_the_header_says(rng):
    x = random(rng, "float32", 4096)
    with counted("dropout.cu", "dropout<float, 4>") as traffic:
        run(dropout.dropout, x, dropout.PhiloxMask(KEY, 2**31, (0,)), 2.0)
    assert traffic.bytes("global") == 2 * x.nbytes
    assert traffic.excess_sectors == 0
    assert {row.size for row in traffic} == {16}


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("dropout.cu", INSTANCES["dropout.cu"], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("dropout.cu", INSTANCES["dropout.cu"], compile_judge.ARCHITECTURES)
