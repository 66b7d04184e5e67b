"""Lazy layers against PyTorch's: before, at and after the first call."""

import copy
import pickle

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.nn.modules.lazy import LazyModuleMixin
from deepgpu.nn.parameter import is_lazy
from tests.nn.twins import built, close, copy_weights, ours, plain

LAYERS = [
    ("nn.LazyLinear(3)", (4, 5)),
    ("nn.LazyLinear(3, bias=False)", (2, 4, 5)),
    ("nn.LazyConv1d(4, 3, stride=2, padding=1)", (2, 3, 9)),
    ("nn.LazyConv2d(4, (3, 2), padding='same', padding_mode='circular')", (2, 3, 6, 5)),
    ("nn.LazyConv2d(4, 3, 1, 1, 1, 2, False)", (4, 6, 5)),
    ("nn.LazyConv3d(2, 2)", (2, 3, 3, 4, 3)),
    ("nn.LazyConvTranspose1d(4, 3, 2, 1, 1, 2)", (2, 4, 5)),
    ("nn.LazyConvTranspose2d(4, 3, dilation=2)", (3, 6, 5)),
    ("nn.LazyConvTranspose3d(2, 2, bias=False)", (2, 3, 3, 4, 3)),
    ("nn.LazyBatchNorm1d()", (6, 5)),
    ("nn.LazyBatchNorm2d(1e-3, None)", (2, 3, 4, 5)),
    ("nn.LazyBatchNorm2d(track_running_stats=False)", (2, 3, 4, 5)),
    ("nn.LazyBatchNorm3d(bias=False)", (2, 3, 4, 5, 2)),
    ("nn.LazyInstanceNorm1d()", (6, 5, 3)),
    ("nn.LazyInstanceNorm2d(affine=False)", (2, 3, 4, 5)),
    ("nn.LazyInstanceNorm3d(momentum=0.3)", (2, 3, 4, 5, 2)),
]


def twins(source: str, shape: tuple[int, ...]):
    """PyTorch's layer, ours, and an input for each."""
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    return (*built(source), x, ours(x))


@pytest.mark.parametrize(("source", "shape"), LAYERS)
def test_the_first_call_makes_the_layer(source: str, shape: tuple[int, ...]) -> None:
    theirs, mine, x, own = twins(source, shape)
    assert plain(repr(mine)) == repr(theirs)
    assert [(k, is_lazy(v)) for k, v in mine.state_dict().items()] == [
        (k, torch.nn.parameter.is_lazy(v)) for k, v in theirs.state_dict().items()
    ]
    copied = copy.deepcopy(mine)  # before its own first call
    expected = theirs.eval()(x)
    mine.eval()(own)
    assert type(mine).__name__ == type(theirs).__name__
    assert plain(repr(mine)) == repr(theirs)
    copy_weights(theirs, mine)
    close(mine(own), expected, 2e-5, source)
    for before in (copied, pickle.loads(pickle.dumps(copied))):
        copy_weights(theirs, before)  # gives the shapes
        assert not before.has_uninitialized_params()
        assert type(before).__name__.startswith("Lazy")
        close(before.eval()(own), expected, 2e-5, source)
        assert plain(repr(before)) == repr(theirs)


@pytest.mark.parametrize(("source", "shape"), LAYERS)
def test_it_is_trained_like_any_layer(source: str, shape: tuple[int, ...]) -> None:
    theirs, mine, x, _ = twins(source, shape)
    x = x.double().requires_grad_()
    own = ours(x).requires_grad_()
    theirs.double().eval()(x)
    mine.double().eval()(own)
    copy_weights(theirs, mine)
    expected, actual = theirs.train()(x), mine.train()(own)
    weights = torch.rand(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected * weights).sum().backward()
    (actual * ours(weights)).sum().backward()
    close(own.grad, x.grad, 1e-9, "input")
    for (name, p), q in zip(theirs.named_parameters(), mine.parameters(), strict=True):
        close(q.grad, p.grad, 1e-9, name)
    for (name, b), c in zip(theirs.named_buffers(), mine.buffers(), strict=True):
        close(c, b, 1e-9, name)


