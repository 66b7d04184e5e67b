"""deepgpu.ops.loss against PyTorch."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.ops import loss
from deepgpu.testing import FLOATING, Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import BROADCASTS

REDUCTIONS = ("mean", "sum", "none")
CLASS_SHAPES: tuple[tuple[int, ...], ...] = ((4, 3), (1, 3), (3,), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 1, 2), (5, 1))
"""Inputs ``(N, C, ...)`` and ``(C,)``."""


def without_classes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return () if len(shape) == 1 else (shape[0], *shape[2:])


def labels(make: Maker) -> Iterator[Sample]:
    """Class indices, with weights, ignored ones and every reduction; nothing to count."""
    for i, shape in enumerate(CLASS_SHAPES):
        classes = shape[min(1, len(shape) - 1)]
        target = make.index(*without_classes(shape), high=classes)
        for reduction in REDUCTIONS if i < 3 else ("mean",):
            yield Sample(make(*shape), target, reduction=reduction)
        weight = make(classes, low=0.2)
        yield Sample(make(*shape), target, weight=weight, reduction=REDUCTIONS[i % 3])
        sample = Sample(make(*shape), target, weight=weight, ignore_index=0, reduction=REDUCTIONS[(i + 1) % 3])
        yield sample if target.any() else sample.at_kink()
    some = make.index(4, 5, high=3)
    some[1, 2:] = some[0, 0] = -100
    for reduction in REDUCTIONS:
        yield Sample(make(4, 3, 5), some, reduction=reduction)
        yield Sample(make(4, 3), np.full(4, 2), ignore_index=2, reduction=reduction).at_kink()  # a mean of nothing
        yield Sample(make(0, 3), make.index(0, high=3), reduction=reduction)
    yield Sample(make(2, 3, 0), make.index(2, 0, high=3))
    yield Sample(make(4, 3), np.array([-1, 2, -1, 0]), ignore_index=-1)
    yield Sample(make(4, 3), make.index(4, high=3).astype(np.uint8))


def log_probabilities(make: Maker) -> Iterator[Sample]:
    yield from labels(make)
    yield Sample(make(3), np.array([1]), reduction="none").forward_only()
    inf = float("-inf")
    impossible = make.values([[inf, -1, -2], [-1, inf, -2]])
    yield Sample(impossible, np.array([1, 0]))
    yield Sample(impossible, np.array([0, 0]), reduction="none").at_kink()
    yield Sample(impossible, np.array([0, 0]), ignore_index=0, reduction="sum")
    yield Sample(impossible, np.array([0, 0]), weight=make.values([0, 1, 1]), reduction="none").forward_only()


def smoothed(make: Maker) -> Iterator[Sample]:
    for sample in labels(make):
        sample.kwargs["label_smoothing"] = 0.1
        yield sample
    yield Sample(make(4, 3), make.index(4, high=3), label_smoothing=1)


def probabilities(make: Maker) -> Iterator[Sample]:
    for i, shape in enumerate(CLASS_SHAPES):
        classes = shape[min(1, len(shape) - 1)]
        target = make(*shape, low=0, high=1)
        for reduction in REDUCTIONS if i == 0 else (REDUCTIONS[i % 3],):
            yield Sample(make(*shape), target, reduction=reduction)
        yield Sample(make(*shape), target, label_smoothing=0.3, reduction=REDUCTIONS[(i + 1) % 3])
        yield Sample(make(*shape), target, weight=make(classes, low=0.2), reduction=REDUCTIONS[(i + 2) % 3])
    yield Sample(make(0, 3), make(0, 3, low=0, high=1), reduction="sum")
    yield Sample(make(0, 3), make(0, 3, low=0, high=1)).at_kink()  # a mean of nothing
    yield Sample(make(4, 3), make(4, 3, low=0, high=1), weight=make(3, low=0.2), label_smoothing=0.1)


def label_errors(name: str) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        x, t = make(2, 3), np.array([0, 2])
        yield Failure(Sample(x, np.array([0, 3])), rf"`{name}`: `target` takes .*0..2.*-100.*got 3 at index \(1,\)")
        yield Failure(Sample(x, np.array([-1, 0])), rf"`{name}`: `target`.*got -1 at index \(0,\)")
        yield Failure(Sample(make(2, 3, 4), np.full((2, 4), 5)), rf"`{name}`: `target`.*got 5 at index \(0, 0\)")
        yield Failure(Sample(make(3), np.array(3)), rf"`{name}`: `target`.*got 3 at index \(\)")
        yield Failure(Sample(x, np.array([0, 1, 2])), rf"`{name}`: `target` takes shape \(2,\).*\(2, 3\).*\(3,\)")
        yield Failure(Sample(x, np.array(0)), rf"`{name}`: `target` takes shape \(2,\).*shape \(\)")
        yield Failure(Sample(make(2, 3, 4), np.zeros((2, 5), np.int64)), rf"`{name}`: `target`.*\(2, 4\).*\(2, 5\)")
        yield Failure(Sample(x, t.astype(np.int32)), rf"`{name}`: `target` takes.*int64.*\.long\(\).*int32")
        yield Failure(Sample(x, t, weight=make(2)), rf"`{name}`: `weight` takes shape \(3,\), but got shape \(2,\)")
        yield Failure(Sample(x, t, weight=np.ones(3, np.float32)), rf"`{name}`: `weight` takes the dtype.*float32")
        yield Failure(Sample(x, t, reduction="all"), rf"`{name}`: `reduction` takes.*'all'")
        yield Failure(Sample(np.ones((2, 3), np.int64), t), rf"`{name}`: `input` takes a floating-point.*int64")

    return errors


def cross_entropy_errors(make: Maker) -> Iterator[Failure]:
    yield from label_errors("cross_entropy")(make)
    x = make(2, 3)
    yield Failure(Sample(x, np.array([0, 1]), label_smoothing=1.5), "`cross_entropy`: `label_smoothing`.*1.5")
    yield Failure(Sample(x, np.zeros((2, 3), np.int64)), r"`cross_entropy`: `target`.*\(2, 3\)")
    yield Failure(Sample(x, make(3, 2)), r"`cross_entropy`: `target` takes shape.*\(3, 2\)")
    yield Failure(Sample(x, x, ignore_index=1), "`cross_entropy`: `ignore_index`.*1")


def pairs(make: Maker) -> Iterator[Sample]:
    for i, (a, b) in enumerate(BROADCASTS):
        for reduction in REDUCTIONS if i == 0 else ("none", "mean")[i % 2 :]:
            sample = Sample(make(*a), make(*b), reduction=reduction)
            yield sample.at_kink() if 0 in (*a, *b) else sample  # a mean of nothing is NaN
    yield Sample(make.values([0, 1, -2]), make.values([0, 1, 1])).at_kink()


def pairs_with(argument: str, *values: float) -> Callable[[Maker], Iterator[Sample]]:
    """:func:`pairs`, and differences on and around the kink."""

    def samples(make: Maker) -> Iterator[Sample]:
        yield from pairs(make)
        for value in values:
            yield Sample(make(3, 4), make(3, 4), **{argument: value})
            at = make.values([0, value, -value, 2 * value, value / 2])
            yield Sample(at, make.full((5,), 0), **{argument: value}, reduction="none").at_kink()

    return samples


def pair_errors(name: str, argument: str = "", wrong: tuple[float, ...] = ()) -> Any:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(make(3), make(2)), rf"`{name}`.*\(3,\) and \(2,\)")
        yield Failure(Sample(make(3), make(3), reduction="all"), rf"`{name}`: `reduction` takes.*'all'")
        yield Failure(Sample(np.ones(3, np.int64), np.ones(3, np.int64)), rf"`{name}`: `input` takes.*int64")
        for value in wrong:
            yield Failure(Sample(make(3), make(3), **{argument: value}), rf"`{name}`: `{argument}`.*{value}")

    return errors


def contiguous(name: str) -> Callable[..., Any]:
    """PyTorch's loss of an input without gaps: it refuses some others."""
    return lambda input, *args, **kwargs: getattr(torch.nn.functional, name)(input.contiguous(), *args, **kwargs)


