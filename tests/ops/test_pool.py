"""deepgpu.ops.pool against PyTorch."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample

WINDOWS: tuple[tuple[tuple[int, ...], dict[str, Any]], ...] = (
    ((2, 3, 6, 7), {"kernel_size": 2}),
    ((2, 3, 6, 7), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((2, 3, 6, 7), {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)}),
    ((2, 3, 6, 7), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((2, 3, 6, 7), {"kernel_size": 2, "stride": 3}),
    ((2, 3, 6, 7), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
    ((2, 3, 6, 7), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((2, 3, 5, 5), {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True}),
    ((1, 2, 2, 2), {"kernel_size": 3, "ceil_mode": True}),
    ((1, 1, 1, 1), {"kernel_size": 1}),
    ((2, 3, 4, 4), {"kernel_size": 4}),
    ((1, 2, 1, 7), {"kernel_size": (1, 3), "stride": [2]}),
    ((3, 6, 7), {"kernel_size": 2}),
    ((1, 4, 4), {"kernel_size": 3, "padding": 1, "stride": []}),
    ((0, 3, 4, 4), {"kernel_size": 2}),
)
"""Overlapping, with gaps, with windows that reach over the border, unbatched, no images."""

DILATIONS: tuple[dict[str, Any], ...] = (
    {"kernel_size": 2, "dilation": 2, "stride": 1},
    {"kernel_size": 3, "dilation": 2, "stride": 2, "padding": 1},
    {"kernel_size": (2, 3), "dilation": (3, 1), "stride": 1, "padding": 1, "ceil_mode": True},
)


def maxima(make: Maker) -> Iterator[Sample]:
    for i, (shape, kwargs) in enumerate(WINDOWS):
        yield Sample(make.distinct(*shape), **kwargs, return_indices=i % 2 == 0)
    for kwargs in DILATIONS:
        yield Sample(make.distinct(2, 3, 7, 8), **kwargs, return_indices=True)


def ties(make: Maker) -> Iterator[Sample]:
    """Equal maxima, of which the first counts; nothing but minus infinity; NaN."""
    inf, nan = float("inf"), float("nan")
    few = make.values([[[[1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 2, 2]]]])
    lowest = make.full((1, 2, 4, 4), -inf)
    some = make.values([[[[nan, 1, 2, nan], [1, inf, -inf, 0], [inf, inf, nan, nan], [-inf, 3, 0, 1]]]])
    for x in (few, lowest, some):
        for kwargs in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}):
            yield Sample(x, **kwargs, return_indices=True).at_kink()
    yield Sample(lowest, kernel_size=2, dilation=2, stride=1, padding=1, return_indices=True).at_kink()


def means(make: Maker) -> Iterator[Sample]:
    for i, (shape, kwargs) in enumerate(WINDOWS):
        yield Sample(make(*shape), **kwargs)
        yield Sample(make(*shape), **kwargs, **({"count_include_pad": False}, {"divisor_override": 3})[i % 2])
    yield Sample(make(2, 3, 4, 4), 2, divisor_override=-1)


ADAPTIVE: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((2, 3, 6, 7), 1),
    ((2, 3, 6, 7), 3),
    ((2, 3, 6, 7), (4, 5)),
    ((2, 3, 6, 7), (9, 10)),
    ((2, 3, 6, 7), (None, 2)),
    ((2, 3, 6, 7), (None, None)),
    ((2, 3, 6, 7), [6, 7]),
    ((2, 3, 4, 4), 0),
    ((3, 5, 4), 2),
    ((1, 1, 1, 1), 3),
    ((0, 3, 4, 4), 2),
)
"""Fewer outputs, more outputs than pixels, equal numbers, none."""


def adaptive_means(make: Maker) -> Iterator[Sample]:
    for shape, size in ADAPTIVE:
        sample = Sample(make(*shape), size)
        yield sample.forward_only() if size == 0 else sample  # PyTorch has no gradient of no outputs
    yield Sample(make(2, 0, 4, 4), 2).forward_only()


def adaptive_maxima(make: Maker) -> Iterator[Sample]:
    for i, (shape, size) in enumerate(ADAPTIVE):
        sample = Sample(make.distinct(*shape), size, return_indices=i % 2 == 0)
        yield sample.forward_only() if size == 0 else sample


def adaptive_ties(make: Maker) -> Iterator[Sample]:
    for sample in ties(make):
        yield Sample(sample.args[0], (2, 3), return_indices=True).at_kink()


def window_errors(name: str) -> Callable[[Maker], Iterator[Failure]]:
    def errors(make: Maker) -> Iterator[Failure]:
        x = make(1, 2, 4, 4)
        yield Failure(Sample(make(1, 1, 1, 4, 4), 2), rf"`{name}`: `input` takes a 4-d tensor.*\(1, 1, 1, 4, 4\)")
        yield Failure(Sample(make(2, 0, 4, 4), 2), rf"`{name}`: `input` takes images.*\(2, 0, 4, 4\)")
        yield Failure(Sample(make(2, 2, 0, 4), 2), rf"`{name}`: `input` takes images.*\(2, 2, 0, 4\)")
        yield Failure(Sample(make(1, 2, 2, 2), 3), rf"`{name}`: `input` takes images of at least 3.*\(1, 2, 2, 2\)")
        yield Failure(Sample(x, 0), rf"`{name}`: `kernel_size` takes positive numbers.*0")
        yield Failure(Sample(x, (1, 2, 3)), rf"`{name}`: `kernel_size` takes an integer, or two.*\(1, 2, 3\)")
        yield Failure(Sample(x, 2, stride=0), rf"`{name}`: `stride` takes positive numbers.*0")
        yield Failure(Sample(x, 2, padding=2), rf"`{name}`: `padding` takes 0 to half.*\(2, 2\).*2")
        yield Failure(Sample(x, 2, padding=-1), rf"`{name}`: `padding` takes 0 to half.*-1")
        if name == "max_pool2d":
            yield Failure(Sample(make(4, 4), 2), rf"`{name}`: `input` takes a 4-d tensor.*\(4, 4\)")
            yield Failure(Sample(x, 2, dilation=0), rf"`{name}`: `dilation` takes positive numbers.*0")
            yield Failure(Sample(x, 2, padding=2, dilation=3), rf"`{name}`: `padding` takes 0 to half.*2")
        else:
            yield Failure(Sample(x, 2, divisor_override=0), rf"`{name}`: `divisor_override`.*0")
            yield Failure(Sample(np.ones((1, 1, 4, 4), np.int32), 2), rf"`{name}`: `input` takes a floating.*int32")

    return errors


def adaptive_errors(name: str) -> Callable[[Maker], Iterator[Failure]]:
    def errors(make: Maker) -> Iterator[Failure]:
        x = make(1, 2, 4, 4)
        yield Failure(Sample(make(4, 4), 2), rf"`{name}`: `input` takes a 4-d tensor.*\(4, 4\)")
        yield Failure(Sample(make(2, 2, 0, 4), 2), rf"`{name}`: `input` takes images.*\(2, 2, 0, 4\)")
        yield Failure(Sample(np.ones((1, 1, 4, 4), np.int64), 2), rf"`{name}`: `input` takes a floating.*int64")
        yield Failure(Sample(x, (1, 2, 3)), rf"`{name}`: `output_size` takes a size, or two.*\(1, 2, 3\)")
        yield Failure(Sample(x, (2,)), rf"`{name}`: `output_size` takes a size, or two.*\(2,\)")
        yield Failure(Sample(x, None), rf"`{name}`: `output_size` takes a size, or two.*None")
        yield Failure(Sample(x, -1), rf"`{name}`: `output_size` takes sizes that are not negative.*-1")
        if name == "adaptive_max_pool2d":
            yield Failure(Sample(make(2, 0, 4, 4), 2), rf"`{name}`: `input` takes images.*\(2, 0, 4, 4\)")

    return errors


ENTRIES = [
    OpEntry("max_pool2d", maxima, window_errors("max_pool2d"), dtypes=FLOATING),
    OpEntry("max_pool2d", ties, variant="ties", dtypes=FLOATING),
    OpEntry("avg_pool2d", means, window_errors("avg_pool2d"), dtypes=FLOATING, keeps_layout=True),
    OpEntry(
        "adaptive_avg_pool2d",
        adaptive_means,
        adaptive_errors("adaptive_avg_pool2d"),
        dtypes=FLOATING,
        keeps_layout=True,
    ),
    OpEntry("adaptive_max_pool2d", adaptive_maxima, adaptive_errors("adaptive_max_pool2d"), dtypes=FLOATING),
    OpEntry("adaptive_max_pool2d", adaptive_ties, variant="ties", dtypes=FLOATING),
]


class TestPool(OpTests):
    entries = ENTRIES


def windows(with_dilation: bool) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """Every small window on every small image that fits."""
    for size, k, s, d, ceil_mode in itertools.product(
        ((5, 8), (7, 6)), (1, 2, 3), (1, 2, 3), (1, 2) if with_dilation else (1,), (False, True)
    ):
        for p in range(k // 2 + 1):
            kwargs = {"kernel_size": k, "stride": s, "padding": p, "ceil_mode": ceil_mode}
            yield size, {**kwargs, "dilation": d} if with_dilation else kwargs


def test_every_maximum() -> None:
    rng = np.random.default_rng(0)
    for size, kwargs in windows(with_dilation=True):
        x = rng.standard_normal((2, 3, *size))
        theirs, ours = torch.tensor(x, requires_grad=True), dg.tensor(x, requires_grad=True)
        expected, at = torch.nn.functional.max_pool2d(theirs, **kwargs, return_indices=True)
        y, index = F.max_pool2d(ours, **kwargs, return_indices=True)
        np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy(), err_msg=str(kwargs))
        np.testing.assert_array_equal(index.numpy(), at.numpy(), err_msg=str(kwargs))
        g = rng.standard_normal(y.shape)
        expected.backward(torch.tensor(g))
        y.backward(dg.tensor(g))
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, err_msg=str(kwargs))


@pytest.mark.parametrize("include", [True, False])
def test_every_mean(include: bool) -> None:
    rng = np.random.default_rng(0)
    for size, kwargs in windows(with_dilation=False):
        x = rng.standard_normal((2, 3, *size))
        theirs, ours = torch.tensor(x, requires_grad=True), dg.tensor(x, requires_grad=True)
        expected = torch.nn.functional.avg_pool2d(theirs, **kwargs, count_include_pad=include)
        y = F.avg_pool2d(ours, **kwargs, count_include_pad=include)
        text = str(kwargs)
        np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-14, err_msg=text)
        g = rng.standard_normal(y.shape)
        expected.backward(torch.tensor(g))
        y.backward(dg.tensor(g))
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-14, err_msg=text)


def test_indices_are_int64_and_without_gradient() -> None:
    y, index = F.max_pool2d(dg.randn(1, 2, 4, 4, requires_grad=True), 2, return_indices=True)
    assert index.dtype is dg.int64
    assert not index.requires_grad
    assert y.requires_grad


@pytest.mark.parametrize("dtype", [dg.float16, dg.bfloat16])
def test_half_means_are_summed_in_float32(dtype: dg.dtype) -> None:
    """4096 ones: a sum in float16 would stop at 2048, in bfloat16 at 256."""
    ones = dg.ones(1, 1, 64, 64, dtype=dtype)
    assert F.adaptive_avg_pool2d(ones, 1).item() == 1
    assert F.avg_pool2d(ones, 64).item() == 1
