"""gradcheck must pass what is right and fail what is wrong."""

import pytest

import deepgpu as dg
from deepgpu.autograd import GradcheckError, gradcheck, gradgradcheck


class Wrong(dg.autograd.Function):
    """x**2 with a gradient that is off by a part in a hundred."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2.02 * x * g


class NotANumber(Wrong):
    @staticmethod
    def backward(ctx, g):
        return g * float("nan")


class WrongSecond(Wrong):
    """x**2 with a right gradient, whose own gradient is wrong."""

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x.detach() * g


MODES = pytest.mark.parametrize("fast_mode", [True, False], ids=["fast", "full"])


def inputs(*shape):
    return dg.randn(*shape, dtype=dg.float64, generator=dg.Generator().manual_seed(0), requires_grad=True)


@MODES
def test_right_gradients_pass(fast_mode):
    x, w = inputs(3, 4), inputs(4, 2)
    assert gradcheck(lambda x, w: (x @ w).tanh(), (x, w), fast_mode=fast_mode)
    assert gradgradcheck(lambda x, w: (x @ w).tanh(), (x, w), fast_mode=fast_mode)


@MODES
@pytest.mark.parametrize("function", [Wrong, NotANumber])
def test_wrong_gradients_fail(fast_mode, function):
    x = inputs(5)
    with pytest.raises(GradcheckError, match=r"inputs\[0\]"):
        gradcheck(function.apply, x, fast_mode=fast_mode)
    assert not gradcheck(function.apply, x, fast_mode=fast_mode, raise_exception=False)


@MODES
def test_wrong_second_derivatives_fail(fast_mode):
    x = inputs(5)
    assert gradcheck(WrongSecond.apply, x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError):
        gradgradcheck(WrongSecond.apply, x, fast_mode=fast_mode)


@MODES
def test_several_outputs_and_other_arguments(fast_mode):
    assert gradcheck(lambda x, n, y: (x * n, x.sum() * y), (inputs(3), 2, inputs(2)), fast_mode=fast_mode)


def test_layout_is_kept():
    seen = []

    def func(x):
        seen.append(x.stride())
        return x * x

    x = dg.randn(2, 3, 4, 5, dtype=dg.float64).to(memory_format=dg.channels_last).requires_grad_()
    gradcheck(func, x, fast_mode=True)
    assert set(seen) == {x.stride()}


def test_float32_is_refused():
    with pytest.raises(ValueError, match=r"takes float64 .* but got deepgpu.float32"):
        gradcheck(lambda x: x, dg.ones(1, requires_grad=True))


def test_nothing_to_check_is_refused():
    with pytest.raises(ValueError, match="none of `inputs` requires grad"):
        gradcheck(lambda x: x, dg.ones(1, dtype=dg.float64))