def quiet(name: str) -> Callable[..., Any]:
    """PyTorch's loss without its warning about shapes that broadcast; ours is in nn.functional."""

    def function(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(torch.nn.functional, name)(*args, **kwargs)

    return function


PAIR_SHAPES = ((3, 4), (), (0, 2), (2, 3, 4, 5))


def uncertain(make: Maker) -> Iterator[Sample]:
    for shape in PAIR_SHAPES:
        for reduction in REDUCTIONS:
            p, t = make(*shape, low=0.05, high=0.95), make(*shape, low=0, high=1)
            sample = Sample(p, t, reduction=reduction)
            yield sample if p.size else sample.at_kink()  # a mean of nothing is NaN
    for shape in ((4,), (3, 1), ()):
        yield Sample(make(3, 4, low=0.05, high=0.95), make(3, 4, low=0, high=1), weight=make(*shape, low=0.2))
    yield Sample(make.values([0, 1, 0.5]), make.values([0, 1, 1])).at_kink()


def certain(make: Maker) -> Iterator[Sample]:
    """Probabilities of 0 and 1, which PyTorch limits."""
    yield Sample(make.values([0, 1, 0, 1, 1e-30]), make.values([0, 1, 1, 0, 1]), reduction="none")


def certainty_errors(make: Maker) -> Iterator[Failure]:
    name = "`binary_cross_entropy`"
    half = make.full((2,), 0.5)
    yield Failure(Sample(make.values([0.5, 1.5]), half), rf"{name}: `input` takes.*\[0, 1\].*0.5 to 1.5")
    yield Failure(Sample(make.values([0.5, np.nan]), half), rf"{name}: `input` takes.*\[0, 1\].*nan")
    yield Failure(Sample(half, make.values([-1, 1])), rf"{name}: `target` takes.*\[0, 1\].*-1 to 1")
    yield Failure(Sample(half, make.full((2, 1), 0.5)), rf"{name}: `target` takes the shape.*\(2,\).*\(2, 1\)")
    yield Failure(Sample(half, half.astype(np.float32)), rf"{name}: `target` takes the dtype.*float64.*float32")
    yield Failure(Sample(half, np.array([0, 1])), rf"{name}: `target` takes a floating-point.*int64")
    yield Failure(Sample(half, half, weight=make(3)), rf"{name}: `weight` takes.*\(2,\).*\(3,\)")
    yield Failure(Sample(half, half, weight=make(2, 2)), rf"{name}: `weight` takes.*\(2,\).*\(2, 2\)")
    yield Failure(Sample(half, half, reduction="all"), rf"{name}: `reduction` takes.*'all'")


def logits(make: Maker) -> Iterator[Sample]:
    for shape in PAIR_SHAPES:
        for reduction in REDUCTIONS:
            x, t = make(*shape), make(*shape, low=0, high=1)
            sample = Sample(x, t, reduction=reduction)
            yield sample if x.size else sample.at_kink()  # a mean of nothing is NaN
    x, t = make(3, 4), make(3, 4, low=0, high=1)
    for shape in ((4,), (3, 1), (3, 4), ()):
        yield Sample(x, t, weight=make(*shape, low=0.2))
        yield Sample(x, t, pos_weight=make(*shape, low=0.2), reduction="sum")
    yield Sample(x, t, weight=make(4, low=0.2), pos_weight=make(3, 1, low=0.2), reduction="none")
    far = make.values([-1000, -100, -20, 0, 20, 100, 1000])
    for value in (0, 0.3, 1):
        yield Sample(far, make.full((7,), value), reduction="none").at_kink()
    yield Sample(far, make.full((7,), 0.3), pos_weight=make.values(3), reduction="none").at_kink()
    inf = float("inf")
    yield Sample(
        make.values([inf, inf, -inf, -inf, np.nan]), make.values([0, 1, 0, 1, 0]), reduction="none"
    ).forward_only()


def logit_errors(make: Maker) -> Iterator[Failure]:
    name = "`binary_cross_entropy_with_logits`"
    x, t = make(2, 3), make(2, 3, low=0, high=1)
    yield Failure(Sample(x, make(3)), rf"{name}: `target` takes the shape.*\(2, 3\).*\(3,\)")
    yield Failure(Sample(x, np.ones((2, 3), np.int64)), rf"{name}: `target` takes a floating-point.*int64")
    yield Failure(Sample(x, t, weight=make(2)), rf"{name}: `weight` takes.*\(2, 3\).*\(2,\)")
    yield Failure(Sample(x, t, pos_weight=make(4, 2, 3)), rf"{name}: `pos_weight` takes.*\(2, 3\).*\(4, 2, 3\)")
    yield Failure(Sample(x, t, reduction="all"), rf"{name}: `reduction` takes.*'all'")


def indices(make: Maker) -> Iterator[Sample]:
    for shape in ((4,), (2, 3), (), (1,)):
        yield Sample(make.index(*shape, high=3))
        yield Sample(make.index(*shape, high=3), 3)
        yield Sample(make.index(*shape, high=3), num_classes=5)
    yield Sample(make.index(0, high=3), 3)
    yield Sample(make.index(2, 0, high=3), 3)


def index_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(np.array([0, 2]), 2), r"`one_hot`: `target`.*0..1.*got 2 at index \(1,\)")
    yield Failure(Sample(np.array([0, -2])), r"`one_hot`: `target`.*got -2 at index \(1,\)")
    yield Failure(Sample(np.array([], np.int64)), "`one_hot`: `num_classes`.*empty")
    yield Failure(Sample(np.array([1]), -2), "`one_hot`: `num_classes`.*-2")
    yield Failure(Sample(np.array([1], np.int32)), "`one_hot`: `tensor`.*int32")


