"""deepgpu.autograd.functional against torch."""

from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3)), RNG.standard_normal(3)


def several(a: Any, b: Any) -> Any:
    return (a * b).sin().sum(1), a.sum() * b.exp()


def one(a: Any) -> Any:
    return (a**3).sum(0)


def scalar(a: Any, b: Any) -> Any:
    return ((a * b) ** 2).sum() + a.exp().sum()


def flat(result: Any) -> list[Any]:
    return [t for part in result for t in flat(part)] if isinstance(result, (tuple, list)) else [result]


def compare(call: Any) -> None:
    results = [flat(call(lib.autograd.functional, lib.tensor)) for lib in (torch, dg)]
    for theirs, ours in zip(*results, strict=True):
        assert not ours.requires_grad
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, t: f.jacobian(one, t(A)),
        lambda f, t: f.jacobian(several, (t(A), t(B))),
        lambda f, t: f.hessian(lambda a: (a**3).sum(), t(A)),
        lambda f, t: f.hessian(scalar, (t(A), t(B))),
        lambda f, t: f.vjp(one, t(A), t(B)),
        lambda f, t: f.vjp(several, (t(A), t(B)), (t(B[:2]), t(B))),
        lambda f, t: f.jvp(one, t(A), t(A * 2)),
        lambda f, t: f.jvp(several, (t(A), t(B)), (t(A[::-1].copy()), t(B * B))),
        lambda f, t: f.vhp(scalar, (t(A), t(B)), (t(A), t(B))),
        lambda f, t: f.hvp(scalar, (t(A), t(B)), (t(A), t(B))),
        lambda f, t: f.jvp(lambda a, b: b * 2, (t(A), t(B)), (t(A), t(B))),
        lambda f, t: f.vjp(lambda x: x**2, t(np.array(3.0))),
    ],
)
def test_derivatives_are_those_of_torch(call: Any) -> None:
    compare(call)


def test_graphs_may_be_kept() -> None:
    x = dg.tensor(B, requires_grad=True)
    table = dg.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
    (second,) = dg.autograd.grad(table.sum(), x)
    np.testing.assert_allclose(second.numpy(), 6 * B)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.vjp(one, dg.tensor(A)), "`v` can only be None"),
        (lambda f: f.vjp(one, dg.tensor(A), dg.tensor(A)), r"`v` takes.*\(3,\).*\(2, 3\)"),
        (lambda f: f.hessian(one, dg.tensor(A)), "`func` takes a function of one element"),
        (lambda f: f.jacobian(lambda x: dg.zeros(2), dg.tensor(A), strict=True), "independent of the inputs"),
    ],
)
def test_what_is_refused(call: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        call(dg.autograd.functional)
