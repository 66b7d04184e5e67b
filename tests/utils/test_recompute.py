"""deepgpu.utils.checkpoint: the same gradients, and activations that are not kept."""

import weakref
from typing import Any

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.utils.checkpoint import checkpoint, checkpoint_sequential


def model() -> Any:
    dg.manual_seed(0)
    nn = dg.nn
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 1))


def gradients(run: Any, leaf: bool) -> list[np.ndarray]:
    net = model()
    x = dg.randn(5, 4, requires_grad=leaf)
    dg.manual_seed(1)
    run(net, x).sum().backward()
    after = dg.rand(1).item()
    return [*[p.grad.numpy() for p in net.parameters()], *([x.grad.numpy()] if leaf else []), np.array(after)]


@pytest.mark.parametrize("leaf", [False, True])
@pytest.mark.parametrize(
    "run",
    [
        lambda net, x: checkpoint(net, x, use_reentrant=False),
        lambda net, x: checkpoint_sequential(net, 3, x, use_reentrant=False),
        lambda net, x: checkpoint(lambda y, scale: net(y) * scale, x, scale=1.0),
    ],
)
def test_gradients_and_random_numbers_are_the_same(run: Any, leaf: bool) -> None:
    for expected, actual in zip(gradients(lambda net, x: net(x), leaf), gradients(run, leaf), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_activations_are_not_kept() -> None:
    seen: list[Any] = []

    def function(x: dg.Tensor) -> dg.Tensor:
        y = x.exp()
        seen.append(weakref.ref(y))
        return y * y

    x = dg.ones(3, requires_grad=True)
    z = checkpoint(function, x)
    assert seen[0]() is None
    z.sum().backward()
    assert len(seen) == 2
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([2.0, 2, 2]), rtol=1e-6)


def test_several_results_and_other_arguments() -> None:
    x = dg.ones(3, requires_grad=True)
    a, b, kind = checkpoint(lambda x, factor, name: (x * factor, x**2, name), x, 3.0, "text")
    assert kind == "text"
    (a + b).sum().backward()
    assert x.grad.tolist() == [5.0] * 3


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="`checkpoint`: `debug`"):
        checkpoint(lambda x: x, dg.ones(1), debug=True)
    with pytest.raises(ValueError, match=r"`segments` takes 1\.\.6"):
        checkpoint_sequential(model(), 7, dg.ones(1, 4))
