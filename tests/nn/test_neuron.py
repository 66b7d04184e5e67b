"""Neuron models against their definitions in NumPy, and their gradients against finite differences."""

import numpy as np
import pytest

import deepgpu as dg
from deepgpu import nn
from deepgpu.autograd import gradcheck

X = np.linspace(-3, 3, 61) + 0.013  # no sample on a kink

TOLERANCES = {np.float32: {"rtol": 1e-5, "atol": 1e-6}, np.float64: {"rtol": 1e-13, "atol": 1e-14}}
DEFINITIONS = {
    "nn.Step()": lambda x: [0.0 if v <= 0 else 1.0 for v in x],
    "nn.Step(-1.0, 2.0, 0.5)": lambda x: [-1.0 if v <= 0.5 else 2.0 for v in x],
    "nn.Ramp()": lambda x: [min(max(v, 0.0), 1.0) for v in x],
    "nn.Ramp(2.0, -1.0, -1.0, 1.5)": lambda x: [2.0 if v <= -1 else -1.0 if v >= 1.5 else 2 - 1.2 * (v + 1) for v in x],
    "nn.ParametricSigmoid()": lambda x: 1 / (1 + np.exp(-x)),
    "nn.ParametricSigmoid(-1.0, 2.0, 2.0)": np.tanh,
    "nn.ParametricSigmoid(0.5, -3.0, 0.7)": lambda x: 0.5 - 3 / (1 + np.exp(-0.7 * x)),
    "nn.Gaussian()": lambda x: np.exp(-x * x / 2),
    "nn.Gaussian(1.0, 0.5)": lambda x: np.exp(-2 * (x - 1) ** 2),
}


@pytest.mark.parametrize("source", DEFINITIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values(source, dtype):
    layer = eval(source)
    found = layer(dg.tensor(X.astype(dtype)))
    assert found.numpy().dtype == dtype
    np.testing.assert_allclose(found.numpy(), DEFINITIONS[source](X), **TOLERANCES[dtype])


@pytest.mark.parametrize("source", [s for s in DEFINITIONS if "Step" not in s])
def test_gradients(source):
    layer = eval(source)
    assert gradcheck(layer, (dg.tensor(X, requires_grad=True),))


def test_the_step_has_no_gradient():
    assert not nn.Step()(dg.tensor(X, requires_grad=True)).requires_grad
    np.testing.assert_array_equal(nn.Step(3.0, 4.0, 1.0)(dg.tensor([1.0, 1.5])).numpy(), [3, 4])


def test_the_sigmoid_gives_its_derivative():
    f = nn.ParametricSigmoid(0.5, -3.0, 0.7)
    x = dg.tensor(X, requires_grad=True)
    y = f(x)
    y.sum().backward()
    r = y.detach() - f.offset
    np.testing.assert_allclose(x.grad.numpy(), (f.steepness * r * (1 - r / f.scale)).numpy(), rtol=1e-12)


def test_wrong_parameters_and_printed_forms():
    with pytest.raises(ValueError, match="`c` takes a number below `d`, but got c=1 and d=1"):
        nn.Ramp(0, 1, 1, 1)
    with pytest.raises(ValueError, match="`sigma` takes a number above 0, but got 0"):
        nn.Gaussian(0, 0)
    for source in DEFINITIONS:
        layer = eval(source)
        assert repr(eval(f"nn.{layer!r}")) == repr(layer)
