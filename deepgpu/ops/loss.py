"""Losses: cross-entropy, negative log-likelihood, squared and absolute errors, binary cross-entropy."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.activation import softplus
from deepgpu.ops.op import op
from deepgpu.ops.pointwise import where
from deepgpu.ops.softmax import log_softmax
from deepgpu.tensor import Tensor


def reduced(loss: Tensor, reduction: str, name: str) -> Tensor:
    """The mean, the sum, or every element."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(takes(name, "reduction", "'mean', 'sum' or 'none'", repr(reduction)))


def _class_indices(target: Tensor, classes: int, ignore_index: int, name: str) -> tuple[Tensor, Tensor]:
    """The targets with ignored ones replaced by class 0, and where they count."""
    counts = target != ignore_index
    labels = where(counts, target, 0)
    data = labels._data
    if data.size and bool(((data < 0) | (data >= classes)).any()):
        bad = data[(data < 0) | (data >= classes)][0]
        expected = f"class indices 0..{classes - 1} (or `ignore_index` {ignore_index})"
        raise IndexError(takes(name, "target", expected, f"the index {int(bad)}"))
    return labels, counts


def _check_classes(input: Tensor, target: Tensor, name: str) -> None:
    if input._data.ndim < 1:
        raise RuntimeError(takes(name, "input", "(C,) or (N, C, ...)", "a 0-d tensor"))
    shape = input._data.shape
    expected = () if len(shape) == 1 else (shape[0], *shape[2:])
    if target._data.shape != expected:
        what = f"shape {expected} for an input of shape {tuple(shape)}"
        raise RuntimeError(takes(name, "target", what, f"shape {tuple(target.shape)}"))
    if target.dtype.category != dtypes.int64.category:
        raise RuntimeError(takes(name, "target", "class indices as int64", target.dtype))


@op
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the target classes.

    Parameters
    ----------
    input
        Log-probabilities ``(N, C)``, ``(N, C, d1, ...)`` or ``(C,)``.
    target
        int64 class indices ``(N)``, ``(N, d1, ...)`` or ``()``.
    weight
        ``(C,)``: a weight a class. The mean divides by the sum of the targets' weights.
    ignore_index
        Targets of this value do not count.

    Raises
    ------
    IndexError
        If a target is no class.
    """
    _check_classes(input, target, "nll_loss")
    dim = 0 if input._data.ndim == 1 else 1
    labels, counts = _class_indices(target, input._data.shape[dim], ignore_index, "nll_loss")
    picked = -input.gather(dim, labels.unsqueeze(dim).long()).squeeze(dim)
    return _weighted(picked, _target_weights(weight, labels, counts, input), reduction, "nll_loss")


def _target_weights(weight: Tensor | None, labels: Tensor, counts: Tensor, input: Tensor) -> Tensor:
    if weight is None:
        return counts.to(input.dtype)
    classes = input._data.shape[0 if input._data.ndim == 1 else 1]
    if weight._data.shape != (classes,):
        raise RuntimeError(takes("nll_loss", "weight", f"shape ({classes},)", f"shape {tuple(weight.shape)}"))
    return weight[labels.long()] * counts.to(weight.dtype)


def _weighted(loss: Tensor, weights: Tensor, reduction: str, name: str) -> Tensor:
    loss = where(weights == 0, 0.0, loss * weights)  # an ignored infinity counts nothing
    if reduction == "mean":
        return loss.sum() / weights.sum()
    return reduced(loss, reduction, name)


@op
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy between ``softmax(input)`` and the target.

    Parameters
    ----------
    input
        Logits ``(N, C)``, ``(N, C, d1, ...)`` or ``(C,)``.
    target
        int64 class indices without the class dimension, or class probabilities in the shape of ``input``.
    weight, ignore_index, reduction
        As for :func:`nll_loss`.
    label_smoothing
        How much of the target's mass is spread evenly over all classes (Szegedy et al., arXiv 1512.00567).

    Raises
    ------
    IndexError
        If a target is no class.
    """
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(takes("cross_entropy", "label_smoothing", "a number in [0, 1]", label_smoothing))
    dim = 0 if input._data.ndim == 1 else 1
    logp = log_softmax(input, dim)
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(logp, target, weight, reduction, label_smoothing, dim)
    _check_classes(input, target, "cross_entropy")
    if label_smoothing == 0:
        return nll_loss(logp, target, weight, ignore_index, reduction)
    classes = input._data.shape[dim]
    labels, counts = _class_indices(target, classes, ignore_index, "cross_entropy")
    weights = _target_weights(weight, labels, counts, input)
    hard = nll_loss(logp, target, weight, ignore_index, "none")
    spread = logp if weight is None else logp * _along(weight, logp, dim)
    smooth = -spread.sum(dim) * counts.to(input.dtype)
    if reduction == "mean":
        hard, smooth = hard.sum() / weights.sum(), smooth.sum() / weights.sum()
    else:
        hard, smooth = (reduced(t, reduction, "cross_entropy") for t in (hard, smooth))
    return (1 - label_smoothing) * hard + (label_smoothing / classes) * smooth


