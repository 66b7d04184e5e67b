"""User-defined Functions, with torch's as the judge: one source runs with both libraries."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.autograd import gradgradcheck
from deepgpu.autograd.function import once_differentiable

BOTH = pytest.mark.parametrize("lib", [dg, torch], ids=["deepgpu", "torch"])


@BOTH
def test_saved_inputs_outputs_and_attributes(lib):
    class ScaledExp(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            y = (x * scale).exp()
            ctx.scale = scale
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, False)
            return g * y * ctx.scale, None

    x = lib.tensor([0.0, 1.0], dtype=lib.float64, requires_grad=True)
    y = ScaledExp.apply(x, 2.0)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp([0, 2]), rtol=1e-14)


@BOTH
def test_setup_context(lib):
    class Square(lib.autograd.Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = lib.tensor(3.0, requires_grad=True)
    Square.apply(x).backward()
    assert x.grad.item() == 6


@BOTH
def test_several_outputs_zeros_for_unused_ones_and_non_differentiable(lib):
    seen = []

    class Parts(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            mask = x > 0
            ctx.mark_non_differentiable(mask)
            return x * 2, x * 3, mask

        @staticmethod
        def backward(ctx, g2, g3, _):
            seen.append((g2.tolist(), g3.tolist()))
            return g2 * 2 + g3 * 3

    x = lib.tensor([1.0, -1.0], requires_grad=True)
    double, triple, mask = Parts.apply(x)
    assert double.requires_grad
    assert triple.requires_grad
    assert not mask.requires_grad
    double.sum().backward()
    assert seen == [([1.0, 1.0], [0.0, 0.0])]
    assert x.grad.tolist() == [2.0, 2.0]


@BOTH
def test_unmaterialised_gradients(lib):
    class Two(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 1

        @staticmethod
        def backward(ctx, a, b):
            assert b is None
            return a

    x = lib.ones(2, requires_grad=True)
    Two.apply(x)[0].sum().backward()
    assert x.grad.tolist() == [1, 1]


@BOTH
def test_dirty_input_is_modified_in_place(lib):
    class AddOne(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = lib.ones(2, requires_grad=True)
    y = x * 2
    z = AddOne.apply(y)
    assert z is y
    z.sum().backward()
    assert x.grad.tolist() == [10, 10]


@BOTH
def test_returning_an_input(lib):
    class Identity(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = lib.ones(2, requires_grad=True)
    y = Identity.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.tolist() == [7, 7]


def test_double_backward_through_a_function():
    class Cube(dg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * x * x * g

    assert gradgradcheck(Cube.apply, dg.randn(4, dtype=dg.float64, requires_grad=True))


def test_once_differentiable():
    class Opaque(dg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return dg.from_numpy(np.sin(x.numpy()))

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * dg.from_numpy(np.cos(x.detach().numpy()))

    x = dg.randn(3, requires_grad=True)
    (g,) = dg.autograd.grad(Opaque.apply(x).sum(), x)
    np.testing.assert_allclose(g, np.cos(x.detach().numpy()), rtol=1e-6)
    (g,) = dg.autograd.grad((Opaque.apply(x) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


def test_wrong_number_of_gradients_is_named():
    class Wrong(dg.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g

    x = dg.ones(1, requires_grad=True)
    with pytest.raises(RuntimeError, match="`WrongBackward` returned 1 gradients, but its forward took 2"):
        Wrong.apply(x, x).sum().backward()


def test_only_tensors_are_saved():
    class Wrong(dg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x * 1

    with pytest.raises(TypeError, match="takes tensors, but got a int"):
        Wrong.apply(dg.ones(1, requires_grad=True))


def test_modified_saved_tensor_is_noticed():
    class Square(dg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    x = dg.ones(2, requires_grad=True)
    y = x * 1
    z = Square.apply(y)
    y.add_(1)
    with pytest.raises(RuntimeError, match=r"`SquareBackward` saved .* modified in place"):
        z.sum().backward()