HALF = {"float16": (4e-3, 4e-3), "bfloat16": (3e-2, 3e-2)}
"""Our losses of half types are rounded once; PyTorch's means and sums of several are so after each step."""

WEIGHTS = ("weight",)
ALL_WEIGHTS = ("weight", "pos_weight")

ENTRIES = [
    OpEntry(
        "nll_loss",
        log_probabilities,
        label_errors("nll_loss"),
        reference=contiguous("nll_loss"),
        dtypes=FLOATING,
        constants=WEIGHTS,
        tolerances=HALF,
    ),
    OpEntry(
        "cross_entropy",
        labels,
        cross_entropy_errors,
        reference=contiguous("cross_entropy"),
        dtypes=FLOATING,
        constants=WEIGHTS,
        tolerances=HALF,
    ),
    OpEntry(
        "cross_entropy", smoothed, variant="smoothed", dtypes=FLOATING, constants=WEIGHTS, tolerances=HALF, layouts=()
    ),
    OpEntry("cross_entropy", probabilities, variant="probabilities", dtypes=FLOATING, tolerances=HALF),
    OpEntry("mse_loss", pairs, pair_errors("mse_loss"), reference=quiet("mse_loss"), dtypes=FLOATING, tolerances=HALF),
    OpEntry("l1_loss", pairs, reference=quiet("l1_loss"), dtypes=FLOATING, tolerances=HALF),
    OpEntry(
        "smooth_l1_loss",
        pairs_with("beta", 0.5, 2, 0),
        pair_errors("smooth_l1_loss", "beta", (-1,)),
        reference=quiet("smooth_l1_loss"),
        dtypes=FLOATING,
        tolerances=HALF,
    ),
    OpEntry(
        "huber_loss",
        pairs_with("delta", 0.5, 2),
        pair_errors("huber_loss", "delta", (-1, 0)),
        reference=quiet("huber_loss"),
        dtypes=FLOATING,
        tolerances=HALF,
    ),
    OpEntry(
        "binary_cross_entropy",
        uncertain,
        certainty_errors,
        dtypes=FLOATING,
        constants=WEIGHTS,
        tolerances={**HALF, "float64": (1e-9, 1e-12)},  # PyTorch's second derivative has 1e-12 added in places
    ),
    OpEntry(
        "binary_cross_entropy",
        certain,
        variant="certain",
        dtypes=("float64", "float32"),
        constants=(1,),
        tolerances={"float64": (1e-7, 1e-12)},  # PyTorch's limit of 1e-12 is a float32
        double_backward=False,  # at its limits PyTorch differentiates the formula, not what it computes
    ),
    OpEntry(
        "binary_cross_entropy_with_logits",
        logits,
        logit_errors,
        dtypes=FLOATING,
        constants=ALL_WEIGHTS,
        tolerances=HALF,
    ),
    OpEntry("one_hot", indices, index_errors, differentiable=False, dtypes=("int64",)),
]


