"""deepgpu.ops.similarity, shuffling and shrinkage against PyTorch."""

from collections.abc import Iterator

import numpy as np
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import calls, unary


def pairs(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make(3, 4))
    yield Sample(make(2, 3, 4), make(3, 4), dim=-1)
    yield Sample(make(3, 4), make(1, 4), 0)
    yield Sample(make(3, 4), make(3, 4), 1, 5.0).forward_only()  # PyTorch differentiates the norm, not its limit
    yield Sample(make(4), make(4), dim=0)


def distances(make: Maker) -> Iterator[Sample]:
    for p in (1.0, 2.0, 3.0, float("inf")):
        yield Sample(make(3, 4), make(3, 4), p)
    yield Sample(make(3, 4), make(4), keepdim=True)
    yield Sample(make(4), make(4), eps=0.1)


def units(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4))
    yield Sample(make(2, 3, 4), 1, -1)
    yield Sample(make(2, 3), 3, 0)
    yield Sample(make(3), dim=0)


def shuffle_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 2, 2), 2), r"`pixel_shuffle`: `input` takes channels divisible by 4.*\(3, 2, 2\)")
    yield Failure(Sample(make(2, 2), 2), r"`pixel_shuffle`: `input` takes at least 3.*\(2, 2\)")


def unshuffle_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 3, 2), 2), r"`pixel_unshuffle`: `input` takes height.*\(3, 3, 2\)")


def deal_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(1, 3, 2), 2), "`channel_shuffle`: `groups` takes a divisor of the 3 channels.*2")


def shrunk(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    yield Sample(make(3, 4), 1.0)
    yield Sample(make.values([-1, -0.5, 0, 0.5, 1])).at_kink()


def shrink_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), -1.0), "`softshrink`: `lambd` takes.*-1")


def slopes(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4))
    yield Sample(make(3, 4), 0.1, 0.5)


def slope_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), 0.5, 0.1), "`rrelu`: `upper` takes.*0.1")


PRECISE = ("float64", "float32")
FEW = (*PRECISE, "int64")
LAYOUTS = ("transposed", "channels_last")
RANDOM = dict.fromkeys(("forward", "gradient", "double_backward", "gradgrad"), "the result is random: tested below")

ENTRIES = [
    OpEntry("cosine_similarity", pairs, dtypes=PRECISE, layouts=("transposed",)),
    OpEntry("pairwise_distance", distances, dtypes=PRECISE, layouts=("transposed",)),
    OpEntry("normalize", units, dtypes=PRECISE, layouts=("transposed",)),
    OpEntry("pixel_shuffle", calls(((2, 8, 2, 3), 2), ((9, 1, 2), 3)), shuffle_errors, dtypes=FEW, layouts=LAYOUTS),
    OpEntry("pixel_unshuffle", calls(((2, 2, 4, 6), 2), ((1, 3, 6), 3)), unshuffle_errors, dtypes=FEW, layouts=LAYOUTS),
    OpEntry("channel_shuffle", calls(((2, 6, 2, 3), 2), ((1, 6, 2), 3)), deal_errors, dtypes=FEW, layouts=LAYOUTS),
    OpEntry("hardshrink", shrunk, dtypes=("float64", "float32", "bfloat16"), layouts=LAYOUTS),
    OpEntry("softshrink", shrunk, shrink_errors, dtypes=("float64", "float32", "bfloat16"), layouts=LAYOUTS),
    OpEntry("rrelu", slopes, slope_errors, dtypes=PRECISE, layouts=(), inplace=False),
    OpEntry("gumbel_softmax", lambda make: iter([Sample(make(2, 3))]), dtypes=PRECISE, layouts=(), skip=RANDOM),
]


class TestVectors(OpTests):
    entries = ENTRIES


def test_random_slopes() -> None:
    dg.manual_seed(0)
    x = dg.full((1000,), -1.0, requires_grad=True)
    y = F.rrelu(x, 0.2, 0.6, training=True)
    assert -0.6 < y.min().item() < -0.55
    assert -0.25 < y.max().item() <= -0.2
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), -y.detach().numpy(), rtol=1e-6)


def test_gumbel_softmax_draws_in_proportion() -> None:
    dg.manual_seed(0)
    weights = dg.tensor([0.2, 0.5, 0.3])
    logits = weights.log().expand(4000, 3).clone().requires_grad_()
    hard = F.gumbel_softmax(logits, 0.7, hard=True)
    assert set(np.unique(hard.detach().numpy().round(5))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0).tolist(), weights.tolist(), atol=0.05)
    (hard * dg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert np.abs(logits.grad.numpy()).max() > 0
    soft = F.gumbel_softmax(logits, 0.7)
    np.testing.assert_allclose(soft.sum(-1).detach().numpy(), np.ones(4000), rtol=1e-5)
    assert soft.shape == torch.nn.functional.gumbel_softmax(torch.zeros(4000, 3)).shape
