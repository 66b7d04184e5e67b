"""deepgpu.ops.pad against PyTorch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def constants(make: Maker) -> Iterator[Sample]:
    for shape, widths in (
        ((4,), (1, 2)),
        ((3, 4), (1, 0)),
        ((3, 4), (0, 0, 2, 1)),
        ((2, 3, 4, 5), (1, 2, 3, 0)),
        ((2, 3, 4, 5), (1, 1, 1, 1, 0, 2, 1, 0)),
        ((3, 4, 5), (1, 1, 1, 1)),
        ((2, 3, 4, 5), (-1, 2, 1, -2)),
        ((3, 4), (-2, -2)),
        ((3, 4), (-4, 3)),
        ((0, 3), (1, 1)),
        ((0, 3), (0, 0, 1, 1)),
        ((2, 0, 3), (1, 1)),
        ((3, 4), ()),
        ((), ()),
        ((3, 4), (0, 0)),
    ):
        yield Sample(make(*shape), widths)
        yield Sample(make(*shape), list(widths), "constant", 1)
    yield Sample(make(3, 4), (1, 1), value=2.5)
    yield Sample(make(3, 4), (-1, 1), value=True)
    if make.is_floating:
        yield Sample(make(3, 4), (1, 1), value=float("-inf")).at_kink()
        yield Sample(make(3, 4), (1, 1), value=float("nan")).at_kink()


def constant_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), (1,)), r"`pad`: `pad` takes pairs.*\(3,\).*\(1,\)")
    yield Failure(Sample(make(3), (1, 1, 1, 1)), r"`pad`: `pad` takes pairs.*at most 1.*\(1, 1, 1, 1\)")
    yield Failure(Sample(make(3, 4), (-3, -2)), r"`pad`: `pad` takes widths.*\(3, 4\).*\(-3, -2\)")
    yield Failure(Sample(make(3), (1.5, 1)), r"`pad`: `pad` takes integers.*1.5")
    yield Failure(Sample(np.ones(3, np.uint8), (1, 1), value=300), "`pad`: `value`.*uint8.*300")
    yield Failure(Sample(make(1, 2, 3, 4), (1, 1, 1, 1), "mirror"), "`pad`: `mode` takes.*'mirror'")


def borders(mode: str) -> object:
    """Every shape that the mode takes, widths up to the largest, negative and none."""

    def samples(make: Maker) -> Iterator[Sample]:
        for shape, widths in (
            ((2, 5), (1, 2)),
            ((2, 3, 5), (2, 0)),
            ((3, 4, 5), (1, 2, 0, 3)),
            ((2, 3, 4, 5), (1, 2, 3, 0)),
            ((2, 3, 4, 5), (4, 4, 3, 3)),
            ((2, 3, 4, 5), (0, 0, 1, 1)),
            ((2, 3, 4, 5), (-1, 2, 1, -2)),
            ((2, 3, 4, 5), (0, 0, 0, 0)),
            ((2, 3, 4, 3), (-1, 0, -1, -1)),
            ((0, 3, 4, 5), (1, 1, 1, 1)),
            ((3, 2, 4, 3), (1, 1, 1, 1, 1, 0)),
            ((1, 3, 2, 4, 3), (1, 1, 1, 1, 1, 0)),
        ):
            yield Sample(make(*shape), widths, mode)

    return samples


def wide(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 1, 3, 1), (4, 5, 7, 0), "replicate")


def border_errors(mode: str, most: int | None) -> object:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(3), (1, 1), mode), rf"`pad`: `pad` takes for '{mode}' a pair.*1 for shape \(3,\)")
        yield Failure(Sample(make(2, 2, 3, 4), (1, 1), mode), rf"`pad`: `pad`.*'{mode}'.*1 for shape \(2, 2, 3, 4\)")
        yield Failure(Sample(make(1, 2, 3, 4), (1, 1, 1, 1), mode, 2), "`pad`: `value` takes None.*2")
        yield Failure(Sample(make(1, 2, 3, 4), (1, 1, -2, -2), mode), r"`pad`: `pad` takes widths.*\(1, 1, -2, -2\)")
        if most is not None:
            too_many = (most + 1, 0)
            expected = rf"`pad`: `pad` takes for '{mode}' widths up to {most} in dimension 2.*\({most + 1}, 0\)"
            yield Failure(Sample(make(1, 2, 3), too_many, mode), expected)
        yield Failure(Sample(make(2, 3, 0), (1, 1), mode), "`pad`: `pad` takes no empty input")

    return errors


BORDER_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "uint8")

ENTRIES = [
    OpEntry("pad", constants, constant_errors, keeps_layout=True),
    *[
        OpEntry(
            "pad",
            borders(mode),
            border_errors(mode, most),
            variant=mode,
            dtypes=BORDER_TYPES,
            keeps_layout=True,
        )
        for mode, most in (("reflect", 2), ("replicate", None), ("circular", 3))
    ],
    OpEntry("pad", wide, variant="wide", dtypes=BORDER_TYPES),
]


class TestPad(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_nothing_copies(mode: str) -> None:
    x = dg.ones(1, 2, 3)
    y = F.pad(x, (0, 0), mode)
    y.fill_(2)
    assert x.sum().item() == 6


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_images_of_usual_size(mode: str) -> None:
    """Wider than the borders, where a slice does most of the work."""
    x = np.random.default_rng(0).standard_normal((2, 3, 20, 30))
    ours, theirs = dg.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, expected = F.pad(ours, (3, 2, 1, 4), mode), torch.nn.functional.pad(theirs, (3, 2, 1, 4), mode)
    np.testing.assert_array_equal(y.detach().numpy(), expected.detach().numpy())
    g = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(dg.tensor(g))
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), rtol=1e-12)