class TestLoss(OpTests):
    entries = ENTRIES


def test_input_without_classes() -> None:
    with pytest.raises(ValueError, match="Expected 1 or more dimensions"):
        torch.nn.functional.nll_loss(torch.tensor(1.0), torch.tensor(0))
    for name in ("nll_loss", "cross_entropy"):
        with pytest.raises(ValueError, match=f"`{name}`: `input` takes .*0-d"):
            getattr(F, name)(dg.tensor(1.0), dg.tensor(0))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_have_no_gradient(smoothing: float) -> None:
    """PyTorch has none either, and says so."""
    x, t, w = dg.randn(2, 3), dg.tensor([0, 2]), dg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"`cross_entropy`: `weight` takes a constant.*requires grad"):
        F.cross_entropy(x, t, w, label_smoothing=smoothing)
    with dg.no_grad():
        assert F.cross_entropy(x, t, w.detach(), label_smoothing=smoothing).item() > 0


def test_weights_of_elements_have_gradients() -> None:
    """PyTorch has none for the weights of binary cross-entropies; finite differences judge ours."""
    rng = np.random.default_rng(0)
    x, t, w = (dg.tensor(rng.uniform(0.1, 0.9, (2, 3)), requires_grad=True) for _ in range(3))
    assert dg.autograd.gradgradcheck(loss.binary_cross_entropy, [x, t, w])
    assert dg.autograd.gradgradcheck(
        lambda x, t, w, v: loss.binary_cross_entropy_with_logits(x, t, w, pos_weight=v),
        [x, t, w, w.detach()[:1].requires_grad_()],
    )


