"""``func``: modules called with other tensors than their own."""

import numpy as np
import pytest
import torch

import deepgpu as dg


def made(library):
    nn = library.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.fixture
def tensors():
    """Values for all parameters and buffers, and an input."""
    rng = np.random.default_rng(0)
    given = {n: rng.random(p.shape, np.float32) + 0.5 for n, p in made(torch).state_dict().items() if p.ndim}
    return given, rng.random((5, 3), np.float32)


@pytest.mark.parametrize("training", [True, False])
def test_value_and_gradients_are_those_of_torch(tensors, training):
    given, x = tensors
    found = []
    for library, call in ((dg, dg.func.functional_call), (torch, torch.func.functional_call)):
        module = made(library).train(training)
        own = {n: t.detach().clone() for n, t in module.state_dict().items() if n not in given}
        named = {n: library.tensor(v.copy()) for n, v in given.items()}
        for n, _ in module.named_parameters():
            named[n].requires_grad_()
        y = call(module, named, library.tensor(x))
        y.square().sum().backward()
        grads = {n: t.grad.numpy() for n, t in named.items() if t.grad is not None}
        assert all(p.grad is None for p in module.parameters())
        found.append((y.detach().numpy(), grads, named["1.running_mean"].numpy(), sorted(own)))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    assert found[0][1].keys() == found[1][1].keys()
    for name, g in found[1][1].items():
        np.testing.assert_allclose(found[0][1][name], g, rtol=1e-3, atol=1e-3, err_msg=name)
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-5)


def test_the_module_has_its_own_tensors_again(tensors):
    given, x = tensors
    module = made(dg)
    own = dict(module.named_parameters()) | dict(module.named_buffers())
    named = {n: dg.tensor(v) for n, v in given.items()}
    dg.func.functional_call(module, named, dg.tensor(x))
    with pytest.raises(RuntimeError):
        dg.func.functional_call(module, named, (dg.tensor(x[:, :1]),))
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        assert tensor is own[name]


def test_lstm_takes_other_weights():
    found = []
    for library in (dg, torch):
        library.manual_seed(0)
        lstm = library.nn.LSTM(2, 3)
        named = {n: library.full(tuple(p.shape), 0.1 * i) for i, (n, p) in enumerate(lstm.named_parameters())}
        call = library.func.functional_call
        found.append(call(lstm, named, (library.ones(4, 1, 2),))[0].numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_arguments():
    x, w, bias = dg.ones(1, 2), dg.full((3, 2), 2.0), dg.zeros(3)
    linear = dg.nn.Linear(2, 3)
    np.testing.assert_array_equal(
        dg.func.functional_call(linear, [{"weight": w}, {"bias": bias}], kwargs={"input": x}, strict=True).numpy(),
        np.full((1, 3), 4.0),
    )
    with pytest.raises(KeyError, match="wieght"):
        dg.func.functional_call(linear, {"wieght": w}, x)
    with pytest.raises(RuntimeError, match="bias"):
        dg.func.functional_call(linear, {"weight": w}, x, strict=True)
    with pytest.raises(ValueError, match="weight"):
        dg.func.functional_call(linear, ({"weight": w}, {"weight": w}), x)