def test_first_values_are_the_layers() -> None:
    dg.manual_seed(3)
    expected = dg.nn.Conv2d(3, 4, 3, groups=1)
    dg.manual_seed(3)
    lazy = dg.nn.LazyConv2d(4, 3)
    lazy(dg.ones(1, 3, 5, 5))
    np.testing.assert_array_equal(lazy.weight.detach().numpy(), expected.weight.detach().numpy())
    np.testing.assert_array_equal(lazy.bias.detach().numpy(), expected.bias.detach().numpy())
    norm = dg.nn.LazyBatchNorm1d().eval()
    norm(dg.ones(2, 3))
    for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
        np.testing.assert_array_equal(getattr(norm, name).detach().numpy(), np.full(3, value, np.float32))


def test_dtype_and_gradients_are_set_before_there_is_a_shape() -> None:
    net = dg.nn.Sequential(dg.nn.LazyLinear(4), dg.nn.LazyBatchNorm1d()).double().requires_grad_(False)
    assert all(t.dtype is dg.float64 for t in (*net.parameters(), net[1].running_mean, net[1].running_var))
    y = net(dg.ones(2, 3, dtype=dg.float64))
    assert y.dtype is dg.float64
    assert not y.requires_grad
    assert type(net[1].running_mean) is dg.Tensor
    assert type(net[0].weight) is dg.nn.Parameter
    assert net[0].weight.is_leaf
    assert dg.nn.LazyLinear(2, dtype=dg.float16).weight.dtype is dg.float16


def test_parameters_stay_the_same_objects() -> None:
    """So an optimizer may hold them from the start."""
    layer = dg.nn.LazyLinear(2)
    before = list(layer.parameters())
    layer(dg.ones(1, 3))
    assert all(a is b for a, b in zip(before, layer.parameters(), strict=True))


def test_states_go_both_ways_only_with_shapes() -> None:
    for nn in (torch.nn, dg.nn):
        lazy = nn.LazyLinear(2)
        lazy.load_state_dict(nn.LazyLinear(2).state_dict())  # both without shapes
        assert lazy.has_uninitialized_params()
        with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
            nn.Linear(3, 2).load_state_dict(lazy.state_dict())
        lazy.load_state_dict(nn.Linear(3, 2).state_dict(), assign=True)
        assert tuple(lazy.weight.shape) == (2, 3)


@pytest.mark.parametrize("lib", [torch, dg], ids=["torch", "deepgpu"])
def test_errors(lib) -> None:
    nn = lib.nn
    weight = nn.LazyLinear(2).weight
    with pytest.raises(RuntimeError, match="shape of an uninitialized"):
        _ = weight.shape
    for use in (lambda: weight + 1, weight.numel, lambda: nn.init.ones_(weight)):
        with pytest.raises(ValueError, match=r"Attempted to use an uninitialized parameter"):
            use()
    assert repr(weight) == "<UninitializedParameter>"
    assert repr(nn.UninitializedBuffer()) == "<UninitializedBuffer>"
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input to LazyConv2d"):
        nn.LazyConv2d(2, 3)(lib.ones(2, 3))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        nn.LazyConv2d(4, 3, groups=2)(lib.ones(1, 3, 5, 5))
    with pytest.raises(ValueError, match="expected 4D input"):
        nn.LazyBatchNorm2d()(lib.ones(2, 3))


def test_channels_out_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="out_channels must be divisible by groups"):
        dg.nn.LazyConv1d(3, 2, groups=2)


class Scale(LazyModuleMixin, dg.nn.Module):
    """A lazy module of a user's own, which stays of its class."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = dg.nn.UninitializedParameter()

    def initialize_parameters(self, input: dg.Tensor) -> None:
        self.factor.materialize(input.shape[-1:])
        with dg.no_grad():
            self.factor.fill_(3.0)

    def forward(self, input: dg.Tensor) -> dg.Tensor:
        return input * self.factor


class Forgetful(Scale):
    def initialize_parameters(self, input: dg.Tensor) -> None:
        pass


def test_modules_of_ones_own() -> None:
    module = Scale()
    np.testing.assert_array_equal(module(dg.ones(2, 4)).detach().numpy(), np.full((2, 4), 3, np.float32))
    module(dg.ones(1, 4))
    assert type(module) is Scale
    with pytest.raises(RuntimeError, match="Forgetful has not been fully initialized"):
        Forgetful()(dg.ones(2))
