"""Optimizer steps on ``kernels/cuda/optim.cu``: all parameters of a dtype in one launch."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import optim as composed
from deepgpu.backends.cuda import graphs, runtime
from deepgpu.backends.cuda.plans import C_TYPES, up
from deepgpu.backends.layout import is_dense, same_layout
from deepgpu.backends.precision import accumulation_dtype

_PIECE = 4096
_FLAGS = {"SGD": ("nesterov", "maximize", "start"), "Adam": ("decoupled", "maximize")}
_NUMBERS = {
    "SGD": ("lr", "momentum", "dampening", "weight_decay"),
    "Adam": ("lr", "beta1", "beta2", "log_beta1", "log_beta2", "eps", "weight_decay", "count"),
}


def sgd_step(
    xp: Any,
    params: Sequence[Array],
    grads: Sequence[Array],
    momenta: Sequence[Array] | None,
    *,
    first: bool,
    **options: Any,
) -> None:
    """See :meth:`deepgpu.backends.base.Backend.sgd_step`."""
    served, others = _split(params, (momenta,))
    if others:
        composed.sgd_step(xp, *_taken(others, params, grads, momenta), first=first, **options)
    for dtype, which in served.items():
        rows = _taken(which, params, grads, momenta)
        _launch(xp, "SGD", dtype, (*rows, None, None, None), start=first, **options)


def adam_step(
    xp: Any,
    params: Sequence[Array],
    grads: Sequence[Array],
    exp_avgs: Sequence[Array],
    exp_avg_sqs: Sequence[Array],
    max_exp_avg_sqs: Sequence[Array] | None,
    *,
    step: int | Sequence[Array],
    lr: float | Array,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """See :meth:`deepgpu.backends.base.Backend.adam_step`."""
    counts = None if isinstance(step, int) else step
    lists = (params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs)
    shared: dict[str, Any] = {
        "lr": lr,
        "beta1": beta1,
        "beta2": beta2,
        "eps": eps,
        "weight_decay": weight_decay,
        "decoupled": decoupled,
        "maximize": maximize,
    }
    served, others = _split(params, lists[2:])
    if others:
        composed.adam_step(
            xp, *_taken(others, *lists), step=step if counts is None else [counts[i] for i in others], **shared
        )
    derived = {
        "log_beta1": math.log(beta1) if beta1 else -math.inf,
        "log_beta2": math.log(beta2) if beta2 else -math.inf,
        "count": step if counts is None else 0,
    }
    for dtype, which in served.items():
        _launch(xp, "Adam", dtype, _taken(which, *lists, counts), **shared, **derived)


def _split(
    params: Sequence[Array], states: Sequence[Sequence[Array] | None]
) -> tuple[dict[np.dtype, list[int]], list[int]]:
    """Which parameters the kernel takes, by dtype, and which it does not: it wants dense memory, laid out alike."""
    served: dict[np.dtype, list[int]] = {}
    others: list[int] = []
    for i, p in enumerate(params):
        mine = [s[i] for s in states if s is not None]
        if is_dense(p) and all(s.dtype == p.dtype and same_layout(s, p) for s in mine):
            served.setdefault(p.dtype, []).append(i)
        else:
            others.append(i)
    return served, others


def _taken(which: list[int], *lists: Sequence[Array] | None) -> list[Any]:
    return [None if arrays is None else [arrays[i] for i in which] for arrays in lists]


def _launch(xp: Any, rule: str, dtype: np.dtype, lists: Sequence[Any], **options: Any) -> None:
    params, grads, *states = lists
    grads = [_laid_out_as(xp, g, p) for g, p in zip(grads, params, strict=True)]  # copies live until the launch
    columns = [
        [0] * len(params) if arrays is None else [x.data.ptr for x in arrays] for arrays in (params, grads, *states)
    ]
    rows = tuple(zip(*columns, [p.size for p in params], strict=True))
    tensors, pieces = _tables(xp, rows)
    rate = None
    if not isinstance(options["lr"], (int, float)):
        rate, options["lr"] = options["lr"], 0.0
    graphs.keep(tensors, pieces, rate)
    name = C_TYPES[dtype.name]
    number = accumulation_dtype(dtype)
    expression = f"optimize<{name}, {rule}<{C_TYPES[number.name]}>>"
    args = (tensors, pieces, _options(rule, number, options), rate)
    reachable = [x for arrays in (params, grads, *states) for x in arrays or ()]
    if states[-1] is not None:
        counted = (tensors, np.int32(len(rows)))
        runtime.launch("optim.cu", "count_steps", (up(len(rows), 256),), (256,), counted, reachable=states[-1])
    runtime.launch("optim.cu", expression, (pieces.shape[0],), (256,), args, reachable=reachable)


def _laid_out_as(xp: Any, grad: Array, param: Array) -> Array:
    if grad.dtype == param.dtype and same_layout(grad, param):
        return grad
    copy = xp.empty_like(param)
    copy[...] = grad
    return copy


def _options(rule: str, number: np.dtype, options: dict[str, Any]) -> np.void:
    """``SGD`` or ``Adam`` of optim.cu."""
    fields = [(name, number) for name in _NUMBERS[rule]] + [(name, np.int32) for name in _FLAGS[rule]]
    struct = np.zeros((), np.dtype(fields, align=True))
    for name, _ in fields:
        struct[name] = options[name]
    return struct[()]  # type: ignore[return-value]


@functools.lru_cache(maxsize=8)
def _tables(xp: Any, rows: tuple[tuple[int, ...], ...]) -> tuple[Array, Array]:
    """The tables on the device. Kept: from step to step the memory pool gives gradients the same places."""
    sizes = [row[-1] for row in rows]
    listed = [(i, start) for i, size in enumerate(sizes) for start in range(0, size, _PIECE)]
    pieces = np.array(listed, np.int64).reshape(-1, 2)
    return graphs.uploaded(xp, np.array(rows, np.int64)), graphs.uploaded(xp, pieces)
