"""deepgpu.ops.pointwise against PyTorch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import unary

POSITIVE = (0.1, 3.0)


def kinked(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    yield Sample(make.values([-1, 0, 1, 0])).at_kink()


HALF = {"float16": (4e-3, 2e-3), "bfloat16": (3e-2, 1.6e-2)}


ENTRIES = [
    OpEntry("exp", unary, keeps_layout=True),
    OpEntry("expm1", unary),
    OpEntry("exp2", unary),
    OpEntry("log", unary, domain=POSITIVE),
    OpEntry("log1p", unary, domain=POSITIVE),
    OpEntry("log2", unary, domain=POSITIVE),
    OpEntry("log10", unary, domain=POSITIVE),
    OpEntry("sqrt", unary, domain=POSITIVE),
    OpEntry("rsqrt", unary, domain=POSITIVE),
    OpEntry("reciprocal", unary, domain=POSITIVE),
    OpEntry("square", unary),
    OpEntry("abs", kinked, keeps_layout=True),
    OpEntry("sigmoid", unary, keeps_layout=True),
    OpEntry("erf", unary),
]


class TestPointwise(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("dtype", [dg.float16, dg.bfloat16])
def test_half_results_are_rounded_once(dtype: dg.dtype) -> None:
    """The judge computes in float64; the result may be off by one unit in the last place at most."""
    x = dg.tensor(np.linspace(-6, 6, 999)).to(dtype)
    exact = torch.from_numpy(x.double().numpy())
    for name in ("sigmoid", "tanh", "exp", "expm1", "sin", "erf", "square", "reciprocal"):
        ours = getattr(dg, name)(x)
        assert ours.dtype is dtype
        theirs = getattr(torch, name)(exact).numpy()
        eps = dg.finfo(dtype).eps
        np.testing.assert_allclose(ours.double().numpy(), theirs, rtol=eps, atol=dg.finfo(dtype).tiny)