def _along(weight: Tensor, x: Tensor, dim: int) -> Tensor:
    return weight.reshape([-1 if d == dim else 1 for d in range(x._data.ndim)])


def _soft_cross_entropy(
    logp: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, dim: int
) -> Tensor:
    if target._data.shape != logp._data.shape:
        expected = f"probabilities of the shape of `input`, {tuple(logp.shape)}"
        raise RuntimeError(takes("cross_entropy", "target", expected, f"shape {tuple(target.shape)}"))
    if smoothing:
        target = target * (1 - smoothing) + smoothing / logp._data.shape[dim]
    if weight is not None:
        logp = logp * _along(weight, logp, dim)
    loss = -(logp * target).sum(dim)
    return reduced(loss, reduction, "cross_entropy")


def _same_shape(input: Tensor, target: Tensor, name: str) -> None:
    if input._data.shape != target._data.shape:
        expected = f"the shape of `input`, {tuple(input.shape)}"
        raise ValueError(takes(name, "target", expected, f"shape {tuple(target.shape)}"))


@op
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Squared differences."""
    _same_shape(input, target, "mse_loss")
    return reduced((input - target).square(), reduction, "mse_loss")


@op
def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Absolute differences."""
    _same_shape(input, target, "l1_loss")
    return reduced((input - target).abs(), reduction, "l1_loss")


@op
def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``0.5 d^2 / beta`` where the difference ``d`` is below ``beta``, else ``|d| - 0.5 beta``."""
    _same_shape(input, target, "smooth_l1_loss")
    if beta == 0:
        return l1_loss(input, target, reduction)
    d = (input - target).abs()
    return reduced(where(d.detach() < beta, d.square() * (0.5 / beta), d - 0.5 * beta), reduction, "smooth_l1_loss")


@op
def huber_loss(input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """``0.5 d^2`` where the difference ``d`` is at most ``delta``, else ``delta (|d| - 0.5 delta)``."""
    _same_shape(input, target, "huber_loss")
    d = (input - target).abs()
    return reduced(where(d.detach() <= delta, d.square() * 0.5, delta * (d - 0.5 * delta)), reduction, "huber_loss")


@op
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """``-(t log p + (1 - t) log(1 - p))`` for probabilities ``p``; logarithms are cut off at -100, as in PyTorch."""
    _same_shape(input, target, "binary_cross_entropy")
    data = input._data
    if data.size and not bool(((data >= 0) & (data <= 1)).all()):
        low, high = float(data.min()), float(data.max())
        raise RuntimeError(
            takes("binary_cross_entropy", "input", "probabilities in [0, 1]", f"values from {low:g} to {high:g}")
        )
    loss = -(target * input.log().clamp(min=-100.0) + (1 - target) * (1 - input).log().clamp(min=-100.0))
    return reduced(loss if weight is None else loss * weight, reduction, "binary_cross_entropy")


@op
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(input)``, without overflow.

    Parameters
    ----------
    weight
        Broadcast to the shape of ``input``: a factor of each element's loss.
    pos_weight
        Broadcast likewise: a factor of the positive targets' part.
    """
    _same_shape(input, target, "binary_cross_entropy_with_logits")
    # log(sigmoid(x)) = -softplus(-x), and log(1 - sigmoid(x)) = -x - softplus(-x)
    tail = softplus(-input, 1.0, 1e30)
    if pos_weight is None:
        loss = (1 - target) * input + tail
    else:
        loss = (1 - target) * input + (1 + (pos_weight - 1) * target) * tail
    name = "binary_cross_entropy_with_logits"
    return reduced(loss if weight is None else loss * weight, reduction, name)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Class indices as int64 vectors with a single 1."""
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError(takes("one_hot", "tensor", "class indices as int64", tensor.dtype))
    n = int(tensor.max()) + 1 if num_classes == -1 else num_classes
    labels, _ = _class_indices(tensor, n, n + 1, "one_hot")
    out: Any = tensor.new_zeros(*tensor.shape, n)
    return out.scatter(-1, labels.unsqueeze(-1), 1)
