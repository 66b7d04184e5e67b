"""layernorm.cu against PyTorch in float64: rows that a warp and a block take, layer norm and RMS norm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import instances, layernorm
from tests.kernels.cuda.emulated import (
    DTYPES,
    SEEDS,
    SOME_DTYPES,
    assert_barriers_matter,
    assert_near,
    counted,
    judged,
    random,
    run,
)

INSTANCES = {
    "layernorm.cu": instances.INSTANCES["layernorm.cu"],
    "batchnorm.cu": ("batchnorm_backward_merge<float>", "batchnorm_backward_merge<double>"),
}
STATISTICS = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}
SHAPES = [
    (1, 1), (3, 1), (1, 2), (5, 3), (4, 4), (3, 7), (2, 8), (5, 16), (3, 31), (4, 32), (2, 33), (3, 64), (2, 100),
    (7, 128), (1, 129), (2, 256), (3, 260), (2, 511), (1, 516), (2, 1024), (1, 1032), (2, 1101), (40, 12), (9, 768),
    (1, 513), (2, 515), (3, 601), (1, 767), (2, 769), (1, 1023), (2, 1027), (1, 1040), (2, 1099), (5, 519), (1, 1537),
    (1, 2056), (3, 1048), (2, 577), (1, 1301), (2, 1064),
]  # fmt: skip
EPS = 1e-5


def operands(rng, dtype, m, k, affine):
    x = (random(rng, dtype, m, k).astype(float) * 2 + 3).astype(DTYPES[dtype])
    return x, *[random(rng, dtype, k) if affine else None for _ in range(2)], random(rng, dtype, m, k)


def wanted(x, weight, bias, gy, centered):
    """Result and gradients in float64."""
    x, weight, bias = (
        None if a is None else torch.from_numpy(a.astype(float)).requires_grad_() for a in (x, weight, bias)
    )
    centred = x - x.mean(1, keepdim=True) if centered else x
    y = centred / ((centred * centred).mean(1, keepdim=True) + EPS).sqrt()
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    given = [a for a in (x, weight, bias) if a is not None]
    return y.detach().numpy(), [g.numpy() for g in torch.autograd.grad(y, given, torch.from_numpy(gy.astype(float)))]


@pytest.mark.parametrize("dtype", SOME_DTYPES)
@pytest.mark.parametrize("centered", [True, False], ids=["layer_norm", "rms_norm"])
def test_values(centered, dtype, rng):
    stats = STATISTICS[dtype]
    for i, (m, k) in enumerate(SHAPES):
        x, weight, bias, gy = operands(rng, dtype, m, k, affine=i % 4 != 3)
        bias = bias if centered else None
        want, gradients = wanted(x, weight, bias, gy, centered)
        exact = x.astype(float)
        centred = exact - exact.mean(1, keepdims=True) if centered else exact
        invstd = 1 / np.sqrt((centred**2).mean(1) + EPS)
        scale = float(invstd.max()) * 16
        seed, other = SEEDS[i % 2], SEEDS[1 - i % 2]
        y, mean, inverse = run(layernorm.layer_norm, x, weight, bias, EPS, centered, seed=seed)
        assert_near(y, want, dtype, magnitude=scale)
        assert_near(inverse, invstd, stats, magnitude=scale**2 * float(invstd.max()))
        assert (mean is None) == (not centered)
        if centered:
            assert_near(mean, exact.mean(1), stats, magnitude=8)
        np.testing.assert_array_equal(run(layernorm.layer_norm, x, weight, bias, EPS, centered, seed=other)[0], y)
        arguments = (gy, x, weight, mean, inverse, weight is not None)
        gx, gweight, gbias = run(layernorm.layer_norm_backward, *arguments, seed=seed)
        assert_near(gx, gradients[0], dtype, magnitude=8 * scale**2, factor=64)
        np.testing.assert_array_equal(run(layernorm.layer_norm_backward, *arguments, seed=other)[0], gx)
        if weight is None:
            assert gweight is None
            assert gbias is None
        else:
            assert_near(gweight, gradients[1], stats, magnitude=8 * m * scale)
            assert_near(gbias, gy.astype(float).sum(0), stats, magnitude=4 * m)


def test_a_large_offset_does_not_cancel(rng):
    for k in (100, 3000):
        x = random(rng, "float32", 3, k) + np.float32(4096)
        _, mean, invstd = run(layernorm.layer_norm, x, None, None, 0.0, True)
        assert_near(mean, x.astype(float).mean(1), "float32")
        np.testing.assert_allclose(invstd, 1 / x.astype(float).std(1), rtol=1e-5)


def test_not_a_number_stays_in_its_row(rng):
    x = random(rng, "float32", 5, 40)
    x[2, 7] = np.nan
    y, mean, invstd = run(layernorm.layer_norm, x, None, None, EPS, True)
    for result in (y, mean[:, None], invstd[:, None]):
        assert np.isnan(result[2]).all()
        assert np.isfinite(np.delete(result, 2, 0)).all()


def test_rows_that_begin_anywhere(rng):
    x = random(rng, "float32", 4, 65)
    got = run(lambda xp, x: layernorm.layer_norm(xp, x[:, 1:], None, None, EPS, True), x)[0]
    assert_near(got, wanted(x[:, 1:], None, None, x[:, 1:], True)[0], "float32", 16)


def check(rng, shapes=((5, 33), (9, 12), (2, 1101))) -> None:
    for m, k in shapes:
        x, weight, bias, gy = operands(rng, "float32", m, k, True)
        want, gradients = wanted(x, weight, bias, gy, True)
        for seed in SEEDS:
            y, mean, invstd = run(layernorm.layer_norm, x, weight, bias, EPS, True, check=True, seed=seed)
            assert_near(y, want, "float32", 64)
            arguments = (gy, x, weight, mean, invstd, True)
            got = run(layernorm.layer_norm_backward, *arguments, check=True, seed=seed)
            for a, b in zip(got, gradients, strict=True):
                assert_near(a, b, "float32", 2000)


def test_checked(rng):
    check(rng)


@pytest.mark.full
def test_barriers_of_rows(rng, caught):
    assert_barriers_matter("include/reduce.cuh", lambda: check(rng, ((2, 1101),)), caught, "reduce_block")


@pytest.mark.full
def test_barriers_of_columns(rng, caught):
    assert_barriers_matter("include/reduce.cuh", lambda: check(rng, ((33, 12),)), caught, "add_rows")


def test_a_row_in_registers_is_read_once(rng):
    x = random(rng, "float32", 8, 256)
    with counted("layernorm.cu", "layernorm_warp<float, 4, 8, true>") as traffic:
        run(layernorm.layer_norm, x, None, None, EPS, True)
    statistics = 8 * (4 + 4)
    assert traffic.bytes("global") == 2 * x.nbytes + statistics
    assert traffic.excess_sectors == 0


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("layernorm.cu", [n for n in INSTANCES["layernorm.cu"] if "float, 4" in n and "true" in n], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("layernorm.cu", INSTANCES["layernorm.cu"], compile_judge.ARCHITECTURES)
