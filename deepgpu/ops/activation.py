"""Activation functions. (tanh and sigmoid stand in ``pointwise``, softmax in ``softmax``.)"""

from __future__ import annotations

import math
from typing import Any

from deepgpu.autograd.node import Node
from deepgpu.errors import takes
from deepgpu.ops.op import op
from deepgpu.ops.pointwise import where
from deepgpu.tensor import Tensor


class Relu(Node):
    """``max(x, 0)``; the gradient at 0 is 0."""

    keep_outputs = (0,)

    def forward(self, x: Any) -> Any:
        return self.backend.relu(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return ReluGrad()(g, y.detach())


class ReluGrad(Node):
    """``g`` where the output was positive: linear in ``g``."""

    keep_inputs = (1,)

    def forward(self, g: Any, y: Any) -> Any:
        return self.backend.relu_backward(g, y)

    def backward(self, gg: Tensor) -> tuple[Tensor, None]:
        (y,) = self.saved
        return ReluGrad()(gg, y), None


class Softplus(Node):
    """``log(1 + exp(beta x)) / beta``, the identity where ``beta x > threshold``."""

    keep_inputs = (0,)

    def __init__(self, beta: float, threshold: float) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Any) -> Any:
        scaled = x * self.beta
        return self.xp.where(scaled > self.threshold, x, self.xp.logaddexp(scaled, scaled.dtype.type(0)) / self.beta)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        scaled = x * self.beta
        return g * where(scaled.detach() > self.threshold, 1.0, scaled.sigmoid())


@op(method=True, inplace=True)
def relu(input: Tensor) -> Tensor:
    """``max(input, 0)``."""
    return Relu()(input)


@op
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    return where(input.detach() > 0, input, input * negative_slope)


@op
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``input`` where positive, else ``weight * input``; one weight, or one a channel (dimension 1)."""
    if weight._data.size != 1 and input._data.ndim > 1:
        if weight._data.size != input._data.shape[1]:
            expected = f"1 weight or {input._data.shape[1]}, one a channel"
            raise RuntimeError(takes("prelu", "weight", expected, f"shape {tuple(weight.shape)}"))
        weight = weight.reshape([1, -1, *[1] * (input._data.ndim - 2)])
    return where(input.detach() > 0, input, input * weight)


@op
def relu6(input: Tensor) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return hardtanh(input, 0.0, 6.0)


@op
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``input`` limited to ``[min_val, max_val]``; the gradient is 0 at the limits."""
    outside = (input.detach() <= min_val) | (input.detach() >= max_val)
    return where(outside, input.detach().clamp(min_val, max_val), input)


@op
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``."""
    negative = input.clamp(max=0.0)
    return where(input.detach() > 0, input, alpha * negative.expm1())


@op
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input / alpha) - 1)``."""
    negative = input.clamp(max=0.0)
    return where(input.detach() > 0, input, alpha * (negative / alpha).expm1())


@op
def selu(input: Tensor) -> Tensor:
    """The self-normalising ELU of Klambauer et al. 2017 (arXiv 1706.02515)."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * elu(input, alpha)


@op
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``input * Phi(input)``, Phi the normal distribution function (Hendrycks & Gimpel, arXiv 1606.08415).

    Parameters
    ----------
    approximate
        ``"tanh"`` takes the paper's approximation of Phi by a tanh.
    """
    if approximate == "none":
        return input * 0.5 * ((input * math.sqrt(0.5)).erf() + 1)
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (input + 0.044715 * input * input * input)
        return 0.5 * input * (inner.tanh() + 1)
    raise RuntimeError(takes("gelu", "approximate", "'none' or 'tanh'", repr(approximate)))


@op
def silu(input: Tensor) -> Tensor:
    """``input * sigmoid(input)``, also called swish."""
    return input * input.sigmoid()


@op
def mish(input: Tensor) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra, arXiv 1908.08681)."""
    return input * softplus(input).tanh()


@op
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; the identity where ``beta * input > threshold``."""
    return Softplus(beta, threshold)(input)


@op
def hardsigmoid(input: Tensor) -> Tensor:
    """``clamp(input + 3, 0, 6) / 6``."""
    return hardtanh(input + 3, 0.0, 6.0) / 6


@op
def hardswish(input: Tensor) -> Tensor:
    """``input * clamp(input + 3, 0, 6) / 6`` (MobileNetV3, arXiv 1905.02244)."""
    return input * hardsigmoid(input)


@op
def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``."""
    return input / (input.abs() + 1)


@op
def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return input - input.tanh()


@op
def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(input))``, without overflow."""
    return -softplus(-input)


@op
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """``input`` where above ``threshold``, else ``value``."""
    return input.masked_fill(input.detach() <= threshold, value)


@op
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of a dimension times the sigmoid of the second (Dauphin et al., arXiv 1612.08083)."""
    if input._data.shape[dim] % 2:
        raise RuntimeError(takes("glu", "input", f"an even size in dimension {dim}", f"shape {tuple(input.shape)}"))
    a, b = input.chunk(2, dim)
    return a * b.sigmoid()
