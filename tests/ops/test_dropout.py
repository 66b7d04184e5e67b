"""deepgpu.ops.dropout: PyTorch judges what does not depend on chance, statistics and equal masks the rest."""

import math
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.ops.dropout import dropout, dropout1d, dropout2d, dropout3d
from deepgpu.ops.op import REGISTRY
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import SHAPES

CHANNELS = {
    "dropout1d": ((2, 3, 5), (3, 5), (0, 3, 5), (1, 1, 1)),
    "dropout2d": ((2, 3, 4, 5), (1, 1, 1, 1), (0, 3, 4, 5), (2, 3, 0, 5)),
    "dropout3d": ((2, 3, 4, 5, 2), (3, 4, 5, 2), (0, 3, 4, 5, 2)),
}
CERTAIN: tuple[dict[str, Any], ...] = ({"training": False}, {"p": 0}, {"p": 1})
"""Arguments that leave nothing to chance."""


def certain(*shapes: tuple[int, ...]) -> Callable[[Maker], Iterator[Sample]]:
    def samples(make: Maker) -> Iterator[Sample]:
        for shape in shapes:
            for kwargs in CERTAIN:
                yield Sample(make(*shape), **kwargs)

    return samples


def special(make: Maker) -> Iterator[Sample]:
    yield Sample(make.special(), p=1).forward_only()


def chances(*shapes: tuple[int, ...]) -> Callable[[Maker], Iterator[Sample]]:
    def samples(make: Maker) -> Iterator[Sample]:
        for shape in shapes:
            for p in (0.2, 0.5):
                yield Sample(make(*shape), p)

    return samples


def errors(name: str, good: tuple[int, ...]) -> Any:
    def failures(make: Maker) -> Iterator[Failure]:
        for p in (-0.1, 1.5):
            for training in (True, False):
                yield Failure(Sample(make(*good), p, training), rf"`{name}`: `p` takes a probability.*{p}")
        yield Failure(Sample(np.ones(good, np.int64)), rf"`{name}`: `input` takes a floating-point.*int64")

    return failures


def seeded(name: str) -> Callable[..., dg.Tensor]:
    """The op with a seed of its own."""

    def function(x: dg.Tensor, p: float) -> dg.Tensor:
        dg.manual_seed(7)
        return REGISTRY[name].function(x, p)

    return function


def masked(name: str) -> Callable[..., torch.Tensor]:
    """A product with the mask that the op draws for that seed."""

    def function(x: torch.Tensor, p: float) -> torch.Tensor:
        mask = seeded(name)(dg.ones(tuple(x.shape), dtype=dg.float64), p)
        return (x.double() * torch.from_numpy(mask.numpy())).to(x.dtype)

    return function


def settled(make: Maker) -> Iterator[Sample]:
    """Nothing is left to chance."""
    for p, training in ((0.0, True), (1.0, True), (0.5, False)):
        yield Sample(make(2, 3, 4), p, training)


def drawn(name: str, *shapes: tuple[int, ...]) -> OpEntry:
    return OpEntry(
        name,
        chances(*shapes),
        variant="drawn",
        function=seeded(name),
        reference=masked(name),
        dtypes=FLOATING,
        keeps_layout=True,
    )


ENTRIES = [
    OpEntry("dropout", certain(*SHAPES), errors("dropout", (3,)), dtypes=FLOATING, keeps_layout=True),
    OpEntry("dropout", special, variant="special", dtypes=FLOATING, differentiable=False),
    *[OpEntry(name, certain(*shapes), errors(name, shapes[0]), dtypes=FLOATING) for name, shapes in CHANNELS.items()],
    *[drawn(name, shapes[0]) for name, shapes in CHANNELS.items()],
    *[OpEntry(name, settled, dtypes=FLOATING[:2]) for name in ("alpha_dropout", "feature_alpha_dropout")],
]


class TestDropout(OpTests):
    entries = ENTRIES


class TestDrawn(OpTests):
    """A GPU draws other numbers for whole tensors: tests/kernels/cuda/test_dropout.py judges them."""

    entries = [drawn(name, *shapes) for name, shapes in {"dropout": SHAPES, **CHANNELS}.items()]  # noqa: RUF012
    devices = ("cpu",)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_of_zeros_and_mean(p: float) -> None:
    """Both within five standard deviations of what they should be."""
    dg.manual_seed(0)
    n = 100_000
    y = dropout(dg.ones(n, dtype=dg.float64), p).numpy()
    assert set(np.unique(y)) == {0.0, 1 / (1 - p)}
    deviation = math.sqrt(p * (1 - p) / n)
    assert abs((y == 0).mean() - p) < 5 * deviation
    assert abs(y.mean() - 1) < 5 * deviation / (1 - p)


