"""Backward: accumulation, graphs that share, depth, memory, errors."""

import gc
import weakref

import numpy as np
import pytest
import torch

import deepgpu as dg


def test_leaf_accumulates_over_backwards():
    x = dg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    (3 * x).sum().backward()
    np.testing.assert_array_equal(x.grad, [5.0, 7.0])


def test_diamond_visits_each_node_once_with_the_whole_gradient():
    x = dg.tensor(2.0, requires_grad=True)
    calls = []
    y = x * 3
    y.register_hook(lambda g: calls.append(g.item()))
    (y * y + y).backward()
    assert calls == [13.0]
    assert x.grad.item() == 39.0


def test_random_graphs_against_torch():
    rng = np.random.default_rng(0)
    steps = [lambda a, b: a + b, lambda a, b: (a * b).tanh(), lambda a, b: a.sin(), lambda a, b: a - b]
    for _ in range(20):
        start = [rng.standard_normal((3, 2)) for _ in range(3)]
        choices = rng.integers(0, 4, 30)
        pairs = rng.integers(0, 1_000_000, (30, 2))
        grads = []
        for lib in (dg, torch):
            leaves = [lib.tensor(a, requires_grad=True) for a in start]
            pool = list(leaves)
            for kind, (i, j) in zip(choices, pairs, strict=True):
                a, b = pool[i % len(pool)], pool[j % len(pool)]
                pool.append(steps[kind](a, b))
            sum(p.sum() for p in pool).backward()
            grads.append([leaf.grad.numpy() for leaf in leaves])
        for ours, theirs in zip(*grads, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_graph_deeper_than_the_recursion_limit():
    x = dg.ones(1, requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y * 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y  # freeing the chain must not recurse either


def test_intermediates_are_released_as_backward_goes():
    alive = []
    x = dg.ones(3, requires_grad=True)
    y = x.exp()
    array = y._data
    alive.append(weakref.ref(array))
    z = y.sum()
    del y, array
    assert alive[0]() is not None  # exp keeps its output
    z.backward()
    assert alive[0]() is None  # although z, the end of the graph, still lives


def test_dropping_the_result_drops_the_graph_without_the_garbage_collector():
    gc.disable()
    try:
        x = dg.ones(3, requires_grad=True)
        y = x.exp()
        node = weakref.ref(y.grad_fn)
        z = y.relu().sum()
        del y
        assert node() is not None
        del z
        assert node() is None
    finally:
        gc.enable()


def test_second_backward_is_an_error_unless_retained():
    x = dg.ones(2, requires_grad=True)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(RuntimeError, match="`ExpBackward` a second time"):
        y.backward()


def test_gradient_argument():
    x = dg.ones(2, 3, requires_grad=True)
    (2 * x).backward(dg.full((2, 3), 0.5))
    np.testing.assert_array_equal(x.grad, np.ones((2, 3)))
    with pytest.raises(RuntimeError, match="only for a scalar"):
        (2 * x).backward()
    with pytest.raises(RuntimeError, match=r"gradient has shape \(3,\)"):
        (2 * x).backward(dg.ones(3))
    with pytest.raises(RuntimeError, match="does not require grad"):
        dg.ones(()).backward()


def test_inputs_argument_accumulates_only_there():
    x, w = dg.ones(2, requires_grad=True), dg.ones(2, requires_grad=True)
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None
    np.testing.assert_array_equal(w.grad, [1, 1])


def test_autograd_backward_of_several_tensors():
    x = dg.ones(2, requires_grad=True)
    dg.autograd.backward([(2 * x).sum(), 3 * x], [None, dg.ones(2)])
    np.testing.assert_array_equal(x.grad, [5, 5])


def test_grad_returns_and_leaves_grad_alone():
    x = dg.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    (g,) = dg.autograd.grad(y.sum(), x)
    np.testing.assert_array_equal(g, [2, 4])
    assert x.grad is None


def test_grad_with_respect_to_an_intermediate():
    x = dg.tensor(3.0, requires_grad=True)
    y = x * x
    z = y * y + x
    gy, gx = dg.autograd.grad(z, [y, x])
    assert (gy.item(), gx.item()) == (18.0, 109.0)


def test_grad_runs_only_what_leads_to_the_inputs():
    x, w = dg.ones(2, requires_grad=True), dg.ones(2, requires_grad=True)
    side = w.exp()
    side.register_hook(lambda g: pytest.fail("a node that does not lead to x ran"))
    (g,) = dg.autograd.grad((x * 2 + side).sum(), x)
    np.testing.assert_array_equal(g, [2, 2])


def test_unused_input():
    x, unused = dg.ones(2, requires_grad=True), dg.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"`inputs\[1\]` of shape \(3,\) took no part"):
        dg.autograd.grad(x.sum(), [x, unused])
    assert dg.autograd.grad(x.sum(), [x, unused], allow_unused=True)[1] is None
    zeros = dg.autograd.grad(x.sum(), [x, unused], materialize_grads=True)[1]
    np.testing.assert_array_equal(zeros, np.zeros(3))


def test_higher_derivatives():
    x = dg.tensor(0.7, dtype=dg.float64, requires_grad=True)
    y = x.sin() * x.exp()
    for order in range(1, 6):
        (y,) = dg.autograd.grad(y, x, create_graph=True)
        expected = 2 ** (order / 2) * np.exp(0.7) * np.sin(0.7 + order * np.pi / 4)
        np.testing.assert_allclose(y.item(), expected, rtol=1e-12)


def test_two_leaves_do_not_share_their_gradient():
    x, y = dg.ones(3, requires_grad=True), dg.ones(3, requires_grad=True)
    (x + y).backward(dg.ones(3))
    x.grad.zero_()
    np.testing.assert_array_equal(y.grad, np.ones(3))


def test_the_gradient_passed_in_is_not_taken_over():
    x = dg.ones(3, requires_grad=True)
    g = dg.ones(3)
    x.backward(g)
    x.grad.zero_()
    np.testing.assert_array_equal(g, np.ones(3))


def test_a_gradient_used_twice_is_not_modified():
    x = dg.ones(3, requires_grad=True)
    y = x * 1.0
    (y + y + y).backward(dg.ones(3))
    np.testing.assert_array_equal(x.grad, np.full(3, 3.0))


def test_gradient_has_the_layout_of_its_leaf():
    w = dg.randn(4, 3, 2, 2).to(memory_format=dg.channels_last).requires_grad_()
    (w * 2).sum().backward()
    assert w.grad.stride() == w.stride()


def test_no_grad_and_friends():
    x = dg.ones(2, requires_grad=True)
    with dg.no_grad():
        assert not (x * 2).requires_grad
        with dg.enable_grad():
            assert (x * 2).requires_grad
    assert (x * 2).requires_grad

    @dg.no_grad()
    def decorated():
        return x * 2

    @dg.no_grad
    def bare():
        return x * 2

    assert not decorated().requires_grad
    assert not bare().requires_grad
    with dg.set_grad_enabled(False):
        assert not dg.is_grad_enabled()
    assert dg.is_grad_enabled()
    dg.set_grad_enabled(False)
    try:
        assert not dg.is_grad_enabled()
    finally:
        dg.set_grad_enabled(True)


def test_inference_mode():
    with dg.inference_mode():
        t = dg.ones(2)
        assert t.is_inference()
    w = dg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="inference tensor"):
        (w * t).sum()
    assert not dg.ones(2).is_inference()


def test_next_functions():
    x = dg.ones(2, requires_grad=True)
    y = (x * 2).exp()
    (product, nr) = y.grad_fn.next_functions[0]
    assert (repr(product), nr) == ("<MulBackward>", 0)
    leaf, _ = product.next_functions[0]
    assert leaf.variable is x
    assert product.next_functions[1] == (None, 0)
