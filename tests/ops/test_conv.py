"""deepgpu.ops.conv against PyTorch."""

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample

CASES: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((2, 3, 7, 6), (4, 3, 3, 3), {}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": 1}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"stride": 2, "padding": 1}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"stride": (2, 3), "padding": (2, 0)}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"dilation": 2, "padding": 2}),
    ((2, 3, 7, 8), (4, 3, 2, 3), {"stride": (1, 2), "dilation": (3, 2), "padding": (0, 3)}),
    ((2, 3, 5, 5), (4, 3, 1, 1), {}),
    ((2, 3, 5, 5), (4, 3, 1, 1), {"stride": 2}),
    ((2, 3, 5, 5), (4, 3, 1, 1), {"padding": 1}),
    ((2, 3, 4, 4), (4, 3, 4, 4), {}),
    ((1, 3, 1, 1), (4, 3, 3, 3), {"padding": 1}),
    ((1, 3, 2, 2), (4, 3, 5, 5), {"padding": 4, "stride": 3}),
    ((2, 1, 9, 1), (2, 1, 3, 1), {"stride": 2}),
    ((1, 2, 1, 9), (2, 2, 1, 5), {"stride": 3, "padding": (0, 2)}),
    ((2, 4, 5, 6), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ((2, 4, 5, 6), (4, 1, 3, 3), {"groups": 4, "padding": 1}),
    ((2, 4, 5, 6), (8, 1, 3, 3), {"groups": 4, "stride": 2, "padding": 1}),
    ((2, 4, 6, 6), (4, 1, 3, 2), {"groups": 4, "dilation": 2}),
    ((2, 6, 4, 4), (3, 2, 1, 1), {"groups": 3}),
    ((3, 7, 6), (4, 3, 3, 3), {"padding": 1}),
    ((1, 3, 7, 6), (1, 3, 3, 3), {"stride": [2], "padding": [1, 0]}),
    ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": "valid", "stride": 2}),
    ((2, 3, 7, 6), (4, 3, 3, 5), {"padding": "same"}),
    ((2, 3, 7, 6), (4, 3, 2, 4), {"padding": "same"}),
    ((2, 4, 7, 6), (4, 2, 2, 3), {"padding": "same", "dilation": (3, 2), "groups": 2}),
    ((0, 3, 5, 5), (4, 3, 3, 3), {}),
)
"""Shapes of input and weight; unbatched, 1 x 1, depthwise, the kernel as large as the image, strips, empty."""


def images(make: Maker) -> Iterator[Sample]:
    for i, (x, w, kwargs) in enumerate(CASES):
        bias = {} if i % 2 else {"bias": make(w[0])}
        yield Sample(make(*x), make(*w), **bias, **kwargs)


def errors(make: Maker) -> Iterator[Failure]:
    x, w = make(2, 3, 6, 6), make(4, 3, 3, 3)
    name = "`conv2d`"
    yield Failure(Sample(make(6, 6), w), rf"{name}: `input` takes a 4-d tensor.*\(6, 6\)")
    yield Failure(Sample(make(1, 2, 3, 6, 6), w), rf"{name}: `input` takes a 4-d tensor.*\(1, 2, 3, 6, 6\)")
    yield Failure(Sample(x, make(4, 3, 3)), rf"{name}: `weight` takes a 4-d tensor.*\(4, 3, 3\)")
    yield Failure(Sample(x, make(4, 2, 3, 3)), rf"{name}: `input` takes 2 channels.*\(4, 2, 3, 3\).*3 channels")
    yield Failure(Sample(x, make(4, 3, 3, 3), groups=2), rf"{name}: `input` takes 6 channels.*2 groups.*3 channels")
    yield Failure(Sample(x, make(4, 1, 3, 3), groups=3), rf"{name}: `groups` takes a divisor of the 4.*3")
    for groups in (0, -1):
        yield Failure(Sample(x, w, groups=groups), rf"{name}: `groups` takes.*{groups}")
    yield Failure(Sample(x, w, make(3)), rf"{name}: `bias` takes shape \(4,\), but got shape \(3,\)")
    yield Failure(Sample(x, w, make(4, 1)), rf"{name}: `bias` takes shape \(4,\), but got shape \(4, 1\)")
    yield Failure(Sample(x, w, np.ones(4, np.float32)), rf"{name}: `bias` takes the dtype.*float64.*float32")
    yield Failure(Sample(x, w.astype(np.float32)), rf"{name}: `weight` takes the dtype.*float64.*float32")
    yield Failure(Sample(x, make(4, 3, 7, 3)), rf"{name}: `input` takes an image of at least \(7, 3\).*got \(6, 6\)")
    yield Failure(Sample(x, w, dilation=3), rf"{name}: `input` takes an image of at least \(7, 7\).*dilation \(3, 3\)")
    yield Failure(Sample(make(2, 3, 0, 6), w, padding=2), rf"{name}: `input` takes an image.*\(2, 3, 0, 6\)")
    yield Failure(Sample(x, make(0, 3, 3, 3)), rf"{name}: `weight` takes at least one output.*\(0, 3, 3, 3\)")
    yield Failure(Sample(x, make(4, 3, 0, 3)), rf"{name}: `weight` takes at least one output.*\(4, 3, 0, 3\)")
    for argument in ("stride", "dilation"):
        yield Failure(Sample(x, w, **{argument: 0}), rf"{name}: `{argument}` takes positive numbers.*0")
    yield Failure(Sample(x, w, stride=(1, -1)), rf"{name}: `stride` takes positive numbers.*\(1, -1\)")
    yield Failure(Sample(x, w, padding=-1), rf"{name}: `padding` takes numbers that are not negative.*-1")
    for argument in ("stride", "padding", "dilation"):
        yield Failure(Sample(x, w, **{argument: (1, 1, 1)}), rf"{name}: `{argument}` takes an integer, or two.*1, 1, 1")
        yield Failure(Sample(x, w, **{argument: 1.5}), rf"{name}: `{argument}` takes an integer, or two.*1.5")
    yield Failure(Sample(x, w, padding="full"), rf"{name}: `padding` takes.*'valid' or 'same'.*'full'")
    yield Failure(Sample(x, w, stride=2, padding="same"), rf"{name}: `padding='same'`.*stride 1")


def quiet(*args: Any, **kwargs: Any) -> torch.Tensor:
    """PyTorch warns that it pads a copy for even kernels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.functional.conv2d(*args, **kwargs)


TOLERANCES = {"float32": (1e-5, 2e-5), "float16": (4e-3, 3e-2), "bfloat16": (3e-2, 2e-1)}
"""Sums of up to 75 products of numbers near 1, in another order."""

ENTRIES = [
    OpEntry("conv2d", images, errors, reference=quiet, dtypes=FLOATING, keeps_layout=True, tolerances=TOLERANCES)
]


class TestConv(OpTests):
    entries = ENTRIES


def test_results_are_channels_last() -> None:
    """Whatever the layout of the input; so are the gradients of images."""
    x, w = dg.randn(2, 3, 5, 5, requires_grad=True), dg.randn(4, 3, 3, 3, requires_grad=True)
    y = F.conv2d(x, w, padding=1)
    assert y.is_contiguous(memory_format=dg.channels_last)
    gx, gw = dg.autograd.grad(y.sum(), (x, w))
    assert gx.is_contiguous(memory_format=dg.channels_last)
    assert gw.shape == w.shape


GEOMETRIES = [
    {"stride": s, "padding": p, "dilation": d, "groups": g}
    for s, p, d, g in itertools.product((1, 2, 3), (0, 1, 2), (1, 2), (1, 2, 4))
]


@pytest.mark.parametrize("kwargs", GEOMETRIES, ids=lambda kwargs: "-".join(map(str, kwargs.values())))
def test_every_geometry(kwargs: dict[str, Any]) -> None:
    """Forward and all gradients, for kernels of one to three pixels, odd and even images."""
    rng = np.random.default_rng(0)
    for kernel, size in itertools.product(((1, 1), (3, 3), (2, 3)), ((6, 7), (5, 9))):
        arrays = [rng.standard_normal(s) for s in ((2, 4, *size), (8, 4 // kwargs["groups"], *kernel), (8,))]
        theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        ours = [dg.tensor(a, requires_grad=True) for a in arrays]
        expected, y = torch.nn.functional.conv2d(*theirs, **kwargs), F.conv2d(*ours, **kwargs)
        np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
        g = rng.standard_normal(y.shape)
        expected.backward(torch.tensor(g))
        y.backward(dg.tensor(g))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-10, atol=1e-12)


LAYERS: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((4, 3, 32, 32), (16, 3, 3, 3), {"padding": 1}),
    ((2, 16, 32, 32), (32, 16, 3, 3), {"padding": 1}),
    ((2, 32, 17, 19), (16, 32, 3, 3), {"padding": 1, "stride": 2}),
    ((2, 64, 8, 8), (32, 64, 1, 1), {}),
    ((2, 32, 14, 14), (64, 32, 1, 1), {"stride": 2}),
    ((1, 3, 33, 35), (16, 3, 7, 7), {"padding": 3, "stride": 2}),
    ((2, 24, 15, 15), (24, 1, 3, 3), {"padding": 1, "groups": 24}),
    ((2, 24, 15, 15), (24, 1, 3, 3), {"padding": 1, "groups": 24, "stride": 2}),
    ((2, 32, 9, 9), (32, 8, 3, 3), {"padding": 1, "groups": 4}),
)
"""Layers of ResNet, VGG, MobileNet and ResNeXt, with fewer channels."""


@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_layers_of_networks(layer: tuple[Any, Any, dict[str, Any]], memory_format: str) -> None:
    """Sizes at which the fast kernels run, in float32; the judge computes in float64."""
    x_shape, w_shape, kwargs = layer
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(x_shape).astype(np.float32), rng.standard_normal(w_shape).astype(np.float32)
    bias = rng.standard_normal(w_shape[0]).astype(np.float32)
    theirs = [torch.tensor(a.astype(np.float64), requires_grad=True) for a in (x, w, bias)]
    expected = torch.nn.functional.conv2d(*theirs, **kwargs)
    g = rng.standard_normal(tuple(expected.shape)).astype(np.float32)
    expected.backward(torch.tensor(g.astype(np.float64)))
    ours = [dg.tensor(a) for a in (x, w, bias)]
    if memory_format == "channels_last":
        ours[0] = ours[0].contiguous(memory_format=dg.channels_last)
    ours = [t.requires_grad_() for t in ours]
    y = F.conv2d(*ours, **kwargs)
    y.backward(dg.tensor(g))
    for a, b in zip([y, *[t.grad for t in ours]], [expected, *[t.grad for t in theirs]], strict=True):
        error = np.abs(a.detach().numpy() - b.detach().numpy()).max() / np.abs(b.detach().numpy()).max()
        assert error < 1e-5


def test_third_derivative() -> None:
    rng = np.random.default_rng(0)
    x, w = (dg.tensor(rng.standard_normal(s), requires_grad=True) for s in ((1, 2, 4, 3), (2, 2, 2, 2)))

    def second(x: dg.Tensor, w: dg.Tensor) -> Any:
        y = F.conv2d(x, w, stride=2, padding=1).square().sum()
        first = dg.autograd.grad(y, (x, w), create_graph=True)
        return dg.autograd.grad(sum(g.square().sum() for g in first), (x, w), create_graph=True)

    assert dg.autograd.gradcheck(second, [x, w], fast_mode=True)


def test_only_what_a_gradient_needs_is_kept() -> None:
    """A frozen weight does not hold the activations; the gradient of the weight does not need the weight."""
    x, w = dg.randn(1, 2, 4, 4), dg.randn(3, 2, 3, 3, requires_grad=True)
    y = F.conv2d(x, w)
    with dg.no_grad():
        w.add_(1)
    y.sum().backward()
    frozen = dg.randn(3, 2, 3, 3)
    z = F.conv2d(x.clone().requires_grad_(), frozen)
    assert z.grad_fn.saved[0] is None
    frozen.add_(1)
    with pytest.raises(RuntimeError, match=r"Conv2dBackward.*modified in place"):
        z.sum().backward()
