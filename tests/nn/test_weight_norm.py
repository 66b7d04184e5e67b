"""Weight and spectral normalization against torch."""

import warnings

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, close, copy_weights, ours

CASES = [
    ("nn.Linear(4, 3)", (5, 4)),
    ("nn.Conv2d(2, 3, 3)", (2, 2, 5, 4)),
    ("nn.ConvTranspose2d(2, 3, 2)", (2, 2, 3, 3)),
]


def normalized(source, name, **options):
    theirs, mine = built(source)
    theirs.double()
    mine.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch would have one use parametrizations
        getattr(torch.nn.utils, name)(theirs, **options)
    getattr(dg.nn.utils, name)(mine, **options)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    copy_weights(theirs, mine)
    return theirs, mine


def compare(theirs, mine, shape):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape))
    expected, actual = theirs(x), mine(ours(x))
    close(actual, expected, 1e-10, "output")
    theirs.zero_grad()
    mine.zero_grad()
    expected.square().sum().backward()
    actual.square().sum().backward()
    for (name, p), q in zip(theirs.named_parameters(), mine.parameters(), strict=True):
        close(q.grad, p.grad, 1e-9, name)


@pytest.mark.parametrize(("source", "shape"), CASES)
@pytest.mark.parametrize("options", [{}, {"dim": None}, {"dim": 1}])
def test_weight_norm(source, shape, options):
    theirs, mine = normalized(source, "weight_norm", **options)
    compare(theirs, mine, shape)
    before = mine(dg.ones(*shape, dtype=dg.float64)).detach().numpy()
    dg.nn.utils.remove_weight_norm(mine)
    assert sorted(mine.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(mine(dg.ones(*shape, dtype=dg.float64)).detach().numpy(), before, rtol=1e-12)


@pytest.mark.parametrize(("source", "shape"), CASES)
def test_spectral_norm(source, shape):
    theirs, mine = normalized(source, "spectral_norm", n_power_iterations=2)
    for training in (True, True, False):
        theirs.train(training)
        mine.train(training)
        compare(theirs, mine, shape)
    for (name, p), q in zip(theirs.named_buffers(), mine.buffers(), strict=True):
        close(q, p, 1e-9, name)
    dg.nn.utils.remove_spectral_norm(mine)
    assert sorted(mine.state_dict()) == ["bias", "weight"]


def test_what_is_refused():
    layer = dg.nn.utils.weight_norm(dg.nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="two weight_norm hooks"):
        dg.nn.utils.weight_norm(layer)
    with pytest.raises(ValueError, match=r"spectral_norm of 'weight' not found"):
        dg.nn.utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="n_power_iterations"):
        dg.nn.utils.spectral_norm(dg.nn.Linear(2, 2), n_power_iterations=0)
