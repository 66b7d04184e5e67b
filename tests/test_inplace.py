"""PyTorch's top-level in-place functions."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import inplace

NAMES = [n for n in vars(inplace) if n.endswith("_") and not n.startswith("_")]
OTHER = (
    "addmv_",
    "clamp_",
    "clip_",
    "clamp_max_",
    "clamp_min_",
    "fill_",
    "gcd_",
    "index_put_",
    "lcm_",
    "ldexp_",
    "xlogy_",
)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in OTHER])
def test_of_one_argument(name):
    x = np.array([0.25, 0.5, 0.75])
    if "acosh" in name or "arccosh" in name:
        x = x + 1
    ours, theirs = dg.tensor(x), torch.tensor(x)
    assert getattr(dg, name)(ours) is ours
    np.testing.assert_allclose(ours.numpy(), getattr(torch, name)(theirs).numpy(), rtol=1e-12)


def test_of_several_arguments():
    x = dg.tensor([1.0, 2.0])
    assert dg.clamp_(x, 1.5).tolist() == [1.5, 2.0]
    assert dg.fill_(x, 3).tolist() == [3, 3]
    assert dg.gcd_(dg.tensor([4, 6]), dg.tensor([6, 9])).tolist() == [2, 3]
    assert set(OTHER) <= set(NAMES)