def test_elements_are_independent() -> None:
    """Neighbours in both directions are dropped together as often as chance has it."""
    dg.manual_seed(0)
    zero = dropout(dg.ones(300, 300), 0.5).numpy() == 0
    for a, b in ((zero[1:], zero[:-1]), (zero[:, 1:], zero[:, :-1])):
        assert abs((a & b).mean() - 0.25) < 5 * math.sqrt(0.25 * 0.75 / a.size)


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d"])
def test_channels_are_dropped_whole(name: str) -> None:
    dg.manual_seed(0)
    spatial = (4, 3, 2)[: int(name[-2])]
    y = REGISTRY[name].function(dg.ones(50, 40, *spatial), 0.3).numpy().reshape(2000, -1)
    assert np.all(y == y[:, :1])
    assert abs((y == 0).mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 2000)


def test_a_seed_gives_the_same_mask_in_every_dtype_and_layout() -> None:
    x = dg.ones(2, 3, 4, 5)
    masks = []
    for other in (x, x.double(), x.half(), x.contiguous(memory_format=dg.channels_last)):
        dg.manual_seed(3)
        masks.append(dropout(other, 0.5).numpy() != 0)
    assert all((mask == masks[0]).all() for mask in masks)
    assert ((dropout(x, 0.5).numpy() != 0) != masks[0]).any()  # the next one is another


def test_the_mask_is_kept_as_bytes() -> None:
    y = dropout(dg.ones(10, 10, dtype=dg.float64, requires_grad=True))
    assert y.grad_fn.mask.dtype == bool
    assert y.grad_fn.mask.nbytes == 100


def test_without_effect_the_input_itself_comes_back() -> None:
    x = dg.ones(3)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0) is x
    assert dropout2d(dg.ones(1, 1, 2, 2), 0.5, training=False).sum().item() == 4


def test_in_place() -> None:
    leaf = dg.ones(100, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"`dropout_`.*leaf"):
        dropout(leaf, 0.5, inplace=True)
    x = leaf * 1
    y = dropout(x, 0.5, inplace=True)
    assert y is x
    x.sum().backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), x.detach().numpy())  # the mask itself, for an input of ones
    images = dg.ones(5, 8, 2, 2)
    dropout2d(images, 0.5, inplace=True)
    assert set(np.unique(images.numpy())) == {0.0, 2.0}


def test_shapes_that_pytorch_warns_of() -> None:
    for shape in ((20, 30, 4), (20, 30), (20, 30, 2, 2, 2)):
        with pytest.warns(UserWarning, match="dropout2d: Received a"):
            torch.nn.functional.dropout2d(torch.ones(shape))
        with pytest.warns(UserWarning, match="dropout2d: Received a") as caught:
            y = dropout2d(dg.ones(*shape)).numpy().reshape(20, 30, -1)
        assert caught[0].filename == __file__
        assert np.all(y == y[:, :, :1])
        assert 0 < (y == 0).mean() < 1


@pytest.mark.parametrize(("name", "shape"), [("dropout1d", (3,)), ("dropout1d", (2, 3, 4, 5)), ("dropout2d", (3,))])
def test_shapes_that_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError):
            getattr(torch.nn.functional, name)(torch.ones(shape))
    with pytest.raises(RuntimeError, match=rf"`{name}`: `input` takes \(N, C, .*{re.escape(str(shape))}"):
        REGISTRY[name].function(dg.ones(*shape))


def test_unbatched_channels() -> None:
    dg.manual_seed(0)
    for function, shape in ((dropout1d, (100, 5)), (dropout3d, (100, 5, 2, 2))):
        y = function(dg.ones(*shape)).numpy().reshape(100, -1)
        assert np.all(y == y[:, :1])
        assert 0 < (y == 0).mean() < 1


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name: str) -> None:
    dg.manual_seed(0)
    x = dg.randn(400, 250, 4)
    y = getattr(F, name)(x, 0.3, training=True)
    values, counts = np.unique(y.numpy(), return_counts=True)
    dropped = y.numpy() == values[counts.argmax()]
    assert abs(dropped.mean() - 0.3) < 0.01
    assert abs(y.mean().item()) < 0.02
    assert abs(y.var().item() - 1) < 0.02
    if name == "feature_alpha_dropout":
        np.testing.assert_array_equal(dropped.all(-1), dropped.any(-1))
