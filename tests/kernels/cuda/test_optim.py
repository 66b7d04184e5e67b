"""optim.cu against torch.optim in float64, over several steps."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import instances, optim
from tests.kernels.cuda.emulated import DTYPES, SEEDS, counted, judged, random, run

INSTANCES = {"optim.cu": instances.INSTANCES["optim.cu"]}
SHAPES = [
    (1,), (2,), (3,), (4,), (5,), (), (0,), (7, 3), (16, 16), (255,), (256,), (257,), (1023,), (1024,), (1025,),
    (4095,), (4096,), (4097,), (8, 3, 3, 3), (3, 4100),
]  # fmt: skip
STEPS = 3
SGD = [
    {},
    {"weight_decay": 0.05, "maximize": True},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05},
    {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
]
SGD_DEFAULTS = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False, "maximize": False}
TOLERANCES = {"float32": 2e-6, "float64": 1e-14}


def sgd(options, xp, params, grads):
    """Our steps; the last parameters."""
    momenta = [xp.empty_like(p) for p in params] if options.get("momentum") else None
    for i, step in enumerate(grads):
        optim.sgd_step(xp, params, step, momenta, first=i == 0, **{"lr": 0.1, **SGD_DEFAULTS, **options})
    return tuple(params)


def adam(decoupled, amsgrad, maximize, xp, params, grads):
    means, squares, greatest = ([xp.zeros_like(p) for p in params] for _ in range(3))
    options = {"lr": 0.03, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.05}
    flags = {"decoupled": decoupled, "maximize": maximize}
    for i, step in enumerate(grads):
        optim.adam_step(xp, params, step, means, squares, greatest if amsgrad else None, step=i + 1, **options, **flags)
    return tuple(params)


def theirs(optimizer, params, grads):
    """PyTorch's steps in float64."""
    twins = [torch.from_numpy(p.astype(float)).requires_grad_() for p in params]
    judge = optimizer(twins)
    for step in grads:
        for twin, g in zip(twins, step, strict=True):
            twin.grad = torch.from_numpy(g.astype(float))
        judge.step()
    return [twin.detach().numpy() for twin in twins]


def counting_adam(xp, params, grads):
    """With the counts of the steps, and the learning rate, on the device."""
    means, squares = ([xp.zeros_like(p) for p in params] for _ in range(2))
    options = {"beta1": 0.0, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.05, "decoupled": True, "maximize": False}
    counts, lr = [xp.zeros((), np.float32) for _ in params], xp.asarray(np.float32(0.03125))
    for step in grads:
        optim.adam_step(xp, params, step, means, squares, None, step=counts, lr=lr, **options)
    assert [float(count) for count in counts] == [len(grads)] * len(params)
    return tuple(params)


def compare(ours, optimizer, dtype, rng, shapes=SHAPES, seeds=SEEDS, check=False):
    params = [random(rng, dtype, *shape) for shape in shapes]
    grads = [[random(rng, dtype, *shape) for shape in shapes] for _ in range(STEPS)]
    expected = theirs(optimizer, params, grads)
    for seed in seeds:
        for got, want in zip(run(ours, params, grads, seed=seed, check=check), expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("options", SGD, ids=lambda o: "-".join(o) or "plain")
def test_sgd(options, dtype, rng):
    compare(functools.partial(sgd, options), lambda p: torch.optim.SGD(p, lr=0.1, **options), dtype, rng)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("decoupled", "amsgrad", "maximize"), list(itertools.product([False, True], repeat=3)))
def test_adam(decoupled, amsgrad, maximize, dtype, rng):
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    options = {"lr": 0.03, "betas": (0.8, 0.99), "eps": 1e-8, "weight_decay": 0.05}

    def optimizer(params):
        return kind(params, amsgrad=amsgrad, maximize=maximize, **options)

    compare(functools.partial(adam, decoupled, amsgrad, maximize), optimizer, dtype, rng)


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_what_changes_may_lie_on_the_device(dtype, check, rng):
    def optimizer(params):
        return torch.optim.AdamW(params, lr=0.03125, betas=(0.0, 0.99), weight_decay=0.05)

        compare(counting_adam, optimizer, dtype, rng, [(3,), (1030,)] if check else SHAPES, check=check)


@pytest.mark.parametrize("tensors", [*range(1, 18), 255, 256, 257, 300])
def test_steps_are_counted(tensors, rng):
    compare(
        counting_adam,
        lambda params: torch.optim.AdamW(params, lr=0.03125, betas=(0.0, 0.99), weight_decay=0.05),
        "float32",
        rng,
        [(1,)] * tensors,
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_round_once_a_step(dtype, rng):
    p, g = (random(rng, dtype, 1000) for _ in range(2))
    (got,) = run(functools.partial(sgd, {}), [p], [[g]])
    exact = p.astype(np.float32) - np.float32(0.1) * g.astype(np.float32)
    np.testing.assert_array_equal(got, exact.astype(DTYPES[dtype]))


def test_any_place_and_layout(rng):
    """Unaligned parameters, gradients laid out otherwise, parameters with gaps, several dtypes: all in one call."""

    def steps(xp, wide, image, gradients, double):
        params = [wide[1:], image, wide[:0], xp.zeros((4, 6), np.float32)[:, ::2], double]
        sgd({"momentum": 0.9}, xp, params, [[gradients[1:], image * 2, wide[:0], xp.ones((4, 3), np.float32), double]])
        return tuple(params)

    wide, image = random(rng, "float32", 1000), random(rng, "float32", 4, 3, 5, 5)
    gradients, double = random(rng, "float32", 1000), random(rng, "float64", 9)
    got = run(steps, wide, image.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2), gradients, double)
    lr = np.float32(0.1)
    wanted = [wide[1:] - lr * gradients[1:], 0.8 * image, wide[:0], np.full((4, 3), -0.1, np.float32), 0.9 * double]
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_checked(rng):
    shapes = [(3,), (1030,), (4100,)]
    compare(
        functools.partial(sgd, SGD[4]),
        lambda p: torch.optim.SGD(p, lr=0.1, **SGD[4]),
        "float32",
        rng,
        shapes,
        (2,),
        True,
    )


def test_every_number_moves_once(rng):
    p, g = random(rng, "float32", 8192), random(rng, "float32", 8192)
    with counted("optim.cu", "optimize<float, SGD<float>>") as traffic:
        run(functools.partial(sgd, {"momentum": 0.9}), [p], [[g]])
    tables = 56 + 2 * 16
    threads = 2 * 256
    assert traffic.bytes("global") <= 5 * p.nbytes + tables * threads
    assert traffic.bytes("global") >= 5 * p.nbytes


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("optim.cu", INSTANCES["optim.cu"], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("optim.cu", INSTANCES["optim.cu"], compile_judge.ARCHITECTURES)
