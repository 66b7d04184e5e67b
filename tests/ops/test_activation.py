"""deepgpu.ops.activation against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import SHAPES, unary, unary_with


def bent_at(*kinks: float, **kwargs: Any) -> Callable[[Maker], Iterator[Sample]]:
    """:func:`unary`, and what happens on, just before and just after the kinks."""

    def samples(make: Maker) -> Iterator[Sample]:
        yield from unary_with(**kwargs)(make)
        steps = (-0.25, 0, 0.25) if make.is_floating else (-1, 0, 1)
        yield Sample(
            make.values([abs(k) + s if make.dtype == "uint8" else k + s for k in kinks for s in steps]), **kwargs
        ).at_kink()

    return samples


def slopes(make: Maker) -> Iterator[Sample]:
    for shape in SHAPES:
        yield Sample(make(*shape), make(1))
        yield Sample(make(*shape), make())
    for shape in ((3, 4), (2, 4, 3), (2, 4, 3, 5), (0, 4)):
        yield Sample(make(*shape), make(4))


def slope_at_kink(make: Maker) -> Iterator[Sample]:
    yield Sample(make.values([-1, 0, 1]), make(1)).at_kink()


def slope_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3), make(2)), r"`prelu`: `weight` takes 1 slope, or 3.*\(2, 3\).*\(2,\)")
    yield Failure(Sample(make(3), make(3)), r"`prelu`: `weight` takes 1 slope for.*\(3,\)")
    yield Failure(Sample(make(2, 3), make(1, 3)), r"`prelu`: `weight`.*\(1, 3\)")
    yield Failure(Sample(make(3), np.ones(1, np.float32)), "`prelu`: `weight` takes the dtype.*float64.*float32")


def smooth_ramps(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    yield Sample(make(3, 4), 2)
    yield Sample(make(3, 4), beta=0.5, threshold=0.4)
    yield Sample(make.values([-100, -20, 0, 19.9, 20.1, 100])).at_kink()
    yield Sample(make.values([1, 1.9, 2.1]), threshold=2).at_kink()


def with_alpha(make: Maker) -> Iterator[Sample]:
    yield from bent_at(0)(make)
    yield Sample(make(3, 4), 0.5)
    yield Sample(make(3, 4), alpha=2)
    yield Sample(make.values([-100, 0, 100]), alpha=1.5).at_kink()


def alpha_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0), "`celu`: `alpha`.*0")


def far_out(make: Maker) -> Iterator[Sample]:
    """As :func:`unary`, and where exp overflows or vanishes."""
    yield from unary(make)
    yield Sample(make.values([-100, -30, 30, 100]))


def limits(make: Maker) -> Iterator[Sample]:
    yield from bent_at(-1, 1)(make)
    yield Sample(make(3, 4), 0, 1)
    yield Sample(make(3, 4), min_val=1, max_val=2)


def thresholds(make: Maker) -> Iterator[Sample]:
    for shape in SHAPES:
        yield Sample(make(*shape), 1, 2)
    yield Sample(make.values([0, 1, 2]), 1, 0).at_kink()
    if make.is_floating:
        yield Sample(make(3, 4), -0.5, float("-inf")).at_kink()
    yield Sample(make.special(), 1, 2).forward_only()


def halves(make: Maker) -> Iterator[Sample]:
    for shape in ((4,), (3, 4), (2, 4, 6), (2, 3, 4, 6), (0, 4), (3, 0)):
        yield Sample(make(*shape))
    yield Sample(make(2, 4, 3), 1)
    yield Sample(make(2, 4, 3), dim=-3)
    yield Sample(make(2, 6, 4, 5), dim=1)


def half_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 5)), r"`glu`: `input` takes an even size in dimension 1.*\(3, 5\)")
    yield Failure(Sample(make()), "`glu`: `input`.*0-d")
    yield Failure(Sample(make(4), 1), "`glu`: `dim`.*1")


ENTRIES = [
    OpEntry("relu", bent_at(0), keeps_layout=True),
    OpEntry("leaky_relu", bent_at(0), keeps_layout=True),
    OpEntry("leaky_relu", bent_at(0, negative_slope=-0.3), variant="negative", dtypes=FLOATING),
    OpEntry("prelu", slopes, slope_errors, dtypes=FLOATING, keeps_layout=True),
    OpEntry(
        "prelu",
        slope_at_kink,
        variant="kink",
        dtypes=FLOATING,
        double_backward=False,  # at 0 PyTorch's gradient contains the slope, but its derivative by the slope is 0
    ),
    OpEntry("relu6", bent_at(0, 6), domain=(-2, 8), keeps_layout=True),
    OpEntry("hardtanh", limits, keeps_layout=True),
    OpEntry("elu", with_alpha, dtypes=FLOATING, keeps_layout=True),
    OpEntry("celu", with_alpha, alpha_errors, dtypes=FLOATING, keeps_layout=True),
    OpEntry("selu", bent_at(0), keeps_layout=True),
    OpEntry("mish", far_out, dtypes=FLOATING, keeps_layout=True),
    OpEntry("softplus", smooth_ramps, keeps_layout=True),
    OpEntry(
        "hardsigmoid",
        bent_at(-3, 3),
        domain=(-4, 4),
        keeps_layout=True,
        tolerances={"float64": (1e-7, 1e-12)},  # PyTorch's sixth is a float32
        skip={"double_backward": "PyTorch has no second derivative; gradgradcheck judges ours"},
    ),
    OpEntry("softsign", unary, keeps_layout=True),
    OpEntry("tanhshrink", unary, keeps_layout=True),
    OpEntry("logsigmoid", far_out, dtypes=FLOATING, keeps_layout=True),
    OpEntry("threshold", thresholds, keeps_layout=True),
    OpEntry("glu", halves, half_errors),
]


class TestActivation(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("name", ["elu", "celu", "silu", "mish", "logsigmoid", "leaky_relu", "softplus", "gelu"])
def test_integers_are_refused(name: str) -> None:
    with pytest.raises(RuntimeError):
        getattr(torch.nn.functional, name)(torch.tensor([1, 2]))
    with pytest.raises(RuntimeError, match=f"`{name}`: `input` takes a floating-point tensor, but got deepgpu.int64"):
        getattr(F, name)(dg.tensor([1, 2]))


@pytest.mark.parametrize("name", ["silu", "logsigmoid", "softplus", "elu", "selu", "hardswish", "mish", "sigmoid"])
def test_small_values_keep_their_digits(name: str) -> None:
    """Relative precision where the function vanishes."""
    x = np.array([-80.0, -40.0, -20.0, -10.0, -1e-8, 1e-8, 10.0, 20.0, 40.0, 80.0])
    theirs = getattr(torch.nn.functional, name)(torch.tensor(x)).numpy()
    np.testing.assert_allclose(getattr(F, name)(dg.tensor(x)).numpy(), theirs, rtol=1e-12)
    np.testing.assert_allclose(getattr(F, name)(dg.tensor(x.astype(np.float32))).numpy(), theirs, rtol=1e-6)


@pytest.mark.parametrize("dtype", [dg.float16, dg.bfloat16])
@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "elu", "softplus", "logsigmoid", "hardswish", "selu"])
def test_half_results_are_rounded_once(name: str, dtype: dg.dtype) -> None:
    """The judge computes in float64; the result may be off by one unit in the last place at most."""
    x = dg.tensor(np.linspace(-6, 6, 999)).to(dtype)
    theirs = getattr(torch.nn.functional, name)(torch.from_numpy(x.double().numpy())).numpy()
    eps = dg.finfo(dtype).eps
    np.testing.assert_allclose(getattr(F, name)(x).double().numpy(), theirs, rtol=eps, atol=1e-6)


@pytest.mark.parametrize("name", ["elu", "celu", "selu", "silu", "mish", "softplus", "logsigmoid", "gelu", "hardswish"])
def test_derivatives_far_out_are_finite(name: str) -> None:
    """No infinity times zero from the branch that was not taken."""
    x = dg.tensor([-1000.0, 1000.0], dtype=dg.float64, requires_grad=True)
    (first,) = dg.autograd.grad(getattr(F, name)(x).sum(), x, create_graph=True)
    (second,) = dg.autograd.grad(first.sum(), x)
    t = torch.tensor([-1000.0, 1000.0], dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(getattr(torch.nn.functional, name)(t).sum(), t)
    np.testing.assert_allclose(first.detach().numpy(), expected.numpy(), atol=1e-12)
    np.testing.assert_array_equal(second.numpy(), [0, 0])
