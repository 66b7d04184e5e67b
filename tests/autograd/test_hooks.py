"""Tensor hooks: order, replacement, removal."""

import gc
import weakref

import numpy as np
import pytest

import deepgpu as dg


def test_hook_on_a_leaf_sees_the_whole_gradient_and_may_replace_it():
    x = dg.ones(2, requires_grad=True)
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()) or g * 10)
    (x * 2 + x).sum().backward()
    assert seen == [[3.0, 3.0]]
    np.testing.assert_array_equal(x.grad, [30, 30])
    handle.remove()
    handle.remove()
    x.sum().backward()
    np.testing.assert_array_equal(x.grad, [31, 31])


def test_hooks_run_in_the_order_of_their_registration():
    x = dg.ones(1, requires_grad=True)
    y = x * 1
    y.register_hook(lambda g: g + 1)
    y.register_hook(lambda g: g * 5)
    y.sum().backward()
    assert x.grad.item() == 10


def test_handle_as_context():
    x = dg.ones(1, requires_grad=True)
    with x.register_hook(lambda g: g * 2):
        x.sum().backward()
    x.sum().backward()
    assert x.grad.item() == 3


def test_retain_grad():
    x = dg.ones(2, requires_grad=True)
    y = x * 3
    y.retain_grad()
    assert y.retains_grad
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.grad, [6, 6])


def test_retain_grad_keeps_nothing_alive():
    x = dg.ones(2, requires_grad=True)
    y = x * 3
    y.retain_grad()
    ref = weakref.ref(y)
    z = y.sum()
    del y
    gc.collect()
    assert ref() is None
    z.backward()


def test_post_accumulate_hook():
    x = dg.ones(2, requires_grad=True)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    x.sum().backward()
    handle.remove()
    x.sum().backward()
    assert seen == [[1.0, 1.0]]
    with pytest.raises(RuntimeError, match="takes a leaf"):
        (x * 2).register_post_accumulate_grad_hook(lambda t: None)


def test_hook_on_a_tensor_without_grad():
    with pytest.raises(RuntimeError, match="does not require grad"):
        dg.ones(1).register_hook(lambda g: g)
