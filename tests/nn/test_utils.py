"""nn.utils: gradients clipped, and parameters as a vector, as in torch."""

import math

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.nn import utils
from tests.nn.twins import close, ours


def _parameters(dtype=torch.float64, scale=1.0):
    """Three parameters, the last without gradient, as torch's and ours."""
    rng = np.random.default_rng(0)
    theirs, mine = [], []
    for shape in ((3, 4), (5,), (2,)):
        p = torch.nn.Parameter(torch.from_numpy(rng.standard_normal(shape)).to(dtype))
        q = dg.nn.Parameter(ours(p))
        if shape != (2,):
            p.grad = torch.from_numpy(rng.standard_normal(shape)).to(dtype) * scale
            q.grad = ours(p.grad)
        theirs.append(p)
        mine.append(q)
    return theirs, mine


def _same_grads(theirs, mine, rtol=1e-12):
    for p, q in zip(theirs[:2], mine[:2], strict=True):
        close(q.grad, p.grad, rtol, "gradient")
    assert mine[2].grad is None


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.1, 100.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_clip_grad_norm(norm_type, max_norm, dtype):
    theirs, mine = _parameters(dtype)
    rtol = 1e-12 if dtype is torch.float64 else 1e-5
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    actual = utils.clip_grad_norm_((p for p in mine), max_norm, norm_type, foreach=True)
    close(actual, expected, rtol, "norm")
    _same_grads(theirs, mine, rtol)


def test_gradients_are_scaled_in_place():
    mine = _parameters()[1]
    grad = mine[0].grad
    utils.clip_grad_norm_(mine, 0.1)
    assert mine[0].grad is grad


def test_one_tensor_and_none():
    theirs, mine = _parameters()
    close(utils.clip_grad_norm_(mine[0], 0.5), torch.nn.utils.clip_grad_norm_(theirs[0], 0.5), 1e-12, "norm")
    assert utils.clip_grad_norm_([mine[2]], 1.0).item() == 0.0
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    assert utils.get_total_norm(dg.tensor([3.0, 4.0])).item() == 5.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_norms_that_are_not_finite(bad):
    theirs, mine = _parameters(scale=bad)
    before = mine[0].grad.numpy().copy()
    with pytest.raises(RuntimeError, match="non-finite"):
        utils.clip_grad_norm_(mine, 1.0, error_if_nonfinite=True)
    np.testing.assert_array_equal(mine[0].grad, before)
    utils.clip_grad_norm_(mine, 1.0)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    for p, q in zip(theirs[:2], mine[:2], strict=True):
        np.testing.assert_array_equal(q.grad.numpy(), p.grad.numpy())  # equal where NaN, too


def test_clip_by_a_norm_that_is_known():
    theirs, mine = _parameters()
    torch.nn.utils.clip_grads_with_norm_(theirs, 1.0, torch.tensor(5.0, dtype=torch.float64))
    utils.clip_grads_with_norm_(mine, 1.0, dg.tensor(5.0, dtype=dg.float64))
    _same_grads(theirs, mine)


def test_clip_grad_value():
    theirs, mine = _parameters()
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    utils.clip_grad_value_(mine, 0.3)
    _same_grads(theirs, mine)


def test_parameters_as_a_vector_and_back():
    theirs, mine = _parameters()
    vector = utils.parameters_to_vector(mine)
    close(vector, torch.nn.utils.parameters_to_vector(theirs), 0, "vector")
    (vector * vector).sum().backward()
    np.testing.assert_array_equal(mine[2].grad, 2 * mine[2].detach())
    utils.vector_to_parameters(dg.arange(19).double(), mine)
    np.testing.assert_array_equal(mine[1].detach(), np.arange(12, 17))
    assert mine[0].shape == (3, 4)
    with pytest.raises(TypeError, match="takes a tensor"):
        utils.vector_to_parameters([1.0], mine)
