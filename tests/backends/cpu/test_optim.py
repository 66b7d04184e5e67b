"""Optimizer steps, the kernels and the composed reference alike, against torch.optim over several steps."""

import itertools

import ml_dtypes
import numpy as np
import pytest
import torch

STEPS = 4
TOLERANCES = {np.float64: 1e-12, np.float32: 1e-6}
# matrices, vectors, a convolution's weight in two layouts, one element, none, a scalar, and more than one task's share
SHAPES = [(17, 33), (5,), (8, 3, 3, 3), (6, 4, 1, 1), (1,), (0, 4), (), (200, 301)]


def parameters(rng, dtype):
    """Parameters in various dense layouts, and gradients in others, for every step."""
    params = [np.array(rng.standard_normal(shape), dtype) for shape in SHAPES]
    params[2] = np.ascontiguousarray(params[2].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    params[0] = np.asfortranarray(params[0])
    grads = [[np.array(rng.standard_normal(shape), dtype) for shape in SHAPES] for _ in range(STEPS)]
    for step in grads:
        step[3] = np.repeat(step[3], 2, axis=0)[::2]
    return params, grads


def state(params, value=0.0):
    return [np.full_like(p, value) for p in params]


def expected_after(optimizer, params, grads):
    """What torch.optim makes of the parameters after each step."""
    twins = [torch.from_numpy(np.ascontiguousarray(p)).clone().requires_grad_() for p in params]
    torch_optimizer = optimizer(twins)
    for step in grads:
        for twin, g in zip(twins, step, strict=True):
            twin.grad = torch.from_numpy(np.ascontiguousarray(g)).clone().reshape(twin.shape)
        torch_optimizer.step()
        yield [twin.detach().numpy().copy() for twin in twins]


def assert_all_near(params, expected, dtype):
    for p, e in zip(params, expected, strict=True):
        np.testing.assert_allclose(p, e.reshape(p.shape), rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype], strict=True)


SGD = [
    {"lr": 0.1},
    {"lr": 0.1, "weight_decay": 0.05, "maximize": True},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    {"lr": 0.1, "momentum": 0.8, "dampening": 0.1, "maximize": True},
]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("options", SGD)
def test_sgd(backend, options, dtype, rng):
    params, grads = parameters(rng, dtype)
    expected = expected_after(lambda twins: torch.optim.SGD(twins, **options), params, grads)
    momenta = state(params, np.nan) if "momentum" in options else None  # undefined at first
    defaults = {"momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False, "maximize": False}
    for i, after in enumerate(expected):
        backend.sgd_step(params, grads[i], momenta, first=i == 0, **{**defaults, **options})
        assert_all_near(params, after, dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("decoupled", "amsgrad", "maximize"), list(itertools.product([False, True], repeat=3)))
def test_adam(backend, decoupled, amsgrad, maximize, dtype, rng):
    params, grads = parameters(rng, dtype)
    options = {"lr": 0.03, "betas": (0.8, 0.99), "eps": 1e-8, "weight_decay": 0.05}
    optimizer = torch.optim.AdamW if decoupled else torch.optim.Adam
    expected = expected_after(
        lambda twins: optimizer(twins, amsgrad=amsgrad, maximize=maximize, **options), params, grads
    )
    means, squares, highest = state(params), state(params), state(params) if amsgrad else None
    for i, after in enumerate(expected):
        backend.adam_step(
            params,
            grads[i],
            means,
            squares,
            highest,
            step=i + 1,
            lr=0.03,
            beta1=0.8,
            beta2=0.99,
            eps=1e-8,
            weight_decay=0.05,
            decoupled=decoupled,
            maximize=maximize,
        )
        assert_all_near(params, after, dtype)


def sgd_options(**options):
    return {
        "lr": 0.5,
        "momentum": 0.9,
        "dampening": 0,
        "weight_decay": 0,
        "nesterov": False,
        "maximize": False,
        "first": True,
        **options,
    }


def test_parameters_with_gaps_and_of_several_dtypes(backend, rng):
    """What the kernel does not take goes the general way, in the same call."""
    wide = rng.standard_normal((6, 10)).astype(np.float32)
    before = wide.copy()
    params = [
        wide[:, ::2],
        np.ones(3, np.float16),
        np.ones(4, np.float64),
        np.ones(4, ml_dtypes.bfloat16),
        np.ones(5, np.float32),
    ]
    grads = [np.full(p.shape, 2, p.dtype) for p in params]
    momenta = state(params)
    backend.sgd_step(params, grads, momenta, **sgd_options())
    np.testing.assert_array_equal(wide[:, ::2], before[:, ::2] - 1, strict=True)
    np.testing.assert_array_equal(wide[:, 1::2], before[:, 1::2], strict=True)  # the gaps are not touched
    for p in params[1:]:
        np.testing.assert_array_equal(p.astype(np.float64), np.zeros(p.shape), strict=True)
    for m, g in zip(momenta, grads, strict=True):
        np.testing.assert_array_equal(m, g, strict=True)


def test_half_precision_follows_pytorch(backend, rng):
    params = [rng.standard_normal(50).astype(np.float16)]
    grads = [[rng.standard_normal(50).astype(np.float16)]]
    (expected,) = expected_after(lambda twins: torch.optim.SGD(twins, lr=0.5), params, grads)
    backend.sgd_step(params, grads[0], None, **sgd_options(momentum=0))
    np.testing.assert_allclose(params[0], expected[0], rtol=2e-3, atol=1e-3, strict=True)


def test_momentum_laid_out_differently(backend, rng):
    param, momentum = rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    expected = param - 0.5 * (0.9 * momentum + 1)
    backend.sgd_step([param], [np.ones((4, 5))], [np.asfortranarray(momentum)], **sgd_options(first=False))
    np.testing.assert_allclose(param, expected, rtol=1e-14)


def test_infinite_parameter_without_decay_stays_infinite(backend):
    param = np.array([np.inf, 1.0], np.float32)
    backend.sgd_step([param], [np.ones(2, np.float32)], None, **sgd_options(momentum=0))
    np.testing.assert_array_equal(param, np.array([np.inf, 0.5], np.float32), strict=True)


def test_nan_gradient_is_not_hidden(backend):
    param, grad = np.zeros(20, np.float32), np.zeros(20, np.float32)
    grad[3] = np.nan
    backend.sgd_step([param], [grad], [np.zeros(20, np.float32)], **sgd_options(first=False))
    np.testing.assert_array_equal(np.isnan(param), np.arange(20) == 3)


def test_nothing_to_step(backend):
    backend.sgd_step([], [], [], **sgd_options())


def test_result_does_not_depend_on_the_number_of_tasks(backend, rng):
    """Parameters that a task border cuts are updated like whole ones."""
    whole = [rng.standard_normal(70_001).astype(np.float32)]
    pieces = [p.copy() for p in np.array_split(whole[0], 5)]
    grad = rng.standard_normal(70_001).astype(np.float32)
    backend.sgd_step(whole, [grad], None, **sgd_options(momentum=0))
    backend.sgd_step(pieces, np.array_split(grad, 5), None, **sgd_options(momentum=0))
    np.testing.assert_array_equal(whole[0], np.concatenate(pieces), strict=True)
