"""Losses of margins and distances: hinge, ranking, triplet, cosine, soft margin, of one class and of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.activation import logsigmoid
from deepgpu.ops.broadcast import check_shapes
from deepgpu.ops.indexing import gather
from deepgpu.ops.loss import reduced
from deepgpu.ops.op import op
from deepgpu.ops.selection import minimum, where
from deepgpu.ops.similarity import pairwise_distance
from deepgpu.tensor import Tensor, wrap


@op
def hinge_embedding_loss(input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """``input`` where ``target`` is 1, ``max(0, margin - input)`` where it is -1; shapes broadcast."""
    check_shapes("hinge_embedding_loss", input._data.shape, target._data.shape)
    apart = (margin - input).clamp(min=0)
    zero = input.new_zeros(())
    loss = where(target != 1, apart, zero) + where(target != -1, input, zero)
    return reduced(loss, reduction, "hinge_embedding_loss")


@op
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """``max(0, -target (input1 - input2) + margin)``: 0 if ``input1`` is the larger by the margin and the target 1."""
    if not input1._data.ndim == input2._data.ndim == target._data.ndim:
        shapes = f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}"
        raise RuntimeError(
            takes("margin_ranking_loss", "target", "as many dimensions as the inputs", f"shapes {shapes}")
        )
    return reduced((margin - target * (input1 - input2)).clamp(min=0), reduction, "margin_ranking_loss")


@op
def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """``log(1 + exp(-target * input))`` for targets -1 and 1."""
    check_shapes("soft_margin_loss", input._data.shape, target._data.shape)
    return reduced(-logsigmoid(target * input), reduction, "soft_margin_loss")


@op
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, reduction: str = "mean"
) -> Tensor:
    """``1 - cos`` of pairs of vectors whose target is 1, ``max(0, cos - margin)`` of those with -1.

    Parameters
    ----------
    input1, input2
        ``(N, D)`` or ``(D,)``
    target
        ``(N,)`` or ``()``
    """
    name, ndim = "cosine_embedding_loss", target._data.ndim
    if ndim > 1 or input1._data.ndim != ndim + 1 or input2._data.ndim != ndim + 1:
        shapes = f"{tuple(target.shape)} for {tuple(input1.shape)} and {tuple(input2.shape)}"
        raise RuntimeError(takes(name, "target", "shape (N,) for inputs (N, D), or () for (D,)", shapes))
    tiny = 1e-12  # PyTorch's, beside the squared norms
    squares = ((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)
    cosine = (input1 * input2).sum(-1) / squares.sqrt()
    zero = cosine.new_zeros(())
    loss = where(target == 1, 1 - cosine, zero) + where(target == -1, (cosine - margin).clamp(min=0), zero)
    return reduced(loss, reduction, name)


def _triplet(
    name: str, distance: Any, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float, swap: bool, how: str
) -> Tensor:
    if not anchor._data.ndim == positive._data.ndim == negative._data.ndim:
        shapes = f"{tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}"
        raise RuntimeError(takes(name, "anchor", "as many dimensions as the other two", f"shapes {shapes}"))
    if margin <= 0:
        raise ValueError(takes(name, "margin", "a positive number", margin))
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), how, name)


@op
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, |anchor - positive| - |anchor - negative| + margin)``, with p-norms along the last dimension.

    Parameters
    ----------
    swap
        Take the distance of the positive from the negative where it is the smaller.
    eps
        Added to differences.
    """

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet("triplet_margin_loss", distance, anchor, positive, negative, margin, swap, reduction)


@op
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` with a distance of one's own; by default :func:`pairwise_distance`."""
    distance = distance_function or pairwise_distance
    name = "triplet_margin_with_distance_loss"
    return _triplet(name, distance, anchor, positive, negative, margin, swap, reduction)


# --- of classes -------------------------------------------------------------------------------------------------------


def _rows(name: str, input: Tensor, target: Tensor, target_ndim: int) -> tuple[Tensor, Tensor]:
    """``(N, C)`` and its targets, of which one row is a batch of 1."""
    if input._data.ndim not in (1, 2) or target._data.ndim > target_ndim:
        shapes = f"shapes {tuple(input.shape)} and {tuple(target.shape)}"
        raise RuntimeError(takes(name, "input", "(N, C) or (C,)", shapes))
    single = input._data.ndim == 1
    x = input.unsqueeze(0) if single else input
    t = target.reshape(1, *([-1] if target_ndim == 2 else [])) if single else target
    if t._data.shape[0] != x._data.shape[0]:
        raise RuntimeError(takes(name, "target", f"{x._data.shape[0]} rows, as `input` has", f"shape {tuple(t.shape)}"))
    return x, t


@op
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over all other classes of ``max(0, margin - input[target] + input[class]) ^ p``.

    Parameters
    ----------
    input
        ``(N, C)`` or ``(C,)``
    target
        Class indices ``(N,)`` or ``()``
    p
        1 or 2
    weight
        ``(C,)``: a factor of each target's class.
    """
    name = "multi_margin_loss"
    if p not in (1, 2):
        raise ValueError(takes(name, "p", "1 or 2", p))
    x, t = _rows(name, input, target, 1)
    classes = x._data.shape[1]
    if weight is not None and weight._data.shape != (classes,):
        raise RuntimeError(takes(name, "weight", f"shape ({classes},)", f"shape {tuple(weight.shape)}"))
    own = gather(x, 1, t.unsqueeze(1))
    loss = (margin - own + x).clamp(min=0)
    loss = loss if p == 1 else loss * loss
    if weight is not None:
        loss = loss * weight[t].unsqueeze(1)
    others = x._backend.xp.arange(classes) != t._data[:, None]
    loss = loss.masked_fill(~wrap(others, x._backend), 0.0).sum(1) / classes
    return reduced(loss if input._data.ndim == 2 else loss.squeeze(0), reduction, name)


@op
def multilabel_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """The mean over pairs of a target class and any other of ``max(0, 1 - input[target] + input[class])``.

    Parameters
    ----------
    target
        Class indices in the shape of ``input``, in each row up to the first -1.
    """
    name = "multilabel_margin_loss"
    x, t = _rows(name, input, target, 2)
    if t.shape != x.shape:
        raise RuntimeError(takes(name, "target", f"shape {tuple(x.shape)}", f"shape {tuple(t.shape)}"))
    xp, labels = x._backend.xp, t._data
    counts = xp.cumsum(labels < 0, axis=1) == 0  # before the first -1
    index = xp.where(counts, labels, 0)
    is_target = (index[:, :, None] == xp.arange(x._data.shape[1])) & counts[:, :, None]
    other = ~is_target.any(axis=1)
    own = gather(x, 1, wrap(index, x._backend))
    pairs = (1 - own.unsqueeze(2) + x.unsqueeze(1)).clamp(min=0)
    kept = counts[:, :, None] & other[:, None, :]
    loss = pairs.masked_fill(~wrap(kept, x._backend), 0.0).sum((1, 2)) / x._data.shape[1]
    return reduced(loss if input._data.ndim == 2 else loss.squeeze(0), reduction, name)


@op
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """The binary cross-entropy of every class's logit, averaged over the classes (the last dimension).

    Parameters
    ----------
    weight
        ``(C,)``: a factor of each class.
    """
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(loss.sum(-1) / input._data.shape[-1], reduction, "multilabel_soft_margin_loss")
