"""deepgpu.linalg against torch.linalg."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg

RNG = np.random.default_rng(0)
A, V = RNG.standard_normal((2, 3, 4)), RNG.standard_normal(5)
INF = float("inf")


@pytest.mark.parametrize(
    "call",
    [
        *[lambda m, t, p=p: m.vector_norm(t(V), p) for p in (0, 1, 2, 3, INF, -INF)],
        lambda m, t: m.vector_norm(t(A), 2, (0, 2), True),
        *[lambda m, t, p=p: m.matrix_norm(t(A), p) for p in ("fro", 1, -1, INF, -INF)],
        lambda m, t: m.matrix_norm(t(A), 1, (0, 2), True),
        lambda m, t: m.norm(t(A)),
        lambda m, t: m.norm(t(A[0]), 1),
        lambda m, t: m.norm(t(V), 3),
        lambda m, t: m.norm(t(A), "fro", (1, 2)),
        lambda m, t: m.norm(t(A), 2, 1),
        lambda m, t: m.multi_dot([t(A[0]), t(A[1].T.copy()), t(A[0])]),
        lambda m, t: m.inv(t(A[:, :, :3])),
        lambda m, t: m.det(t(A[:, :, :3])),
        lambda m, t: m.slogdet(t(A[:, :, :3]))[1],
        lambda m, t: m.matrix_power(t(A[:, :, :3]), 3),
        lambda m, t: m.cross(t(A[:, :, 0]), t(A[:, :, 1])),
        lambda m, t: m.matmul(t(A[0]), t(A[1].T.copy())),
    ],
)
def test_results_are_those_of_torch(call: Callable[..., Any]) -> None:
    ours, theirs = call(dg.linalg, dg.tensor), call(torch.linalg, torch.tensor)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9)


def test_what_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"`matrix_norm`: `ord` takes.*'nuc'"):
        dg.linalg.matrix_norm(dg.zeros(2, 2), "max")
    with pytest.raises(RuntimeError, match="`norm`: `A` takes a vector or a matrix"):
        dg.linalg.norm(dg.zeros(2, 2, 2), 1)
