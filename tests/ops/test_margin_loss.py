"""deepgpu.ops.margin_loss, likelihood_loss and ctc against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample

Samples = Callable[[Maker], Iterator[Sample]]
REDUCTIONS = ("mean", "sum", "none")


def signs(make: Maker, *shape: int) -> np.ndarray:
    return make.values(np.where(make.mask(*shape), 1, -1))


def hinges(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), signs(make, 3, 4), reduction=how)
    yield Sample(make(3, 4), signs(make, 4), 0.5)


def soft(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), signs(make, 3, 4), reduction=how)


def rankings(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(4), make(4), signs(make, 4), 0.3, reduction=how)
    yield Sample(make(3, 4), make(1, 4), signs(make, 3, 1))


def ranking_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(3), signs(make, 3, 1)), "`margin_ranking_loss`: `target` takes as many dim")


def cosines(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), make(3, 4), signs(make, 3), 0.1, reduction=how)
    yield Sample(make(4), make(4), signs(make))


def cosine_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(
        Sample(make(3, 4), make(3, 4), signs(make, 3, 4)), r"`cosine_embedding_loss`: `target` takes.*\(3, 4\)"
    )


def triplets(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), make(3, 4), make(3, 4), reduction=how)
    yield Sample(make(3, 4), make(3, 4), make(3, 4), margin=2.0, p=1, swap=True)
    yield Sample(make(4), make(4), make(4))


def triplet_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(3), make(1, 3)), "`triplet_margin_loss`: `anchor` takes as many dim")
    yield Failure(Sample(make(3), make(3), make(3), margin=-1.0), "`triplet_margin_loss`: `margin` takes.*-1")


def with_distance(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make(3, 4), make(3, 4), swap=True)
    yield Sample(make(3, 4), make(3, 4), make(3, 4), distance_function=lambda a, b: ((a - b) ** 2).sum(-1))


def classes(make: Maker) -> Iterator[Sample]:
    t = np.array([0, 2, 1])
    for how in REDUCTIONS:
        yield Sample(make(3, 4), t, reduction=how).gradient_only()
    yield Sample(make(3, 4), t, 2, 0.5).gradient_only()
    yield Sample(make(3, 4), t, weight=make(4, low=0.1)).gradient_only()
    yield Sample(make(4), np.array(1)).gradient_only()


def class_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), np.array([0, 1, 2]), 3), "`multi_margin_loss`: `p` takes 1 or 2.*3")


def labels(make: Maker) -> Iterator[Sample]:
    t = np.array([[0, 2, -1, 1], [3, -1, 0, 0], [-1, 0, 1, 2]])
    for how in REDUCTIONS:
        yield Sample(make(3, 4), t, reduction=how).gradient_only()
    yield Sample(make(4), t[0]).gradient_only()


def multilabel(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), make(3, 4, low=0, high=1), reduction=how)
    yield Sample(make(3, 4), make(3, 4, low=0, high=1), make(4, low=0.1))


def divergences(make: Maker) -> Iterator[Sample]:
    for how in (*REDUCTIONS, "batchmean"):
        yield Sample(make(3, 4), make(3, 4, low=0.1, high=1), reduction=how)
        yield Sample(make(3, 4), make(3, 4), reduction=how, log_target=True)
    yield Sample(make(4), make.values([0, 0.5, 0, 1]), reduction="sum").gradient_only()


def quietly(name: str) -> Callable[..., Any]:
    """PyTorch's loss without the warning that its mean is not the divergence."""

    def reference(*args: Any, reduction: str = "mean", **kwargs: Any) -> torch.Tensor:
        loss = getattr(torch.nn.functional, name)(*args, reduction="none", **kwargs)
        if reduction == "batchmean":
            return loss.sum() / loss.shape[0]
        return loss if reduction == "none" else getattr(loss, reduction)()

    return reference


def counts(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), make(3, 4, low=0.1, high=4), reduction=how)
    yield Sample(make(3, 4), make(3, 4, low=0.1, high=4), full=True)
    yield Sample(make(3, 4, low=0.5), make(3, 4, low=0.1, high=4), False, eps=0.1)


def normals(make: Maker) -> Iterator[Sample]:
    for how in REDUCTIONS:
        yield Sample(make(3, 4), make(3, 4), make(3, 4, low=0.2), reduction=how)
    yield Sample(make(3, 4), make(3, 4), make(3, 1, low=0.2), full=True)
    yield Sample(make(3, 4), make(3, 4), make(3, low=0.2))
    yield Sample(make(3, 4), make(3, 4), 0.5)
    yield Sample(make(3), make(3), make.values([0.1, 1, 2]), eps=0.5).gradient_only()


