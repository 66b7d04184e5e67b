"""Activations with PyTorch's ``inplace`` argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu.ops import activation, gated
from deepgpu.ops.assign import assign, stand_in
from deepgpu.pending import Pending
from deepgpu.tensor import Tensor


def _applied(function: Callable[..., Tensor], input: Tensor, inplace: bool, *args: Any) -> Tensor:
    """The function of the input, stored in the input if asked for."""
    if not inplace:
        return function(input, *args)
    was = stand_in(input)
    return assign(input, function(was, *args), f"{function.__name__}_", was)


def _limited(function: Callable[..., Tensor], input: Tensor, inplace: bool, *args: Any) -> Tensor:
    """The same for a function of one node that saves only its output: no stand-in is needed for the old values."""
    if inplace and type(input) is Pending:
        input.recipe.replaced = True
    output = function(input, *args)
    return assign(input, output, f"{function.__name__}_") if inplace else output


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``."""
    return _limited(activation.relu, input, inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return _limited(activation.relu6, input, inplace)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    return _applied(activation.leaky_relu, input, inplace, negative_slope)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` limited to ``[min_val, max_val]``."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _limited(activation.hardtanh, input, inplace, min_val, max_val)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``."""
    return _applied(activation.elu, input, inplace, alpha)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input / alpha) - 1)``."""
    return _applied(activation.celu, input, inplace, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The self-normalising ELU."""
    return _applied(activation.selu, input, inplace)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``."""
    return _applied(gated.silu, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))``."""
    return _applied(activation.mish, input, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``clamp(input + 3, 0, 6) / 6``."""
    return _applied(activation.hardsigmoid, input, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * clamp(input + 3, 0, 6) / 6``."""
    return _applied(gated.hardswish, input, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where above ``threshold``, else ``value``."""
    return _applied(activation.threshold, input, inplace, threshold, value)


def relu_(input: Tensor) -> Tensor:
    """:func:`relu`, in place."""
    return relu(input, True)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """:func:`leaky_relu`, in place."""
    return leaky_relu(input, negative_slope, True)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """:func:`hardtanh`, in place."""
    return hardtanh(input, min_val, max_val, True)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """:func:`elu`, in place."""
    return elu(input, alpha, True)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """:func:`celu`, in place."""
    return celu(input, alpha, True)


def selu_(input: Tensor) -> Tensor:
    """:func:`selu`, in place."""
    return selu(input, True)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """``input`` where above ``threshold``, else ``value``; in place."""
    return _applied(activation.threshold, input, True, threshold, value)
