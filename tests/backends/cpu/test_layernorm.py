"""Layer norm and RMS norm on the CPU against float64."""

from typing import Any

import numpy as np
import pytest

from deepgpu.backends import registry
from deepgpu.backends.composed import layernorm as composed

CPU = registry.get("cpu")
RNG = np.random.default_rng(0)
SHAPES = [(1, 1), (7, 1), (1, 5), (300, 33), (4, 5000), (2, 70_001), (129, 768)]
EPS = 1e-5


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def wide(*arrays: np.ndarray | None) -> list[Any]:
    return [None if a is None else a.astype(np.float64) for a in arrays]


def assert_near(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(np.abs(expected).max(), 1))


@pytest.mark.parametrize("centered", [True, False], ids=["layer norm", "RMS norm"])
@pytest.mark.parametrize("parameters", ["none", "weight", "bias", "both"])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients(shape: tuple[int, int], parameters: str, centered: bool) -> None:
    x, gy = floats(*shape) * 3 + 1, floats(*shape)
    weight = floats(shape[1]) if parameters in ("weight", "both") else None
    bias = floats(shape[1]) if parameters in ("bias", "both") else None
    y, mean, invstd = CPU.layer_norm(x, weight, bias, EPS, centered)
    exact = composed.layer_norm(np, *wide(x, weight, bias), EPS, centered)
    assert (mean is None) == (exact[1] is None) == (not centered)
    constant = centered and shape[1] == 1  # nothing is left of it but what eps amplifies
    assert_near(y, exact[0], 1e-4 if constant else 3e-6)
    if mean is not None:
        assert_near(mean, exact[1], 1e-6)
    assert_near(invstd, exact[2], 1e-5)
    for affine in (True, False):
        found = CPU.layer_norm_backward(gy, x, weight, mean, invstd, affine)
        expected = composed.layer_norm_backward(np, *wide(gy, x, weight, mean, invstd), affine)
        assert_near(found[0], expected[0], 1e-3 if constant else 1e-5)
        assert (found[1] is None) == (found[2] is None) == (not affine)
        if affine:
            assert_near(found[1], expected[1], 1e-3 if constant else 1e-5)
            assert_near(found[2], expected[2], 1e-5)


def test_a_mean_that_is_large_beside_the_spread() -> None:
    x = floats(5, 100_000) + 1000
    y, _, _ = CPU.layer_norm(x, None, None, EPS, True)
    exact = composed.layer_norm(np, x.astype(np.float64), None, None, EPS, True)[0]
    assert_near(y, exact, 1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_element_spoils_its_row_alone(bad: float) -> None:
    x = floats(40, 300)
    x[3, 299] = bad
    y, mean, invstd = CPU.layer_norm(x, None, None, EPS, True)
    assert np.isnan(y[3]).any()
    assert np.isfinite(np.delete(y, 3, 0)).all()
    gx, _, _ = CPU.layer_norm_backward(floats(40, 300), x, None, mean, invstd, False)
    assert np.isnan(gx[3]).any()
    assert np.isfinite(np.delete(gx, 3, 0)).all()


def test_strided_rows() -> None:
    x, weight = floats(60, 200), floats(100)
    expected = CPU.layer_norm(np.ascontiguousarray(x[:, ::2]), weight, weight, EPS, True)
    found = CPU.layer_norm(x[:, ::2], np.repeat(weight, 2)[::2], weight, EPS, True)
    np.testing.assert_array_equal(found[0], expected[0])


def test_any_number_of_threads_gives_the_same_bits() -> None:
    import deepgpu as dg

    x, gy, weight = floats(200, 700), floats(200, 700), floats(700)
    results = []
    before = dg.get_num_threads()
    try:
        for number in (1, before):
            dg.set_num_threads(number)
            y, mean, invstd = CPU.layer_norm(x, weight, weight, EPS, True)
            results.append((y, *CPU.layer_norm_backward(gy, x, weight, mean, invstd, True)))
    finally:
        dg.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
