"""cross_entropy.cu against PyTorch in float64: rows of a warp and of a block, weights, smoothing, labels left out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import cross_entropy, instances
from tests.kernels.cuda.emulated import (
    SEEDS,
    SOME_DTYPES,
    assert_barriers_matter,
    assert_near,
    counted,
    judged,
    random,
    run,
)

INSTANCES = {"cross_entropy.cu": instances.INSTANCES["cross_entropy.cu"]}
STATISTICS = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}
SHAPES = [
    (1, 1), (1, 2), (3, 2), (7, 10), (4, 31), (5, 32), (3, 33), (9, 100), (2, 127), (1, 128), (3, 129), (2, 300),
    (2, 511), (1, 512), (2, 513), (1, 767), (2, 1000), (33, 3), (6, 1), (2, 5, 3, 4), (3, 4, 7), (1, 40, 2, 2), (5,),
    (600,),
]  # fmt: skip
LEFT_OUT = -1


def labels_of(rng, shape):
    """A label a row; every fourth does not count."""
    classes = shape[min(1, len(shape) - 1)]
    of_rows = () if len(shape) == 1 else (shape[0], *shape[2:])
    labels = np.asarray(rng.integers(0, classes, of_rows), np.int64)
    return np.where(rng.random(of_rows) < 0.25, LEFT_OUT, labels).astype(np.int64) if of_rows else labels


def wanted(x, labels, weight, smoothing, g):
    """Losses, their logarithms of sums, and the gradient, in float64."""
    exact = torch.from_numpy(x.astype(float)).requires_grad_()
    w = None if weight is None else torch.from_numpy(weight.astype(float))
    target = torch.from_numpy(np.asarray(labels))
    loss = torch.nn.functional.cross_entropy(exact, target, w, None, LEFT_OUT, None, "none", smoothing)
    (gx,) = torch.autograd.grad(loss, exact, torch.from_numpy(np.asarray(g, float)))
    axis = min(1, x.ndim - 1)
    return loss.detach().numpy(), torch.logsumexp(exact.detach(), axis).numpy(), gx.numpy()


@pytest.mark.parametrize("dtype", SOME_DTYPES)
@pytest.mark.parametrize(("weighted", "smoothing"), [(False, 0.0), (True, 0.0), (False, 0.1), (True, 0.25)])
def test_values(weighted, smoothing, dtype, rng):
    for i, shape in enumerate(SHAPES):
        x, labels = 3 * random(rng, dtype, *shape), labels_of(rng, shape)
        classes = shape[min(1, len(shape) - 1)]
        weight = np.abs(random(rng, dtype, classes)) if weighted else None
        g = random(rng, STATISTICS[dtype], *labels.shape)
        loss, logsumexp, gx = wanted(x, labels, weight, smoothing, g)
        span = 16 * (1 if weight is None else float(weight.max()))
        seed, other = SEEDS[i % 2], SEEDS[1 - i % 2]
        got = run(cross_entropy.cross_entropy, x, labels, weight, smoothing, seed=seed)
        assert_near(got[0], loss, STATISTICS[dtype], magnitude=2 * span)
        assert_near(got[1][0] + got[1][1], logsumexp, STATISTICS[dtype], magnitude=16)
        again = run(cross_entropy.cross_entropy, x, labels, weight, smoothing, seed=other)
        np.testing.assert_array_equal(got[0], again[0])
        arguments = (g, x, got[1], labels, weight, smoothing)
        back = run(cross_entropy.cross_entropy_backward, *arguments, seed=seed)
        assert_near(back, gx, dtype, magnitude=span * float(np.abs(g).max(initial=0)))
        np.testing.assert_array_equal(back, run(cross_entropy.cross_entropy_backward, *arguments, seed=other))


@pytest.mark.parametrize("n", [7, 40, 700])
def test_special_rows(n):
    """Infinities and NaN go where PyTorch's go; rows of -inf have no softmax."""
    x = np.zeros((9, n), np.float32)
    x[0, 3] = np.nan
    x[1, 2] = np.inf
    x[2, :] = -np.inf
    x[3, 1:] = -np.inf
    x[4, :5] = -np.inf
    x[5, 0] = 3e38
    x[6, :] = -3e38
    x[7, 1] = -np.inf
    labels = np.array([1, 2, 0, 0, 6, 0, 3, 1, 2])
    g = np.ones(9, np.float32)
    loss, _, gx = wanted(x, labels, None, 0.0, g)
    got = run(cross_entropy.cross_entropy, x, labels, None, 0.0)
    assert_near(got[0], loss, "float32", 16)
    assert_near(run(cross_entropy.cross_entropy_backward, g, x, got[1], labels, None, 0.0), gx, "float32", 16)


def test_a_gradient_for_all_rows_and_images_of_any_layout(rng):
    x, labels = random(rng, "float32", 2, 6, 3, 4), labels_of(rng, (2, 6, 3, 4))
    g = np.array(0.5, np.float32)
    loss, _, gx = wanted(x, labels, None, 0.0, np.broadcast_to(g, labels.shape))
    for arranged in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        got = run(cross_entropy.cross_entropy, arranged, labels, None, 0.0)
        assert_near(got[0], loss, "float32", 8)
        back = run(cross_entropy.cross_entropy_backward, g, arranged, got[1], labels, None, 0.0)
        assert_near(back, gx, "float32", 8)


def check(rng, shapes=((5, 33), (2, 700))) -> None:
    for shape in shapes:
        x, labels = random(rng, "float32", *shape), labels_of(rng, shape)
        weight, g = np.abs(random(rng, "float32", shape[1])), random(rng, "float32", shape[0])
        loss, _, gx = wanted(x, labels, weight, 0.1, g)
        for seed in SEEDS:
            got = run(cross_entropy.cross_entropy, x, labels, weight, 0.1, check=True, seed=seed)
            assert_near(got[0], loss, "float32", 64)
            back = run(cross_entropy.cross_entropy_backward, g, x, got[1], labels, weight, 0.1, check=True, seed=seed)
            assert_near(back, gx, "float32", 64)


def test_checked(rng):
    check(rng)


@pytest.mark.full
def test_barriers(rng, caught):
    assert_barriers_matter("include/reduce.cuh", lambda: check(rng, ((2, 700),)), caught, "reduce_block")


def test_logits_are_read_once_and_no_probability_is_stored(rng):
    x, labels = random(rng, "float32", 8, 128), rng.integers(0, 128, 8)
    numbers = 8 * (8 + 4 + 8 + 4)  # label, loss, norms; the label's logit is read again
    with counted("cross_entropy.cu", "cross_entropy<float, 32>") as traffic:
        loss, norms = run(cross_entropy.cross_entropy, x, labels, None, 0.0)
    assert traffic.bytes("global store") == loss.nbytes + norms.nbytes
    # what all lanes of a warp read from one address counts once a lane
    assert traffic.bytes("global") <= x.nbytes + 32 * numbers
    g = np.ones(8, np.float32)
    with counted("cross_entropy.cu", "cross_entropy_backward<float, 32>") as traffic:
        run(cross_entropy.cross_entropy_backward, g, x, norms, labels, None, 0.0)
    assert traffic.bytes("global store") == x.nbytes
    assert traffic.excess_sectors == 0


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("cross_entropy.cu", [n for n in INSTANCES["cross_entropy.cu"] if "float" in n], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("cross_entropy.cu", INSTANCES["cross_entropy.cu"], compile_judge.ARCHITECTURES)
