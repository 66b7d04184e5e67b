"""Random programs of views and in-place ops: values, gradients and second gradients are PyTorch's.

Each program works on a pool of tensors: views are added to it, tensors in it are modified in place. Where PyTorch takes
a program, so must we, with the same results; where it refuses one (a saved tensor was modified), our gradient, if there
is one, must agree with finite differences.
"""

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings

import deepgpu as dg

DATA = np.random.default_rng(0).uniform(0.2, 1.0, (3, 4))
Step = tuple[str, int, int, int]


def has_rows(t: Any) -> bool:
    return t.ndim > 0 and t.shape[0] > 1


def part(t: Any, b: int, c: int) -> Any:
    index = [slice(None)] * t.ndim
    index[b % t.ndim] = slice(c % (t.shape[b % t.ndim] + 1), None, 1 + c % 2)
    return t[tuple(index)]


def first_row(t: Any) -> None:
    t[0] = t[1] * 2


def last_row(t: Any) -> None:
    t[-1] = 0.5


def one_row(t: Any, c: int) -> None:
    t[[c % t.shape[0]]] = 1.5


# What gives a new tensor: of a tensor of the pool, another of its shape, and two numbers.
MAKING: dict[str, Callable[[Any, Any, int, int], Any]] = {
    "select": lambda t, u, b, c: t.select(b % t.ndim, c % t.shape[b % t.ndim]) if has_rows(t) else None,
    "slice": lambda t, u, b, c: part(t, b, c) if t.ndim else None,
    "transpose": lambda t, u, b, c: t.transpose(b % t.ndim, c % t.ndim) if t.ndim > 1 else None,
    "reshape": lambda t, u, b, c: t.reshape(-1),
    "unsqueeze": lambda t, u, b, c: t.unsqueeze(0),
    "expand": lambda t, u, b, c: t.unsqueeze(0).expand(2, *t.shape) if t.ndim < 4 else None,
    "index": lambda t, u, b, c: t[[b % t.shape[0], c % t.shape[0]]] if has_rows(t) else None,
    "flip": lambda t, u, b, c: t.flip(b % t.ndim) if t.ndim else None,
    "clone": lambda t, u, b, c: t.clone(),
    "contiguous": lambda t, u, b, c: t.contiguous(),
    "mul": lambda t, u, b, c: t * u,
    "exp": lambda t, u, b, c: (t * 0.1).exp(),
    "sin": lambda t, u, b, c: t.sin(),
    "sum": lambda t, u, b, c: t.sum(b % t.ndim) if t.ndim else None,
}

# What modifies a tensor of the pool.
WRITING: dict[str, Callable[[Any, Any, int, int], Any]] = {
    "mul_": lambda t, u, b, c: t.mul_(u),
    "add_": lambda t, u, b, c: t.add_(u, alpha=0.5),
    "add number": lambda t, u, b, c: t.add_(1),
    "add sum": lambda t, u, b, c: t.add_(t.sum(0, keepdim=True)) if t.ndim else None,
    "sin_": lambda t, u, b, c: t.sin_(),
    "square_": lambda t, u, b, c: t.square_(),
    "copy_": lambda t, u, b, c: t.copy_(u),
    "zero_": lambda t, u, b, c: t.zero_(),
    "t_": lambda t, u, b, c: t.t_() if t.ndim == 2 else None,
    "first row": lambda t, u, b, c: first_row(t) if has_rows(t) else None,
    "last row": lambda t, u, b, c: last_row(t) if has_rows(t) else None,
    "one row": lambda t, u, b, c: one_row(t, c) if has_rows(t) else None,
}

STEPS = st.tuples(st.sampled_from([*MAKING, *WRITING]), *[st.integers(0, 99)] * 3)


def total_of(lib: Any, steps: list[Step], data: np.ndarray) -> tuple[Any, Any, list[Any]]:
    """A leaf, a number that depends on it, and the pool."""
    x = lib.tensor(data, requires_grad=True)
    pool = [x * 1, x.flip(0) + 0.3]
    for name, a, b, c in steps:
        t = pool[a % len(pool)]
        alike = [p for p in pool if tuple(p.shape) == tuple(t.shape)]
        if name in MAKING:
            made = MAKING[name](t, alike[b % len(alike)], b, c)
            pool += [] if made is None else [made]
        else:
            WRITING[name](t, alike[b % len(alike)], b, c)
    parts = [(p * p * (0.1 * (i + 1))).sum() for i, p in enumerate(pool) if p.requires_grad]
    return x, sum(parts[1:], parts[0]) if parts else x.sum() * 0, pool


def derivatives(lib: Any, steps: list[Step], data: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The values in the pool; the gradient, and the gradient of its square."""
    x, total, pool = total_of(lib, steps, data)
    (g,) = lib.autograd.grad(total, x, create_graph=True, allow_unused=True, materialize_grads=True)
    grads = [g]
    if g.requires_grad:
        grads += lib.autograd.grad((g * g).sum(), x, allow_unused=True, materialize_grads=True)
    return [p.detach().numpy().copy() for p in pool], [g.detach().numpy().copy() for g in grads]


@pytest.mark.filterwarnings("ignore:Use of .* on expanded tensors is deprecated")
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=8))
def test_random_programs(steps: list[Step]) -> None:
    try:
        values, grads = derivatives(torch, steps, DATA)
    except RuntimeError:
        _check_if_taken(steps)
        return
    ours, our_grads = derivatives(dg, steps, DATA)
    assert len(our_grads) == len(grads)
    for actual, expected in zip(ours + our_grads, values + grads, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-10)


def _check_if_taken(steps: list[Step]) -> None:
    """A program that PyTorch refuses: refused, or right."""
    try:
        _, (g, *_) = derivatives(dg, steps, DATA)
    except RuntimeError:
        return
    u = np.random.default_rng(1).normal(size=DATA.shape)
    above, below = (total_of(dg, steps, DATA + h * u)[1].item() for h in (1e-6, -1e-6))
    np.testing.assert_allclose((g * u).sum(), (above - below) / 2e-6, rtol=1e-4, atol=1e-4)
