"""Sums of large arrays, against float64."""

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.backends.cpu import reduction

RNG = np.random.default_rng(0)

SHAPES = {  # an array, the axes to sum over
    "image": (RNG.standard_normal((3, 40, 40, 37)).transpose(0, 3, 1, 2), (0, 2, 3)),
    "few channels": (RNG.standard_normal((8, 64, 64, 3)).transpose(0, 3, 1, 2), (0, 2, 3)),
    "rows": (RNG.standard_normal((2053, 100)), (0,)),
    "a single column": (RNG.standard_normal((100_000, 1)), (0,)),
    "one long row": (RNG.standard_normal((1, 40_000)), (0,)),
    "of rows": (RNG.standard_normal((2053, 100)), (1,)),
    "of long rows": (RNG.standard_normal((3, 50_001)), (1,)),
    "of rows of several axes": (RNG.standard_normal((3, 37, 40, 41)), (3, 2)),
    "of many short rows": (RNG.standard_normal((50_000, 3)), (1,)),
    "wide rows": (RNG.standard_normal((40, 4099)), (0,)),
    "planes of channels": (RNG.standard_normal((3, 37, 40, 41)), (0, 2, 3)),
    "pixels of each image": (RNG.standard_normal((3, 40, 40, 37)).transpose(0, 3, 1, 2), (2, 3)),
    "the middle": (RNG.standard_normal((9, 130, 41)), (1,)),
    "the middle, of few columns": (RNG.standard_normal((3, 4100, 5)), (1,)),
    "every other": (RNG.standard_normal((7, 8, 9, 10, 11)), (0, 2, 4)),
    "every other but the last": (RNG.standard_normal((7, 8, 9, 10, 11)), (1, 3)),
    "axes in another order": (RNG.standard_normal((7, 8, 9, 10, 11)).transpose(3, 0, 4, 2, 1), (1, 3)),
    "axes of one element": (RNG.standard_normal((1, 260, 1, 257, 1)), (2, 3)),
    "only axes of one element": (RNG.standard_normal((260, 257, 1)), (2,)),
    "no axes": (RNG.standard_normal((260, 257)), ()),
    "everything": (RNG.standard_normal((7, 37, 401)), (0, 1, 2)),
    "everything, channels-last": (RNG.standard_normal((3, 40, 40, 37)).transpose(0, 3, 1, 2), (0, 1, 2, 3)),
}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("case", SHAPES)
def test_sums(case, dtype, tolerance, keepdims):
    x, axes = SHAPES[case]
    x = x.astype(dtype, order="K")
    y = reduction.sum(x, axes, keepdims)
    expected = x.astype(np.float64).sum(axis=axes, keepdims=keepdims)
    assert y.dtype == dtype
    assert y.shape == expected.shape
    largest = np.abs(x).sum(axis=axes, keepdims=keepdims, dtype=np.float64)
    assert (np.abs(y - expected) <= tolerance * largest).all()


@pytest.mark.parametrize(
    ("x", "axes"),
    [
        (np.ones((2053, 200), np.float32)[:, ::2], (0,)),
        (np.ones((2053, 200), np.float32)[:, ::2], (0, 1)),
        (np.ones((2053, 100), np.int32), (0,)),
        (np.ones((53, 100), np.float32), (0,)),
        (np.ones((0, 100), np.float32), (0,)),
    ],
)
def test_what_is_left_to_numpy(x, axes):
    assert reduction.sum(x, axes, False) is None
    np.testing.assert_array_equal(dg.from_numpy(x).sum(axes).numpy(), x.sum(axis=axes))


def test_infinities_and_nan_stay_in_their_column():
    x = RNG.standard_normal((4096, 24)).astype(np.float32)
    x[7, 3], x[9, 5], x[11, 5], x[4000, 8] = np.nan, np.inf, -np.inf, np.inf
    with np.errstate(invalid="ignore"):
        y = reduction.sum(x, (0,), False)
    assert np.isnan(y[[3, 5]]).all()
    assert y[8] == np.inf
    others = np.isfinite(x).all(axis=0)
    np.testing.assert_allclose(y[others], x[:, others].sum(axis=0, dtype=np.float64), atol=1e-3)


def test_the_bits_do_not_depend_on_the_number_of_threads():
    x = RNG.standard_normal((20_000, 50)).astype(np.float32)
    alone = dg.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            dg.set_num_threads(threads)
            results.append(reduction.sum(x, (0,), False))
    finally:
        dg.set_num_threads(alone)
    np.testing.assert_array_equal(*results)