def normal_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make(3), -make(3, low=0.2)), "`gaussian_nll_loss`: `var` takes numbers.*not negative")
    yield Failure(Sample(make(3, 4), make(3, 4), make(2, 4, low=0.2)), r"`gaussian_nll_loss`: `var` takes.*\(2, 4\)")


def alignments(make: Maker) -> Iterator[Sample]:
    """Log-probabilities need not sum to 1; PyTorch's gradient is that of normalized ones, so that these are."""

    def x(*shape: int) -> np.ndarray:
        raw = make(*shape)
        return (raw - np.log(np.exp(raw).sum(-1, keepdims=True))).astype(raw.dtype)

    t = np.array([[1, 2, 2], [3, 1, 0]])
    for how in REDUCTIONS:
        yield Sample(x(8, 2, 4), t, (8, 6), (3, 2), reduction=how).forward_only()
    yield Sample(x(8, 2, 4), np.array([1, 2, 2, 3, 1]), np.array([8, 7]), np.array([3, 2]), blank=0).forward_only()
    yield Sample(x(5, 4), np.array([1, 2]), (5,), (2,), reduction="sum").forward_only()
    yield Sample(x(6, 2, 4), np.array([[0, 1], [2, 0]]), (6, 6), (2, 0), 3, "none").forward_only()
    yield Sample(x(2, 2, 4), t, (2, 2), (3, 1), 0, "none").forward_only()  # the first is impossible
    yield Sample(x(2, 2, 4), t, (2, 2), (3, 1), 0, "none", True).forward_only()


def alignment_errors(make: Maker) -> Iterator[Failure]:
    t = np.array([[1, 2]])
    yield Failure(Sample(make(4, 1, 3), t, (5,), (2,)), r"`ctc_loss`: `input_lengths` takes lengths in 0\.\.4.*5")
    yield Failure(Sample(make(4, 1, 3), t, (4,), (2,), 3), r"`ctc_loss`: `blank` takes a class in 0\.\.2.*3")


PRECISE = ("float64", "float32")
LAYOUTS = ("transposed",)


def entry(name: str, samples: Samples, errors: Any = None, **kwargs: Any) -> OpEntry:
    return OpEntry(name, samples, errors, **{"dtypes": PRECISE, "layouts": LAYOUTS, **kwargs})


ENTRIES = [
    entry("hinge_embedding_loss", hinges, constants=(1,)),
    entry("soft_margin_loss", soft, constants=(1,)),
    entry("margin_ranking_loss", rankings, ranking_errors, constants=(2,)),
    entry("cosine_embedding_loss", cosines, cosine_errors, constants=(2,)),
    entry("triplet_margin_loss", triplets, triplet_errors),
    entry("triplet_margin_with_distance_loss", with_distance),
    entry("multi_margin_loss", classes, class_errors, double_backward=False, constants=("weight",)),
    entry("multilabel_margin_loss", labels, double_backward=False),
    entry("multilabel_soft_margin_loss", multilabel, constants=(1, 2)),
    entry("kl_div", divergences, reference=quietly("kl_div")),
    entry("poisson_nll_loss", counts),
    entry("gaussian_nll_loss", normals, normal_errors),
    entry(
        "ctc_loss",
        alignments,
        alignment_errors,
        layouts=(),
        tolerances={"float32": (1e-5, 1e-5)},
        skip={"gradient": "that of PyTorch's loss assumes a log_softmax before it: compared with one below"},
        double_backward=False,
    ),
]


class TestMarginLoss(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_ctc_of_logits_has_the_gradient_of_pytorch(zero_infinity: bool) -> None:
    logits = np.random.default_rng(0).standard_normal((9, 3, 5))
    targets, times, sizes = (
        np.array([[1, 2, 2, 4], [3, 3, 0, 0], [1, 2, 3, 4]]),
        (9, 7, 3 if zero_infinity else 9),
        (4, 2, 4),
    )
    grads = []
    for library in (torch, dg):
        x = library.tensor(logits).requires_grad_()
        functional = library.nn.functional
        t, n, m = (library.tensor(v) for v in (targets, times, sizes))
        loss = functional.ctc_loss(functional.log_softmax(x, -1), t, n, m, zero_infinity=zero_infinity)
        loss.backward()
        grads.append((loss.detach().numpy(), x.grad.numpy()))
    for theirs, ours in zip(*grads, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_ctc_is_differentiable_twice() -> None:
    x = dg.randn(4, 2, 3, dtype=dg.float64, requires_grad=True)
    t = dg.tensor([[1, 2], [2, 0]])
    assert dg.autograd.gradgradcheck(lambda x: F.ctc_loss(x.log_softmax(-1), t, (4, 3), (2, 1)), [x], fast_mode=True)
