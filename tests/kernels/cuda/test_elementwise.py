"""elementwise.cu and transpose.cu: every length around a vector, a block and a grid; all layouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import elementwise, instances, layout
from deepgpu.testing.layouts import LAYOUTS
from tests.kernels.cuda.emulated import (
    DTYPES,
    SEEDS,
    assert_barriers_matter,
    assert_near,
    counted,
    judged,
    random,
    run,
)

INSTANCES = {file: instances.INSTANCES[file] for file in ("elementwise.cu", "transpose.cu")}
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 100, 255, 256, 257, 1023, 1024, 1025, 4099)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 6.0, 7.0]
LIMITS = (-0.5, 0.75)


def expected(name: str, *arrays: np.ndarray) -> np.ndarray:
    """PyTorch's result in float64."""
    x, *rest = (torch.from_numpy(a.astype(np.float64)) for a in arrays)
    low, high = LIMITS
    return {
        "relu": lambda: torch.relu(x),
        "erf": lambda: torch.erf(x),
        "hardtanh": lambda: torch.nn.functional.hardtanh(x, low, high),
        "relu_backward": lambda: torch.where(rest[0] <= 0, 0.0, x),
        "hardtanh_backward": lambda: torch.where((rest[0] <= low) | (rest[0] >= high), 0.0, x),
    }[name]().numpy()


FUNCTIONS = {
    "relu": (elementwise.relu, 1, ()),
    "erf": (elementwise.erf, 1, ()),
    "hardtanh": (elementwise.hardtanh, 1, LIMITS),
    "relu_backward": (elementwise.relu_backward, 2, ()),
    "hardtanh_backward": (elementwise.hardtanh_backward, 2, LIMITS),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_at_every_length(name, dtype, rng):
    function, operands, limits = FUNCTIONS[name]
    for seed in SEEDS:
        for n in SIZES:
            arrays = [random(rng, dtype, n) for _ in range(operands)]
            assert_near(run(function, *arrays, *limits, seed=seed), expected(name, *arrays), dtype)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name):
    function, operands, limits = FUNCTIONS[name]
    grid = np.meshgrid(SPECIAL, SPECIAL)[:operands]
    arrays = [np.asarray(g, np.float32) for g in grid]
    assert_near(run(function, *arrays, *limits), expected(name, *arrays), "float32")


@pytest.mark.parametrize("arrange", LAYOUTS)
@pytest.mark.parametrize("name", ["relu", "hardtanh_backward"])
def test_layouts(name, arrange, rng):
    function, operands, limits = FUNCTIONS[name]
    for shape in ((3, 5), (2, 3, 4, 5), (1, 7, 1, 2), (), (0, 3)):
        arrays = [random(rng, "float32", *shape) for _ in range(operands)]
        arrays[0] = LAYOUTS[arrange](arrays[0])
        assert_near(run(function, *arrays, *limits), expected(name, *arrays), "float32")


def test_arrays_that_begin_anywhere(rng):
    x = random(rng, "float32", 1003)
    got = run(lambda xp, x: elementwise.relu(xp, x[3:]), x)
    assert_near(got, np.maximum(x[3:].astype(float), 0), "float32")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_checked(name, rng):
    function, operands, limits = FUNCTIONS[name]
    for n in (5, 2055):
        arrays = [random(rng, "float32", n) for _ in range(operands)]
        assert_near(run(function, *arrays, *limits, check=True), expected(name, *arrays), "float32")


def test_traffic_is_what_the_header_says(rng):
    x = random(rng, "float32", 4096)
    with counted("elementwise.cu", "unary<Relu, float, 4>") as traffic:
        run(elementwise.relu, x)
    assert traffic.bytes("global") == 2 * x.nbytes
    assert traffic.excess_sectors == 0


