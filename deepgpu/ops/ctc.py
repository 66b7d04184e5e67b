"""Connectionist temporal classification (Graves et al. 2006)."""

from __future__ import annotations

from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.ops.indexing import gather
from deepgpu.ops.joining import cat, stack
from deepgpu.ops.loss import reduced
from deepgpu.ops.op import op
from deepgpu.ops.recurrent import SplitRows
from deepgpu.ops.selection import where
from deepgpu.ops.softmax import logsumexp
from deepgpu.tensor import Tensor, wrap

NEVER = -1e30
"""The logarithm of a probability of 0. It is finite, so that its gradient is 0 and no NaN."""


def _lengths(name: str, value: Any, count: int) -> np.ndarray:
    found = np.asarray(value.tolist() if isinstance(value, Tensor) else value, np.int64).reshape(-1)
    if found.shape != (count,):
        raise RuntimeError(takes("ctc_loss", name, f"{count} lengths, one a sequence", found.size))
    return found


def _padded(targets: Tensor, lengths: np.ndarray) -> np.ndarray:
    """The labels as ``(N, S)``, from that shape or one after the other."""
    labels = targets._backend.to_numpy(targets._data)
    if labels.ndim == 2:
        return labels
    if labels.ndim != 1 or labels.size < lengths.sum():
        raise RuntimeError(takes("ctc_loss", "targets", f"(N, S), or {lengths.sum()} labels", f"shape {labels.shape}"))
    table = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
    start = 0
    for row, n in zip(table, lengths, strict=True):
        row[:n] = labels[start : start + n]
        start += n
    return table


@op
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The negative log-likelihood of label sequences, summed over all their alignments with the input.

    Parameters
    ----------
    log_probs
        ``(T, N, C)`` or ``(T, C)``: logarithms of the classes' probabilities at each step.
    targets
        Labels ``(N, S)``, or those of all sequences one after the other.
    input_lengths, target_lengths
        ``(N,)``: how many steps and labels each sequence has.
    blank
        The class that stands for no label.
    reduction
        ``"mean"`` divides each loss by the number of its labels first.
    zero_infinity
        Replace losses of sequences too short for their labels, and their gradients, by 0.

    Notes
    -----
    The forward variables are computed with ops, a step at a time for all sequences, so that the gradients of every
    order follow.
    """
    name = "ctc_loss"
    if not log_probs.dtype.is_floating_point:
        raise RuntimeError(takes(name, "log_probs", "a floating-point tensor", log_probs.dtype))
    single = log_probs._data.ndim == 2
    x = log_probs.unsqueeze(1) if single else log_probs
    if x._data.ndim != 3:
        raise RuntimeError(takes(name, "log_probs", "(T, N, C) or (T, C)", f"shape {tuple(log_probs.shape)}"))
    steps, count, classes = x._data.shape
    if not 0 <= blank < classes:
        raise RuntimeError(takes(name, "blank", f"a class in 0..{classes - 1}", blank))
    times, sizes = _lengths("input_lengths", input_lengths, count), _lengths("target_lengths", target_lengths, count)
    if times.max(initial=0) > steps or times.min(initial=0) < 0:
        raise RuntimeError(takes(name, "input_lengths", f"lengths in 0..{steps}", times.tolist()))
    labels = _padded(targets.reshape(1, -1) if single and targets._data.ndim == 1 else targets, sizes)
    if sizes.max(initial=0) > labels.shape[1] or sizes.min(initial=0) < 0:
        raise RuntimeError(takes(name, "target_lengths", f"lengths in 0..{labels.shape[1]}", sizes.tolist()))
    loss = -_log_likelihood(x, labels, times, sizes, blank)
    impossible = loss.detach() > -NEVER / 2
    loss = loss.masked_fill(impossible, 0.0 if zero_infinity else float("inf"))
    if reduction == "mean":
        divisor = wrap(x._backend.from_numpy(np.maximum(sizes, 1).astype(np.float64)), x._backend).to(x.dtype)
        loss = loss / divisor
    if single and reduction == "none":
        return loss.squeeze(0)
    return reduced(loss, reduction, name)


def _log_likelihood(x: Tensor, labels: np.ndarray, times: np.ndarray, sizes: np.ndarray, blank: int) -> Tensor:
    """The logarithms of the probabilities ``(N,)`` of the labels."""
    backend = x._backend
    steps, count, _ = x._data.shape
    width = 2 * labels.shape[1] + 1  # a blank before, between and behind all labels
    states = np.full((count, width), blank, np.int64)
    states[:, 1::2] = labels
    states[np.arange(width) >= 2 * sizes[:, None] + 1] = blank
    skips = np.zeros((count, width), bool)  # from a label to a different one, past the blank between
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])

    def on_device(array: np.ndarray) -> Tensor:
        return wrap(backend.from_numpy(np.ascontiguousarray(array)), backend)

    index = on_device(np.broadcast_to(states, (steps, count, width)))
    emissions = SplitRows([count] * steps)(gather(x, 2, index).reshape(steps * count, width))
    no_skip = ~on_device(skips)
    never = x.new_full((count, 2), NEVER)
    first = on_device((np.arange(width) < 2) & (np.arange(width) < 2 * sizes[:, None] + 1))
    alpha = where(first, emissions[0], NEVER)
    if (times == 0).any():  # no steps: only the empty sequence is possible
        empty = np.where(np.arange(width) == 0, 0.0, NEVER)[None].repeat(count, 0)
        alpha = where(on_device((times > 0)[:, None]), alpha, on_device(empty).to(x.dtype))
    for t in range(1, steps):
        before = cat([never, alpha], 1)
        paths = [alpha, before[:, 1 : width + 1], before[:, :width].masked_fill(no_skip, NEVER)]
        following = logsumexp(stack(paths), 0) + emissions[t]
        alpha = following if (times > t).all() else where(on_device((times > t)[:, None]), following, alpha)
    ends = np.stack([2 * sizes, np.maximum(2 * sizes - 1, 0)], 1)
    last = gather(alpha, 1, on_device(ends))
    if (sizes == 0).any():  # then both are the only state, which counts once
        both = on_device(np.stack([np.zeros(count, bool), sizes == 0], 1))
        last = last.masked_fill(both, NEVER)
    return logsumexp(last, 1)
