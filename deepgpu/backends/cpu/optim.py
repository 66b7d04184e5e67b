"""Optimizer steps on the CPU: one kernel call over all parameters, whatever their number and sizes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.backends.base import Array
from deepgpu.backends.composed import optim as composed
from deepgpu.backends.cpu import memory
from deepgpu.backends.cpu.parts import parts
from deepgpu.backends.layout import is_dense, same_layout

WORTH = 1 << 14
"""Elements that are worth a task of their own."""

DTYPES = np.dtype(np.float32), np.dtype(np.float64)
"""What the kernels are compiled for."""


@functools.cache
def _kernels() -> Any:
    """The module of kernels; Numba is imported with the first of them."""
    from deepgpu.kernels.jit import optim

    return optim


@functools.cache
def _address() -> Any:
    """The function that says where an array's data begin, in a sixth of the time that ``ctypes`` takes."""
    from deepgpu.kernels.jit.workspace import address

    return address


def sgd_step(
    params: Sequence[Array],
    grads: Sequence[Array],
    momenta: Sequence[Array] | None,
    *,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> None:
    """See :meth:`deepgpu.backends.base.Backend.sgd_step`."""
    arrays = [params, grads] if momenta is None else [params, grads, momenta]
    batches, others = _batches(arrays)
    for batch in batches:
        factors = (-1 if maximize else 1, lr, momentum, 1 - dampening, weight_decay)
        batch.run(_kernels().sgd, factors, momenta is not None, nesterov, first)
    if others:
        composed.sgd_step(
            np,
            *_chosen(others, params, grads, momenta),
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
            first=first,
        )


def adam_step(
    params: Sequence[Array],
    grads: Sequence[Array],
    exp_avgs: Sequence[Array],
    exp_avg_sqs: Sequence[Array],
    max_exp_avg_sqs: Sequence[Array] | None,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """See :meth:`deepgpu.backends.base.Backend.adam_step`."""
    arrays = [params, grads, exp_avgs, exp_avg_sqs]
    batches, others = _batches(arrays if max_exp_avg_sqs is None else [*arrays, max_exp_avg_sqs])
    for batch in batches:
        factors = (
            -1 if maximize else 1,
            lr / (1 - beta1**step),
            1 - beta1,
            beta2,
            1 - beta2,
            (1 - beta2**step) ** -0.5,
            eps,
            1 - lr * weight_decay if decoupled else 1,
            0 if decoupled else weight_decay,
        )
        batch.run(_kernels().adam, factors, max_exp_avg_sqs is not None)
    if others:
        composed.adam_step(
            np,
            *_chosen(others, params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs),
            step=step,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            eps=eps,
            weight_decay=weight_decay,
            decoupled=decoupled,
            maximize=maximize,
        )


class _Batch:
    """The parameters of one dtype that the kernel can take, as it takes them."""

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype
        self.addresses: list[list[int]] = []
        self.sizes: list[int] = []
        self.alive: list[Array] = []  # gradients that were laid out anew; the kernel only has addresses

    def run(self, kernel: Any, factors: Sequence[float], *flags: bool) -> None:
        offsets = np.array([0, *itertools.accumulate(self.sizes)])
        tasks = parts(int(offsets[-1]), WORTH)
        kernel(tasks, np.array(self.addresses), offsets, np.array(factors, self.dtype), *flags, tasks)


def _batches(arrays: Sequence[Sequence[Array]]) -> tuple[list[_Batch], list[int]]:
    """Parameters in batches, and the indices of those that no kernel takes: half types, gaps, odd states."""
    batches: dict[np.dtype, _Batch] = {}
    others = []
    address = _address()
    for i, (param, grad, *states) in enumerate(zip(*arrays, strict=True)):
        if param.dtype not in DTYPES or not is_dense(param) or False in [_alike(state, param) for state in states]:
            others.append(i)
            continue
        batch = batches.get(param.dtype)
        if batch is None:
            batch = batches[param.dtype] = _Batch(param.dtype)
        if not _alike(grad, param):
            laid_out = memory.empty_like(param)
            laid_out[...] = grad
            grad = laid_out
            batch.alive.append(grad)
        batch.addresses.append(list(map(address, (param, grad, *states))))
        batch.sizes.append(param.size)
    return list(batches.values()), others


def _alike(x: Array, param: Array) -> bool:
    return x.dtype == param.dtype and same_layout(x, param)


def _chosen(indices: list[int], *lists: Sequence[Array] | None) -> list[Any]:
    return [None if one is None else [one[i] for i in indices] for one in lists]