def test_labels_may_change_after_forward() -> None:
    """The gradient is that of the labels that the loss was computed with."""
    x, labels = dg.zeros(2, 3, requires_grad=True), dg.tensor([0, 1])
    y = F.cross_entropy(x, labels, reduction="sum")
    labels.fill_(2)
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), [[-2 / 3, 1 / 3, 1 / 3], [1 / 3, -2 / 3, 1 / 3]], rtol=1e-6)


def test_cross_entropy_of_a_batch_is_one_node() -> None:
    """It is on the path of every training step."""
    y = F.cross_entropy(dg.zeros(4, 3, requires_grad=True), dg.tensor([0, 1, 2, 0]))
    assert y.grad_fn.name == "CrossEntropyBackward"
    ((leaf, _),) = y.grad_fn.next_functions
    assert type(leaf).__name__ == "AccumulateGrad"


def test_shapes_of_labels_on_a_large_input() -> None:
    """A segmentation map against a loop in float64."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((3, 7, 5, 4)), rng.integers(0, 7, (3, 5, 4))
    t[0, 0] = 255
    total, count = 0.0, 0
    for n, i, j in np.ndindex(*t.shape):
        if t[n, i, j] != 255:
            row = x[n, :, i, j]
            total += np.log(np.exp(row).sum()) - row[t[n, i, j]]
            count += 1
    ours = F.cross_entropy(dg.tensor(x), dg.tensor(t), ignore_index=255)
    np.testing.assert_allclose(ours.item(), total / count, rtol=1e-12)


def test_logits_of_any_size_have_finite_gradients() -> None:
    x = dg.tensor([-1e30, -1e4, -90.0, 0.0, 90.0, 1e4, 1e30], requires_grad=True)
    for value in (0.0, 1.0):
        y = F.binary_cross_entropy_with_logits(x, dg.full((7,), value), pos_weight=dg.tensor(2.0), reduction="sum")
        (first,) = dg.autograd.grad(y, x, create_graph=True)
        (second,) = dg.autograd.grad(first.sum(), x)
        assert dg.isfinite(y).item()
        assert dg.isfinite(first).all().item()
        assert dg.isfinite(second).all().item()


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_half_errors_keep_their_digits(name: str) -> None:
    x, t = np.array([1.5, 300.0], np.float16), np.array([1.0, 299.5], np.float16)
    theirs = getattr(torch.nn.functional, name)(torch.tensor(x), torch.tensor(t), reduction="none")
    ours = getattr(F, name)(dg.tensor(x), dg.tensor(t), reduction="none")
    assert ours.dtype is dg.float16
    np.testing.assert_allclose(ours.numpy(), theirs.numpy())
