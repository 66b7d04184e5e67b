"""What functional forms have besides the ops: PyTorch's argument order, `inplace`, deprecated arguments, weights."""

import inspect

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from tests.nn.twins import close, ours

INPLACE = {
    "relu": (),
    "relu6": (),
    "leaky_relu": (0.2,),
    "hardtanh": (-0.5, 1.5),
    "elu": (0.5,),
    "celu": (2.0,),
    "selu": (),
    "silu": (),
    "mish": (),
    "hardsigmoid": (),
    "hardswish": (),
    "threshold": (0.1, 5.0),
}


def _x(shape=(3, 4)):
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape)).requires_grad_()
    return x, ours(x).requires_grad_()


@pytest.mark.parametrize(("name", "args"), INPLACE.items())
def test_inplace_activation_stores_its_result_and_keeps_the_gradient_right(name, args):
    # A tensor of its own takes over the result's memory; through a view the old memory is written over.
    for through_view in (False, True):
        grads = []
        for library, x in zip((torch, dg), _x(), strict=True):
            h = x * 2
            target = h[1:] if through_view else h
            out = getattr(library.nn.functional, name)(target, *args, inplace=True)
            assert out is target
            (h * h).sum().backward()
            grads.append((h, x.grad))
        rtol = 1e-7 if name.startswith("hards") else 1e-12  # torch rounds 1/6 to float32
        for actual, expected in zip(grads[1], grads[0], strict=True):
            close(actual, expected, rtol, name)


@pytest.mark.parametrize("name", ["relu_", "leaky_relu_", "hardtanh_", "elu_", "celu_", "selu_"])
def test_underscore_forms(name):
    x, own = _x()
    expected, actual = x.detach().clone(), own.detach().clone()
    assert getattr(F, name)(actual) is actual
    getattr(torch.nn.functional, name)(expected)
    close(actual, expected, 1e-12, name)


def test_threshold_in_place():
    x, own = _x()
    close(F.threshold_(own * 1, 0.1, 2.0), torch.nn.functional.threshold_(x * 1, 0.1, 2.0), 0, "threshold_")


def test_an_output_that_an_earlier_op_needs_may_not_be_overwritten():
    _, own = _x()
    y = own.exp()
    F.leaky_relu(y, 0.1, inplace=True)
    with pytest.raises(RuntimeError, match="modified in place"):
        y.sum().backward()


def test_a_leaf_may_not_be_overwritten():
    with pytest.raises(RuntimeError, match="leaf"):
        F.elu(_x()[1], inplace=True)


def test_hardtanh_bounds():
    with pytest.raises(ValueError, match="min_val cannot be greater"):
        F.hardtanh(_x()[1], 2.0, 1.0)


SAME_ARGUMENTS = [
    *INPLACE,
    *("nll_loss", "cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits"),
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "batch_norm", "dropout", "dropout2d", "pad", "glu"),
]


@pytest.mark.parametrize("name", SAME_ARGUMENTS)
def test_arguments_have_the_names_order_and_defaults_of_torch(name):
    def listed(function):
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    assert listed(getattr(F, name)) == listed(getattr(torch.nn.functional, name))


@pytest.mark.parametrize(
    ("size_average", "reduce", "reduction"),
    [(True, None, "mean"), (False, None, "sum"), (None, False, "none"), (False, True, "sum"), (True, True, "mean")],
)
def test_deprecated_arguments_mean_a_reduction_and_warn(size_average, reduce, reduction):
    x, y = dg.randn(3), dg.randn(3)
    with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
        old = F.mse_loss(x, y, size_average, reduce)
    np.testing.assert_array_equal(old, F.mse_loss(x, y, reduction=reduction))
    with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
        assert dg.nn.L1Loss(size_average, reduce).reduction == reduction


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_shapes_that_differ_broadcast_with_a_warning(name):
    x, own = _x()
    y = torch.from_numpy(np.random.default_rng(1).standard_normal(4))
    with pytest.warns(UserWarning, match="different to the input size"):
        expected = getattr(torch.nn.functional, name)(x, y)
    with pytest.warns(UserWarning, match="different to the input size"):
        actual = getattr(F, name)(own, ours(y))
    close(actual, expected, 1e-12, name)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights_of_elements(name, reduction):
    x, own = _x()
    rng = np.random.default_rng(1)
    y, weight = (torch.from_numpy(rng.random((3, 4))) for _ in range(2))
    expected = getattr(torch.nn.functional, name)(x, y, reduction=reduction, weight=weight)
    actual = getattr(F, name)(own, ours(y), reduction=reduction, weight=ours(weight))
    close(actual, expected, 1e-12, name)
    expected.sum().backward()
    actual.sum().backward()
    close(own.grad, x.grad, 1e-12, name)
    with pytest.raises(ValueError, match="same size"):
        getattr(F, name)(own, ours(y), weight=ours(weight[0]))
