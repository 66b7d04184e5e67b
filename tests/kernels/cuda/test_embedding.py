"""embedding.cu against loops in float64: rows of every width, and numbers that occur never, once and very often."""

from __future__ import annotations

import numpy as np
import pytest
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import embedding, instances
from tests.kernels.cuda.emulated import DTYPES, SEEDS, assert_near, counted, judged, random, run

INSTANCES = {"embedding.cu": instances.INSTANCES["embedding.cu"]}
CASES = [  # rows of the table, features, numbers
    (1, 1, (1,)), (1, 1, (33,)), (3, 2, ()), (2, 3, (4,)), (5, 4, (2, 3)), (7, 8, (31,)), (7, 9, (32,)), (4, 16, (33,)),
    (3, 17, (64,)), (100, 12, (65,)), (2, 31, (70,)), (6, 33, (5, 7)), (1, 64, (100,)), (9, 100, (3,)),
    (50, 127, (40,)), (4, 128, (2, 50)), (3, 129, (35,)), (200, 5, (130,)), (2, 256, (9,)), (30, 260, (12,)),
    (5, 6, (0,)), (64, 7, (64,)),
    (3, 10, (34,)), (9, 3, (96,)), (2, 130, (48,)), (8, 8, (3, 32)), (40, 5, (128,)), (6, 20, (77,)), (12, 6, (41,)),
    (5, 9, (5, 30)), (4, 11, (99,)),
]  # fmt: skip


def reference(g, index, rows):
    """The sums in float64, and those of the absolute values."""
    table, size = (np.zeros((rows, g.shape[-1])) for _ in range(2))
    for i, row in zip(index.reshape(-1), g.reshape(-1, g.shape[-1]).astype(float), strict=True):
        table[i] += row
        size[i] += np.abs(row)
    return table, size


@pytest.mark.parametrize("dtype", DTYPES)
def test_values(dtype, rng):
    for rows, features, shape in CASES:
        table, index = random(rng, dtype, rows, features), rng.integers(0, rows, shape)
        for seed in SEEDS:
            got = run(embedding.embedding, table, index, seed=seed)
            np.testing.assert_array_equal(got.view(np.uint8), table[index].view(np.uint8))
        g = random(rng, dtype, *shape, features)
        got = [run(embedding.embedding_backward, g, index, rows, seed=seed) for seed in SEEDS]
        assert_near(got[0], *reference(g, index, rows)[:1], dtype, magnitude=reference(g, index, rows)[1])
        np.testing.assert_array_equal(got[0].view(np.uint8), got[1].view(np.uint8))


@pytest.mark.parametrize(
    "index",
    [
        np.zeros(200, np.int64),  # a run over many chunks
        np.repeat([0, 1, 2, 3], [31, 1, 64, 40]),  # runs that end where chunks do
        np.repeat([3, 1], [32, 96]),
        np.repeat([2, 0, 1], [1, 95, 33]),
        np.arange(96) % 4,
        np.array([3] * 5),
    ],
    ids=["one", "at the ends", "two", "around", "in turns", "short"],
)
def test_runs_over_chunks(index, rng):
    g = random(rng, "float32", index.size, 6)
    for order in (index, rng.permutation(index)):
        want, size = reference(g, order, 4)
        for check in (False, True):
            assert_near(run(embedding.embedding_backward, g, order, 4, check=check), want, "float32", size)


def test_tables_and_gradients_of_any_layout(rng):
    table, g, index = random(rng, "float32", 8, 10), random(rng, "float32", 7, 12), rng.integers(0, 4, 14)
    got = run(lambda xp, t, i: embedding.embedding(xp, t[::2, 1:], i[::2]), table, index)
    np.testing.assert_array_equal(got, table[::2, 1:][index[::2]])
    got = run(lambda xp, g, i: embedding.embedding_backward(xp, g.T, i[:12], 4), g, index)
    assert_near(got, reference(g.T, index[:12], 4)[0], "float32", 16)


def test_checked(rng):
    for rows, features, shape in ((3, 4, (5,)), (2, 7, (2, 40))):
        table, index = random(rng, "float32", rows, features), rng.integers(0, rows, shape)
        np.testing.assert_array_equal(run(embedding.embedding, table, index, check=True), table[index])


def test_traffic_is_what_the_header_says(rng):
    table, index = random(rng, "float32", 40, 128), rng.integers(0, 40, 64)
    with counted("embedding.cu", "embedding<unsigned, 4>") as traffic:
        out = run(embedding.embedding, table, index)
    numbers = 64 * 32 * 8  # a row's number, counted once a lane
    assert traffic.bytes("global") == 2 * out.nbytes + numbers
    assert traffic.excess_sectors == 0
    g = random(rng, "float32", 64, 128)
    with counted("embedding.cu", "embedding_backward<float>") as traffic:
        run(embedding.embedding_backward, g, np.arange(64) % 40, 40)
    assert traffic.bytes("global atomic") == 0
    assert traffic.excess_sectors == 0


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("embedding.cu", INSTANCES["embedding.cu"], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("embedding.cu", INSTANCES["embedding.cu"], compile_judge.ARCHITECTURES)
