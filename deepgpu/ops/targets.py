"""Class indices as targets of a loss, and the losses of log-probabilities that they stand for, on raw arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.cuda import graphs
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.tensor import Tensor


class Targets:
    """Which classes the targets are, and how much each counts, on raw arrays.

    A target's loss is linear in the log-probabilities ``x``: ``-w[t] x[t]``, and with smoothing ``s`` over C classes
    ``-(1 - s) w[t] x[t] - s / C sum(w x)``. The map and its adjoint share what stands here.

    Attributes
    ----------
    classes
        The classes, where a target does not count any one.
    ignored
        Where a target does not count; None if all do.
    labels
        The classes, or -1 where a target does not count.
    weight
        A weight a class, or None.
    weights
        The weight of each target's class, or None.
    spread
        With smoothing, the factor of every class, to be broadcast with ``x``.
    """

    def __init__(
        self, xp: Any, x: Any, labels: Any, ignored: Any, weight: Any, smoothing: float, reduction: str
    ) -> None:
        self.shape, self.axis = x.shape, min(1, x.ndim - 1)
        self.classes = labels
        self.ignored = ignored
        self.labels = labels if ignored is None else xp.where(ignored, -1, labels)
        self.weight, self.smoothing = weight, smoothing
        self.reduction = reduction
        self.kept = 1 - smoothing
        self.weights = None if weight is None else widened(weight)[labels]
        self.spread: Any = None
        if smoothing:
            each = xp.ones(1, x.dtype) if weight is None else weight
            along = [-1 if d == self.axis else 1 for d in range(x.ndim)]
            self.spread = widened(each).reshape(along) * (smoothing / x.shape[self.axis])

    def index(self, xp: Any) -> tuple[Any, ...]:
        """The target elements of an array ``(N, C, ...)``."""
        shape = self.classes.shape
        at = [xp.arange(n).reshape([-1 if d == i else 1 for d in range(len(shape))]) for i, n in enumerate(shape)]
        return (*at[: self.axis], self.classes, *at[self.axis :])

    def total(self, xp: Any, dtype: Any) -> Any:
        """What the mean divides by: the sum of the weights of the targets that count, a number where it needs none."""
        if self.weights is None and self.ignored is None:
            return self.labels.size
        each = xp.ones(self.labels.shape, dtype) if self.weights is None else self.weights
        return self.masked(xp, each).sum(dtype=dtype)

    def each(self) -> Targets:
        """The same targets, not reduced."""
        same = copy.copy(self)
        same.reduction = "none"
        return same

    def masked(self, xp: Any, each: Any) -> Any:
        """A number a target, 0 where it is ignored."""
        return each if self.ignored is None else xp.where(self.ignored, each.dtype.type(0), each)

    def weighted(self, each: Any) -> Any:
        """A number a target, times the weight of its class and its share without smoothing."""
        if self.weights is not None:
            each = each * self.weights
        return each if self.kept == 1 else each * self.kept


class NllLoss(Node):
    """The losses of :class:`Targets`, or their sum or mean: linear in the log-probabilities."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def forward(self, x: Any) -> Any:
        t, xp = self.targets, self.xp
        wide = widened(x)
        losses = -t.weighted(wide[t.index(xp)])
        if t.spread is not None:
            losses = losses - (wide * t.spread).sum(axis=t.axis)
        losses = t.masked(xp, losses)
        if t.reduction != "none":
            losses = losses.sum()
        if t.reduction == "mean":
            losses = losses / t.total(xp, wide.dtype)
        return rounded(losses, x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        return NllLossGrad(self.targets)(g)


class NllLossGrad(Node):
    """The adjoint of :class:`NllLoss`."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def forward(self, g: Any) -> Any:
        t, xp = self.targets, self.xp
        each = -widened(g)
        if t.reduction == "mean":
            each = each / t.total(xp, each.dtype)
        each = t.masked(xp, xp.broadcast_to(each, t.classes.shape))
        if t.spread is None:
            gx = xp.zeros(t.shape, g.dtype)
            gx[t.index(xp)] = t.weighted(each)
        else:
            gx = xp.expand_dims(each, t.axis) * xp.broadcast_to(t.spread, t.shape)
            gx[t.index(xp)] += t.weighted(each)  # every element is one target's, so that none is added to twice
        return rounded(gx, g.dtype)

    def backward(self, gg: Tensor) -> Tensor:
        return NllLoss(self.targets)(gg)


def checked_targets(
    name: str, input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Targets:
    """The checked targets of an input ``(N, C, ...)`` or ``(C,)``."""
    shape, given = input._data.shape, target._data.shape
    check_target_shape(name, shape, given)
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        expected = "class indices as int64 (convert it with `.long()`) or uint8"
        raise RuntimeError(takes(name, "target", expected, target.dtype))
    classes = shape[min(1, len(shape) - 1)]
    if weight is not None:
        _check_class_weight(name, input, weight, classes)
    xp = input._backend.xp
    labels = target._data.astype(dtypes.int64.numpy)  # a copy: the user's may change before backward
    labels = labels.reshape(()) if len(shape) == 1 else labels
    ignored: Any = None
    captured = graphs.capturing()  # then nobody can look at the labels
    if captured or 0 <= ignore_index < classes or xp.count_nonzero(labels.view(np.uint64) >= classes):
        ignored = labels == ignore_index  # a negative label is a large number without a sign
        if captured or ignored.any():
            labels = xp.where(ignored, 0, labels)
        else:
            ignored = None
        if not captured:
            check_labels(name, target, labels, ignored, classes, f"(or `ignore_index` {ignore_index})", IndexError)
    return Targets(xp, input._data, labels, ignored, None if weight is None else weight._data, smoothing, reduction)


def check_target_shape(name: str, shape: tuple[int, ...], given: tuple[int, ...]) -> None:
    """Raise the op's error unless the targets have the input's shape, ``shape``, without its classes."""
    if not shape:
        raise ValueError(takes(name, "input", "(C,) or (N, C, ...)", "a 0-d tensor"))
    expected = () if len(shape) == 1 else (shape[0], *shape[2:])
    if given == expected or (len(shape) == 1 and given == (1,)):
        return
    other_batch = not given or given[0] != shape[0]
    what = f"shape {expected}, without the classes of `input` {tuple(shape)},"
    # PyTorch tells another batch size from other sizes by the exception
    raise (ValueError if other_batch else RuntimeError)(takes(name, "target", what, f"shape {tuple(given)}"))


def _check_class_weight(name: str, input: Tensor, weight: Tensor, classes: int) -> None:
    if weight._data.shape != (classes,):
        raise RuntimeError(takes(name, "weight", f"shape ({classes},)", f"shape {tuple(weight.shape)}"))
    if weight._data.dtype != input._data.dtype:
        raise RuntimeError(takes(name, "weight", f"the dtype of `input`, {input.dtype}", weight.dtype))
    if weight.requires_grad:
        expected = "a constant for targets that are class indices (`detach()` it)"
        raise RuntimeError(takes(name, "weight", expected, "a tensor that requires grad"))


def check_labels(
    name: str, given: Tensor, labels: Any, ignored: Any, classes: int, besides: str, kind: type[Exception]
) -> None:
    """Raise if a label that counts is no class, naming it and where it stands."""
    wrong = (labels < 0) | (labels >= classes)
    if ignored is not None:
        wrong &= ~ignored
    if wrong.any():
        at = tuple([int(i) for i in given._backend.xp.argwhere(wrong.reshape(given._data.shape))[0]])
        expected = " ".join([f"class indices in 0..{classes - 1}", besides]).strip()
        raise kind(takes(name, "target", expected, f"{int(given._data[at])} at index {at}"))
