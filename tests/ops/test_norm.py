"""deepgpu.ops.norm against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.layouts import LAYOUTS

SHAPES: tuple[tuple[int, ...], ...] = ((5, 3), (4, 3, 2, 5), (2, 1, 3, 3), (1, 4, 2, 2), (3, 4, 5), (2, 2, 2, 1, 2))
EMPTY: tuple[tuple[int, ...], ...] = ((0, 3), (2, 3, 0, 4), (0, 3, 2, 2))
HALF = ("float16", "bfloat16")


def arguments(make: Maker, channels: int, statistics: bool, affine: str) -> dict[str, Any]:
    """Statistics and parameters; of a half type in one case, else in float32 as under mixed precision."""
    numbers = make if make.dtype not in HALF or affine == "half" else Maker("float32", channels)
    found: dict[str, Any] = {"running_mean": None, "running_var": None}
    if statistics:
        found = {"running_mean": numbers(channels), "running_var": numbers(channels, low=0.3)}
    if affine in ("both", "half", "weight"):
        found["weight"] = numbers(channels, low=0.5)
    if affine in ("both", "half", "bias"):
        found["bias"] = numbers(channels)
    return found


def batches(training: bool) -> Any:
    def samples(make: Maker) -> Iterator[Sample]:
        for i, shape in enumerate(SHAPES):
            statistics = not training or i % 2 == 0
            for affine in ("both", "none") if i else ("both", "none", "weight", "bias"):
                sample = Sample(make(*shape), **arguments(make, shape[1], statistics, affine), training=training)
                # PyTorch has no second derivative with a bias alone: tested below.
                yield sample.forward_only() if affine == "bias" else sample
        kwargs = arguments(make, 3, True, "both")
        yield Sample(make(4, 3, 5), **kwargs, training=training, momentum=0.3, eps=0.01)
        yield Sample(make(4, 3, 5), **kwargs, training=training, momentum=0.0, eps=1e-3)
        yield Sample(make(4, 3, 5), **kwargs, training=training, momentum=1, eps=1e-3)
        for shape in EMPTY:
            kwargs = arguments(make, shape[1], True, "both")
            yield Sample(make(*shape), **kwargs, training=training).forward_only()  # PyTorch's gradients are garbage
        if make.dtype in HALF:
            yield Sample(make(4, 3, 5), **arguments(make, 3, True, "half"), training=training)

    return samples


def constant_channels(make: Maker) -> Iterator[Sample]:
    """A variance of 0, where eps alone divides."""
    yield Sample(make.full((4, 2, 3), 2), None, None, make(2), make(2), training=True, eps=0.1)


def errors(make: Maker) -> Iterator[Failure]:
    x, name = make(2, 3, 4), "`batch_norm`"
    mean, var = make(3), make(3, low=0.3)
    yield Failure(Sample(x, None, None), rf"{name}: `running_mean` takes a tensor unless `training`.*None")
    yield Failure(Sample(x, mean, None), rf"{name}: `running_var` takes a tensor unless `training`.*None")
    yield Failure(Sample(x, mean, None, training=True), rf"{name}: `running_var` takes a tensor where.*None")
    yield Failure(Sample(x, make(2), var), rf"{name}: `running_mean` takes shape \(3,\).*\(2,\)")
    yield Failure(Sample(x, mean, make(4)), rf"{name}: `running_var` takes shape \(3,\).*\(4,\)")
    yield Failure(Sample(x, mean, var, make(2), make(3)), rf"{name}: `weight` takes shape \(3,\).*\(2,\)")
    yield Failure(Sample(x, mean, var, make(3), make(2)), rf"{name}: `bias` takes shape \(3,\).*\(2,\)")
    single = np.ones(3, np.float32)
    yield Failure(Sample(x, mean, var, single, single), rf"{name}: `weight` takes the dtype.*float64.*float32")
    yield Failure(Sample(x, single, single), rf"{name}: `running_mean` takes the dtype.*float64.*float32")
    for shape in ((1, 3), (1, 3, 1, 1)):
        yield Failure(Sample(make(*shape), mean, var, training=True), rf"{name}: `input` takes more than 1 value.*1, 3")
    for eps in (0, -1e-5):
        yield Failure(Sample(x, mean, var, training=True, eps=eps), rf"{name}: `eps` takes a positive.*{eps}")
    whole = np.ones((2, 3), np.int64)
    yield Failure(Sample(whole, whole[0], whole[0]), rf"{name}: `input` takes a floating-point tensor.*int64")


STATISTICS = ("running_mean", "running_var")
TOLERANCES = {"float64": (1e-9, 1e-11), "float32": (2e-5, 2e-5), "float16": (4e-3, 4e-3), "bfloat16": (3e-2, 3e-2)}
"""A variance near 0 enlarges rounding errors."""

ENTRIES = [
    OpEntry(
        "batch_norm",
        batches(training),
        errors if training else None,
        variant="training" if training else "evaluation",
        dtypes=("float64", "float32", *HALF),
        constants=STATISTICS,
        layouts=tuple(name for name in LAYOUTS if name != "expanded" or not training),  # statistics are written to
        tolerances=TOLERANCES,
        keeps_layout=True,
    )
    for training in (True, False)
]
ENTRIES.append(
    OpEntry(
        "batch_norm",
        constant_channels,
        variant="constant",
        dtypes=("float64", "float32"),
        tolerances={"float64": (1e-9, 1e-11)},
    )
)


class TestNorm(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("training", [True, False])
def test_bias_alone(training: bool) -> None:
    x, b = dg.randn(4, 3, 2, dtype=dg.float64, requires_grad=True), dg.randn(3, dtype=dg.float64, requires_grad=True)
    mean, var = dg.randn(3, dtype=dg.float64), dg.rand(3, dtype=dg.float64) + 0.5

    def function(x: dg.Tensor, b: dg.Tensor) -> dg.Tensor:
        return F.batch_norm(x, mean.clone(), var.clone(), None, b, training=training)

    assert dg.autograd.gradcheck(function, [x, b])
    assert dg.autograd.gradgradcheck(function, [x, b])


def test_running_statistics() -> None:
    """Of several batches, the variance by the unbiased estimate, in place and without a graph."""
    rng = np.random.default_rng(0)
    mean, var = np.zeros(3), np.ones(3)
    ours = [dg.tensor(mean), dg.tensor(var)]
    for momentum in (0.1, 0.5, 1.0):
        x = rng.standard_normal((4, 3, 2, 2))
        y = F.batch_norm(dg.tensor(x, requires_grad=True), *ours, training=True, momentum=momentum)
        assert y.requires_grad
        mean = (1 - momentum) * mean + momentum * x.mean((0, 2, 3))
        var = (1 - momentum) * var + momentum * x.var((0, 2, 3), ddof=1)
    assert not any(t.requires_grad for t in ours)
    np.testing.assert_allclose(ours[0].numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(ours[1].numpy(), var, rtol=1e-12)


def test_evaluation_does_not_change_the_statistics() -> None:
    mean, var = dg.zeros(3), dg.ones(3)
    F.batch_norm(dg.randn(4, 3), mean, var)
    assert (mean.version, var.version) == (0, 0)


def test_statistics_without_gradient() -> None:
    x, mean = torch.ones(2, 3), torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="running_mean"):
        torch.nn.functional.batch_norm(x, mean, torch.ones(3))
    with pytest.raises(RuntimeError, match=r"`batch_norm`: `running_mean` takes statistics without gradient"):
        F.batch_norm(dg.ones(2, 3), dg.ones(3, requires_grad=True), dg.ones(3))


def test_statistics_changed_before_backward() -> None:
    """A batch in training between the forward and the backward of one in evaluation would falsify its gradient."""
    mean, var = dg.zeros(3), dg.ones(3)
    x = dg.randn(4, 3, requires_grad=True)
    y = F.batch_norm(x, mean, var)
    F.batch_norm(x, mean, var, training=True)
    with pytest.raises(RuntimeError, match=r"BatchNormEvalBackward.*modified in place"):
        y.sum().backward()


def test_a_large_common_offset_does_not_cancel() -> None:
    """The variance is taken about the mean; the judge computes in float64."""
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((16, 4, 8, 8)) + 1000).astype(np.float32)
    theirs = torch.nn.functional.batch_norm(torch.tensor(x.astype(np.float64)), None, None, training=True).numpy()
    y = F.batch_norm(dg.tensor(x), None, None, training=True).numpy()
    np.testing.assert_allclose(y, theirs, rtol=0, atol=5e-4)  # 1000 has a resolution of 6e-5


@pytest.mark.parametrize("shape", [(32, 16, 8, 8), (7, 64, 5, 3), (2, 130, 4, 4), (64, 100)])
def test_layers_of_networks(shape: tuple[int, ...]) -> None:
    """Sizes at which several tasks share the work, in float32; the judge computes in float64."""
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in (shape, shape[1], shape[1]))
    theirs = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, w, b)]
    ours = [dg.tensor(a, requires_grad=True) for a in (x, w, b)]
    expected = torch.nn.functional.batch_norm(theirs[0], None, None, *theirs[1:], training=True)
    y = F.batch_norm(ours[0], None, None, *ours[1:], training=True)
    g = rng.standard_normal(shape).astype(np.float32)
    expected.backward(torch.tensor(g.astype(np.float64)))
    y.backward(dg.tensor(g))
    for a, e in zip([y, *[t.grad for t in ours]], [expected, *[t.grad for t in theirs]], strict=True):
        error = np.abs(a.detach().numpy() - e.detach().numpy()).max() / np.abs(e.detach().numpy()).max()
        assert error < 1e-5


@pytest.mark.parametrize("training", [True, False])
def test_third_derivative(training: bool) -> None:
    rng = np.random.default_rng(0)
    x, w, b = (dg.tensor(rng.standard_normal(s), requires_grad=True) for s in ((3, 2, 2), 2, 2))
    mean, var = dg.tensor(rng.standard_normal(2)), dg.tensor(rng.uniform(0.5, 1, 2))

    def second(x: dg.Tensor, w: dg.Tensor, b: dg.Tensor) -> Any:
        y = (F.batch_norm(x, mean.clone(), var.clone(), w, b, training=training, eps=0.1) ** 3).sum()
        first = dg.autograd.grad(y, (x, w, b), create_graph=True)
        return dg.autograd.grad(sum(g.square().sum() for g in first), (x, w, b), create_graph=True)

    assert dg.autograd.gradcheck(second, [x, w, b], fast_mode=True)


def test_second_derivative_without_a_graph_of_its_own() -> None:
    """Gradients of gradients are right too where the second backward records nothing."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 2, 3))
    found = []
    for create_graph in (True, False):
        t = dg.tensor(x, requires_grad=True)
        y = F.batch_norm(t, None, None, training=True).pow(3).sum()
        (first,) = dg.autograd.grad(y, t, create_graph=True)
        found.append(dg.autograd.grad(first.square().sum(), t, create_graph=create_graph)[0].detach().numpy())
    np.testing.assert_array_equal(found[0], found[1])
