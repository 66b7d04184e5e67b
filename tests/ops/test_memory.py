"""deepgpu.ops.memory against PyTorch: layouts, and what memory the graph holds."""

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import unary


def copies(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    for format in (dg.channels_last, dg.contiguous_format, dg.preserve_format):
        yield Sample(make(2, 3, 4, 5), memory_format=format)


def formats(make: Maker) -> Iterator[Sample]:
    yield from unary(make)
    for format in (dg.channels_last, dg.contiguous_format):
        yield Sample(make(2, 3, 4, 5), memory_format=format)
        yield Sample(make(2, 1, 4, 5), memory_format=format)
        yield Sample(make(2, 3, 1, 1), memory_format=format)
        yield Sample(make(0, 3, 4, 5), memory_format=format)


def only_images(name: str) -> object:
    def errors(make: Maker) -> Iterator[Failure]:
        bad = make(2, 3)
        yield Failure(Sample(bad, memory_format=dg.channels_last), rf"`{name}`.*4-d.*\(2, 3\)")

    return errors


ENTRIES = [
    OpEntry("clone", copies, only_images("clone")),
    OpEntry("contiguous", formats, only_images("contiguous")),
]


class TestMemory(OpTests):
    entries = ENTRIES


SHAPES = [(2, 3, 4, 5), (2, 1, 4, 5), (1, 3, 4, 5), (2, 3, 1, 1), (1, 1, 1, 1), (2, 3, 4, 1)]


@pytest.mark.parametrize("shape", SHAPES)
def test_formats_are_pytorchs(shape: tuple[int, ...]) -> None:
    data = np.arange(np.prod(shape), dtype=float).reshape(shape)
    for convert in (
        lambda x, lib: x,
        lambda x, lib: x.contiguous(memory_format=lib.channels_last),
        lambda x, lib: x.contiguous(memory_format=lib.channels_last).contiguous(),
        lambda x, lib: x.contiguous(memory_format=lib.channels_last).clone(),
        lambda x, lib: x.to(memory_format=lib.channels_last),
        lambda x, lib: x.permute(0, 2, 3, 1),
        lambda x, lib: x.transpose(2, 3).clone(),
    ):
        ours, theirs = convert(dg.tensor(data), dg), convert(torch.tensor(data), torch)
        assert ours.is_contiguous() == theirs.is_contiguous()
        assert ours.is_contiguous(memory_format=dg.channels_last) == theirs.is_contiguous(
            memory_format=torch.channels_last
        )
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_contiguous_of_a_contiguous_tensor_is_itself() -> None:
    x = dg.ones(2, 3, 4, 5)
    assert x.contiguous() is x
    y = x.contiguous(memory_format=dg.channels_last)
    assert y is not x
    assert y.contiguous(memory_format=dg.channels_last) is y


def test_clone_keeps_no_gaps_and_shares_nothing() -> None:
    x = dg.arange(24.0).reshape(4, 6)[::2, ::3]
    y = x.clone()
    assert y.stride() == (2, 1)
    y.zero_()
    assert x.sum().item() != 0


def chain(x: dg.Tensor) -> list[dg.Tensor]:
    """A result and all intermediates of a graph with every kind of saved tensor."""
    a = x * x
    b = a.exp()
    c = b.reshape(-1).sum() + a[0, 0]
    return [a, b, c]


def test_dropping_the_result_frees_the_graph() -> None:
    x = dg.ones(3, 4, requires_grad=True)
    gc.disable()
    try:
        made = chain(x)
        held = [weakref.ref(t) for t in made] + [weakref.ref(t.grad_fn) for t in made]
        held += [weakref.ref(t._data) for t in made]
        del made
        assert [ref() for ref in held] == [None] * len(held)
    finally:
        gc.enable()


def test_backward_frees_intermediates_as_it_goes() -> None:
    """When the gradient reaches the first op, what later ops saved is gone."""
    x = dg.ones(3, 4, requires_grad=True)
    a, b, c = chain(x)
    array = weakref.ref(b._data)
    alive = []
    a.register_hook(lambda g: alive.append(array() is not None))
    del b
    c.backward()
    assert alive == [False]
    del a


def test_backward_twice_says_what_to_do() -> None:
    x = dg.ones(3, requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time.*retain_graph=True"):
        y.backward()


def test_a_node_does_not_keep_its_outputs_alive() -> None:
    x = dg.ones(3, 4, requires_grad=True)
    gc.disable()
    try:
        for function in (dg.exp, dg.relu, dg.tanh, lambda t: t.softmax(1), lambda t: t.max(1).values, lambda t: t[0]):
            y = function(x)
            node, ref = y.grad_fn, weakref.ref(y)
            del y
            assert ref() is None
            assert node is not None
    finally:
        gc.enable()


def test_no_graph_without_grad() -> None:
    x = dg.ones(3)
    assert x.exp().grad_fn is None
    y = dg.ones(3, requires_grad=True)
    with dg.no_grad():
        assert y.exp().grad_fn is None
    assert y.detach().exp().grad_fn is None
    assert (y > 0).grad_fn is None
    assert y.argmax().grad_fn is None
