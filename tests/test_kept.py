"""What convolutions make of their weights is kept from one inference to the next: it must not be seen."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


GEOMETRIES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "winograd": ((24, 32, 3, 3), {"padding": 1}),
    "strided": ((24, 32, 3, 3), {"padding": 1, "stride": 2}),
    "folded": ((24, 32, 4, 4), {"padding": 1, "stride": 2}),
    "1x1": ((24, 32, 1, 1), {}),
    "5x5": ((24, 32, 5, 5), {"padding": 2}),
    "grouped": ((24, 8, 3, 3), {"padding": 1, "groups": 4}),
    "depthwise": ((32, 1, 3, 3), {"padding": 1, "groups": 32}),
}


def by_sgd(w: Any) -> None:
    w.grad = dg.ones_like(w)
    dg.optim.SGD([w], lr=0.5).step()
    w.grad = None


def by_another_name(w: Any) -> None:
    w.detach().numpy()[...] *= 2


def by_replaced_data(w: Any) -> None:
    w.data = w.data * 2


def by_a_module(w: Any) -> None:
    module = nn.Module()
    module.w = w
    module.load_state_dict({"w": w.detach() * 2})


def by_what_data_was_replaced_with(w: Any) -> None:
    other = w.detach() * 2
    w.data = other
    other.mul_(2)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "mul_": lambda w: w.mul_(2),
    "copy_": lambda w: w.copy_(w * 2),
    "index": lambda w: w.__setitem__(0, 3.0),
    "a view": lambda w: w.view(-1)[::2].zero_(),
    "data": lambda w: w.data.mul_(2),
    "a view of data": lambda w: w.data.view(-1)[::2].zero_(),
    "data of data": lambda w: w.data.detach().data.add_(1),
    "NumPy of data": lambda w: w.data.numpy().__imul__(2),
    "data replaced": by_replaced_data,
    "data replaced by what changes": by_what_data_was_replaced_with,
    "detached": lambda w: w.detach().add_(1),
    "NumPy": by_another_name,
    "SGD": by_sgd,
    "load_state_dict": by_a_module,
    "init": lambda w: nn.init.normal_(w),
    "to float64 and back": lambda w: setattr(w, "data", (w * 3).to(dg.float64).to(dg.float32)),
}


def kept(w: Any) -> dict[Any, Any]:
    return {} if w._version is None or w._version.memory.kept is None else w._version.memory.kept[1]


def assert_right(x: Any, w: Any, options: dict[str, Any]) -> None:
    expected = torch.conv2d(torch.tensor(x.numpy()), torch.tensor(w.tolist()), **options).numpy()
    for _ in range(3):
        with dg.no_grad():
            y = F.conv2d(x, w, **options)
        np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_changed_weights_are_used(geometry: str, change: str) -> None:
    shape, options = GEOMETRIES[geometry]
    x, w = dg.tensor(floats(2, 32, 30, 34)), nn.Parameter(dg.tensor(floats(*shape)))
    for _ in range(2):
        assert_right(x, w, options)
        with dg.no_grad():
            CHANGES[change](w)
    assert_right(x, w, options)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_second_call_keeps_and_a_change_forgets(geometry: str) -> None:
    shape, options = GEOMETRIES[geometry]
    x, w = dg.tensor(floats(2, 32, 30, 34)), nn.Parameter(dg.tensor(floats(*shape)))
    with dg.no_grad():
        F.conv2d(x, w, **options).numpy()
        assert kept(w)
        assert not any(array is not None for array in kept(w).values())
        F.conv2d(x, w, **options).numpy()
        made = list(kept(w).values())
        assert all(array is not None for array in made)
        F.conv2d(x, w, **options).numpy()
        assert all(a is b for a, b in zip(kept(w).values(), made, strict=True))
        w.mul_(2)
    assert not kept(w)


def test_nothing_is_kept_while_weights_are_trained() -> None:
    x, w = dg.tensor(floats(2, 32, 30, 34)), nn.Parameter(dg.tensor(floats(24, 32, 3, 3)))
    for _ in range(3):
        F.conv2d(x, w, padding=1).sum().backward()
    assert not kept(w)


def test_frozen_weights_are_kept_in_training_too() -> None:
    x, w = dg.tensor(floats(2, 32, 30, 34)).requires_grad_(), dg.tensor(floats(24, 32, 3, 3))
    for _ in range(2):
        F.conv2d(x, w, padding=1).sum().backward()
    assert all(array is not None for array in kept(w).values())
    assert kept(w)


def test_nothing_is_kept_of_weights_that_can_change_unnoticed() -> None:
    x, w = dg.tensor(floats(2, 32, 30, 34)), dg.from_numpy(floats(24, 32, 3, 3))
    for _ in range(3):
        F.conv2d(x, w, padding=1).numpy()
    assert not kept(w)


def test_a_look_at_data_does_not_end_it() -> None:
    """The usual initialisation goes by ``module.weight.data``."""
    x, w = dg.tensor(floats(2, 32, 30, 34)), nn.Parameter(dg.tensor(floats(24, 32, 3, 3)))
    nn.init.normal_(w.data, 0.0, 0.02)
    for _ in range(2):
        assert_right(x, w, {"padding": 1})
        assert kept(w)
        w.data.clamp_(-0.01, 0.01)
        assert not kept(w)


def test_one_weight_for_two_convolutions() -> None:
    w = dg.tensor(floats(24, 32, 3, 3))
    for _ in range(3):
        for side, options in ((31, {"padding": 1}), (31, {"padding": 2, "dilation": 2}), (31, {"padding": 0})):
            assert_right(dg.tensor(floats(2, 32, side, side)), w, options)
        for side in (2, 3, 4, 5, 7):  # each with a tile of its own
            assert_right(dg.tensor(floats(2, 32, side, side)), w, {"padding": 1})


def test_a_change_between_the_call_and_the_computation() -> None:
    x, w = dg.tensor(floats(2, 32, 30, 34)), dg.tensor(floats(24, 32, 3, 3))
    assert_right(x, w, {"padding": 1})
    before = torch.conv2d(torch.tensor(x.numpy()), torch.tensor(w.tolist()), padding=1).numpy()
    waiting = F.conv2d(x, w, padding=1)
    w.mul_(2)
    np.testing.assert_allclose(waiting.numpy(), before, rtol=0, atol=2e-5 * np.abs(before).max())
    assert_right(x, w, {"padding": 1})


def test_data_changes_between_the_call_and_the_computation() -> None:
    x, w = dg.tensor(floats(2, 32, 30, 34)), dg.tensor(floats(24, 32, 3, 3))
    assert w.version == 0
    before = torch.conv2d(torch.tensor(x.tolist()), torch.tensor(w.tolist()), padding=1).numpy()
    same = w.data
    for holder, other in ((w, same), (same, w)):
        waiting = F.conv2d(x, holder, padding=1)
        assert type(waiting).__name__ == "Pending"
        other.mul_(2)
        np.testing.assert_allclose(waiting.numpy(), before, rtol=0, atol=2e-5 * np.abs(before).max())
        before = before * 2
    assert w.version == same.version == 1  # each has its own counter


def test_what_was_kept_dies_with_the_weights() -> None:
    x, w = dg.tensor(floats(2, 32, 30, 34)), dg.tensor(floats(24, 32, 3, 3))
    assert_right(x, w, {"padding": 1})
    (array,) = kept(w).values()
    remains = weakref.ref(array)
    del array, w
    gc.collect()
    assert remains() is None
