"""Initial values: bounds and moments as the formulas say, exact values where they are fixed, torch's errors."""

import math

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.nn import init

SHAPES = [(60, 90), (40, 30, 3, 3), (20, 30, 5)]


@pytest.fixture(autouse=True)
def _seeded():
    dg.manual_seed(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_fans(shape):
    assert init._calculate_fan_in_and_fan_out(dg.zeros(*shape)) == (
        torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(*shape))
    )


@pytest.mark.parametrize(
    ("nonlinearity", "param"),
    [
        *[(name, None) for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d", "sigmoid")],
        *[("tanh", None), ("relu", None), ("selu", None), ("leaky_relu", None), ("leaky_relu", 0.3)],
    ],
)
def test_gains(nonlinearity, param):
    assert init.calculate_gain(nonlinearity, param) == torch.nn.init.calculate_gain(nonlinearity, param)


def moments(x):
    x = x.detach().numpy().ravel()
    return x.mean(), x.std(), np.abs(x).max()


# name, arguments, kind
DRAWN = [
    ("uniform_", {"a": -0.5, "b": 2.0}),
    ("normal_", {"mean": 3.0, "std": 0.5}),
    ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 2.0}),
    ("xavier_normal_", {"gain": 0.5}),
    ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": math.sqrt(5), "mode": "fan_out"}),
    ("kaiming_uniform_", {"nonlinearity": "relu"}),
    ("kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
    ("kaiming_normal_", {"nonlinearity": "tanh"}),
    ("trunc_normal_", {}),
    ("trunc_normal_", {"std": 0.02}),
    ("trunc_normal_", {"mean": 1.0, "std": 2.0, "a": 0.5, "b": 3.0}),
    ("trunc_normal_", {"a": 1.5, "b": 9.0}),
]


@pytest.mark.parametrize(("name", "args"), DRAWN)
@pytest.mark.parametrize("shape", SHAPES)
def test_distribution_is_that_of_torch(name, args, shape):
    p = dg.nn.Parameter(dg.empty(*shape, dtype=dg.float64))
    assert getattr(init, name)(p, **args) is p
    assert p.requires_grad
    torch.manual_seed(1)
    theirs = moments(getattr(torch.nn.init, name)(torch.empty(*shape, dtype=torch.float64), **args))
    mine = moments(p)
    n = p.numel()
    assert abs(mine[0] - theirs[0]) < 6 * theirs[1] * math.sqrt(2 / n)  # 6 standard deviations of the difference
    assert abs(mine[1] / theirs[1] - 1) < 6 / math.sqrt(n)
    if "normal" not in name or (name == "trunc_normal_" and args.get("std", 1) > 0.1):
        # Bounded: the largest of n values is close to the bound in both.
        assert abs(mine[2] / theirs[2] - 1) < 0.1


def test_truncation_holds_in_the_tail():
    with pytest.warns(UserWarning, match="more than 2 std"):
        x = init.trunc_normal_(dg.empty(1000), mean=0.0, std=1.0, a=4.0, b=5.0)
    assert 4.0 <= x.min().item() < 4.01
    assert x.max().item() <= 5.0
    assert abs(x.double().mean().item() - 4.2256) < 0.03  # mean of the tail beyond 4 (and before 5)
    assert init.trunc_normal_(dg.empty(0)).shape == (0,)
    np.testing.assert_array_equal(init.trunc_normal_(dg.empty(3), a=1.0, b=1.0), np.ones(3))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3), (0, 3)])
def test_orthogonal(shape):
    x = init.orthogonal_(dg.empty(*shape, dtype=dg.float64), gain=2.0).flatten(1).numpy()
    product = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    np.testing.assert_allclose(product, 4 * np.eye(len(product)) if x.size else product, atol=1e-12)


def test_orthogonal_matrices_have_no_preferred_sign():
    signs = [np.sign(init.orthogonal_(dg.empty(2, 2)).numpy()[0, 0]) for _ in range(60)]
    assert 10 < sum(s > 0 for s in signs) < 50


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.9, 1.0])
def test_sparse(sparsity):
    x = init.sparse_(dg.empty(30, 40), sparsity, std=0.5).numpy()
    assert ((x == 0).sum(0) == math.ceil(30 * sparsity)).all()
    if sparsity < 0.9:
        assert abs(x[x != 0].std() - 0.5) < 0.06


@pytest.mark.parametrize(("shape", "groups"), [((6, 3, 3), 2), ((4, 6, 3, 5), 1), ((5, 2, 1, 2, 3), 1)])
def test_dirac(shape, groups):
    expected = torch.nn.init.dirac_(torch.empty(*shape), groups)
    np.testing.assert_array_equal(init.dirac_(dg.empty(*shape), groups), expected)


def test_fixed_values():
    np.testing.assert_array_equal(init.eye_(dg.empty(2, 3)), np.eye(2, 3))
    np.testing.assert_array_equal(init.ones_(dg.empty(2)), np.ones(2))
    np.testing.assert_array_equal(init.zeros_(dg.ones(2)), np.zeros(2))
    np.testing.assert_array_equal(init.constant_(dg.empty(2), 0.3), np.full(2, 0.3, np.float32))


def test_the_same_generator_gives_the_same_values():
    for fill in (
        init.uniform_,
        init.normal_,
        init.trunc_normal_,
        init.xavier_uniform_,
        init.kaiming_normal_,
        init.orthogonal_,
        lambda t, generator: init.sparse_(t, 0.5, generator=generator),
    ):
        a, b = (fill(dg.empty(4, 5), generator=dg.Generator().manual_seed(3)).numpy() for _ in range(2))
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
def test_empty_tensors_are_left_alone_with_a_warning(name):
    t = dg.empty(0, 3)
    with pytest.warns(UserWarning, match="no-op"):
        assert getattr(init, name)(t) is t


@pytest.mark.parametrize(
    "source",
    [
        "init.xavier_uniform_(lib.empty(3))",
        "init.kaiming_normal_(lib.empty(3))",
        "init.kaiming_normal_(lib.empty(3, 3), mode='fan_both')",
        "init.kaiming_normal_(lib.empty(3, 3), nonlinearity='step')",
        "init.calculate_gain('leaky_relu', True)",
        "init.calculate_gain('leaky_relu', 'x')",
        "init.eye_(lib.empty(3))",
        "init.dirac_(lib.empty(3, 3))",
        "init.dirac_(lib.empty(3, 3, 3), 2)",
        "init.orthogonal_(lib.empty(3))",
        "init.sparse_(lib.empty(3), 0.1)",
    ],
)
def test_errors(source):
    messages = []
    for library in (torch, dg):
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the messages are compared
            eval(source, {"init": library.nn.init, "lib": library})
        messages.append(str(caught.value))
    assert messages[1] == messages[0]


def test_sparsity_is_a_share():
    with pytest.raises(ValueError, match=r"share in \[0, 1\]"):
        init.sparse_(dg.empty(2, 2), 1.5)