IMAGES = (
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (1, 33, 4, 8),
    (3, 32, 8, 4),
    (2, 64, 1, 1),
    (1, 2, 40, 31),
    (2, 31, 33, 1),
    (1, 70, 9),
    (1, 32, 32),
    (2, 33, 33),
    (1, 5, 64),
    (3, 65, 3),
    (1, 3, 9, 11),
    (2, 128, 2, 3),
)


PADDED = (  # images, channels, height, width
    (1, 1, 1, 1), (2, 3, 5, 7), (1, 3, 9, 8), (3, 3, 16, 16), (1, 2, 33, 4), (2, 1, 28, 28), (1, 5, 6, 6), (2, 9, 4, 4),
    (1, 7, 3, 11), (1, 15, 2, 2), (4, 3, 1, 13), (1, 3, 17, 1), (1, 17, 5, 5), (2, 33, 3, 3), (8, 3, 3, 3),
    (0, 3, 4, 4), (16, 3, 7, 7), (1, 13, 8, 9), (3, 6, 4, 7), (2, 11, 10, 3), (1, 3, 40, 41), (5, 2, 2, 2),
    (1, 4, 6, 3), (2, 16, 3, 5),
)  # fmt: skip


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_channels_up_to_whole_chunks(dtype, check, rng):
    chunk = 16 // DTYPES[dtype].itemsize
    for shape in PADDED[:3] if check else PADDED:
        x = random(rng, dtype, *shape)
        want = np.pad(x.astype(float), ((0, 0), (0, -shape[1] % chunk), (0, 0), (0, 0)))
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        gaps = np.repeat(x, 2, axis=3)[..., ::2]
        for arranged in (x, last, gaps):
            for seed in SEEDS:
                got = run(layout.padded_channels, arranged, seed=seed, check=check)
                assert got.transpose(0, 2, 3, 1).flags.c_contiguous
                np.testing.assert_array_equal(got.astype(float), want)


def test_chunks_are_written_once_and_wide(rng):
    x = random(rng, "float32", 2, 3, 16, 16)
    with counted("transpose.cu", "pad_channels<unsigned>") as traffic:
        y = run(layout.padded_channels, x)
    assert traffic.bytes("global load") == x.nbytes
    assert traffic.bytes("global store") == y.nbytes
    assert traffic.excess_sectors == 0
    assert {row.size for row in traffic if row.kind == "global store"} == {16}


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_images_laid_out_anew(dtype, rng):
    for seed in SEEDS:
        for shape in IMAGES:
            x = rng.integers(0, 200, shape).astype(dtype)
            last = run(layout.channels_last, x, seed=seed)
            np.testing.assert_array_equal(last, x, strict=True)
            assert np.moveaxis(last, 1, -1).flags.c_contiguous
            first = run(layout.channels_first, last, seed=seed)
            np.testing.assert_array_equal(first, x, strict=True)
            assert first.flags.c_contiguous


def test_transpose_has_no_bank_conflicts(rng):
    x = random(rng, "float32", 2, 64, 8, 12)
    with counted("transpose.cu", "transpose<unsigned>") as traffic:
        run(layout.channels_last, x)
    assert traffic.bytes("global") == 2 * x.nbytes
    assert traffic.bank_conflicts == 0
    assert traffic.excess_sectors == 0


def test_barriers_of_the_transpose(rng, caught):
    x = random(rng, "float32", 2, 40, 6, 7)

    def exercise() -> None:
        np.testing.assert_array_equal(run(layout.channels_last, x, check=True, seed=2), x)

    assert_barriers_matter("transpose.cu", exercise, caught)


@pytest.mark.kernels
@pytest.mark.parametrize("file", INSTANCES)
def test_compiles_for_a_gpu(file):
    judged(file, INSTANCES[file], (90,))


@pytest.mark.full
@pytest.mark.kernels
@pytest.mark.parametrize("file", INSTANCES)
def test_compiles_for_every_architecture(file):
    judged(file, INSTANCES[file], compile_judge.ARCHITECTURES)
