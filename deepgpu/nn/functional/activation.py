"""Activations with PyTorch's ``inplace`` argument."""

from __future__ import annotations

from deepgpu.ops import activation
from deepgpu.ops.assign import assign
from deepgpu.tensor import Tensor


def _stored(input: Tensor, output: Tensor, inplace: bool, name: str) -> Tensor:
    """The output, in place of the input if asked for."""
    return assign(input, output, f"{name}_") if inplace else output


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``."""
    return _stored(input, activation.relu(input), inplace, "relu")


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return _stored(input, activation.relu6(input), inplace, "relu6")


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    return _stored(input, activation.leaky_relu(input, negative_slope), inplace, "leaky_relu")


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` limited to ``[min_val, max_val]``."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _stored(input, activation.hardtanh(input, min_val, max_val), inplace, "hardtanh")


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``."""
    return _stored(input, activation.elu(input, alpha), inplace, "elu")


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input / alpha) - 1)``."""
    return _stored(input, activation.celu(input, alpha), inplace, "celu")


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """The self-normalising ELU."""
    return _stored(input, activation.selu(input), inplace, "selu")


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``."""
    return _stored(input, activation.silu(input), inplace, "silu")


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))``."""
    return _stored(input, activation.mish(input), inplace, "mish")


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``clamp(input + 3, 0, 6) / 6``."""
    return _stored(input, activation.hardsigmoid(input), inplace, "hardsigmoid")


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * clamp(input + 3, 0, 6) / 6``."""
    return _stored(input, activation.hardswish(input), inplace, "hardswish")


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``input`` where above ``threshold``, else ``value``."""
    return _stored(input, activation.threshold(input, threshold, value), inplace, "threshold")


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
    return _stored(input, activation.threshold(input, threshold, value), True, "threshold")
