"""Activation functions. (tanh and sigmoid stand in ``pointwise``, softmax in ``softmax``.)"""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.node import Node
from deepgpu.backends.unfinished import Normalisation
from deepgpu.errors import takes
from deepgpu.ops.broadcast import unbroadcast
from deepgpu.ops.dims import dimension
from deepgpu.ops.elementwise import FusedElementwise
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.pending import Recipe, worthwhile
from deepgpu.tensor import Tensor

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


class Limiting(Node):
    """``min(max(x, low), high)``; a limit that is NaN limits nothing. The gradient at a limit is 0."""

    keep_outputs = (0,)
    fuses = True
    low = high = math.nan
    normalisation: Normalisation | None = None  # if nothing else was between it and the limits

    def forward(self, x: Any) -> Any:
        if type(x) is not Recipe:
            return self.compute(x)
        if self.needs_input_grad and x.residual is None and isinstance(x.image, Normalisation):
            self.normalisation = x.image
        fused = x.limited(self.low, self.high, now=bool(self.needs_input_grad))
        return self.compute(x.values()) if fused is None else fused

    def compute(self, x: Any) -> Any:
        """The limited array."""
        raise NotImplementedError

    def release(self) -> None:
        super().release()
        self.normalisation = None


class LimitingGrad(Node):
    """``g`` where the output was within the limits (or NaN): linear in ``g``."""

    keep_inputs = (1,)
    low = high = math.nan

    def __init__(self, normalisation: Normalisation | None = None) -> None:
        self.normalisation = normalisation

    def forward(self, g: Any, y: Any) -> Any:
        normalisation, self.normalisation = self.normalisation, None
        if normalisation is not None and not self.needs_input_grad and worthwhile(normalisation):
            gradient = normalisation.limited_gradient(g, y, self.low, self.high)
            if gradient is not None:
                return Recipe(gradient)
        return self.compute(g, y)

    def compute(self, g: Any, y: Any) -> Any:
        """The array."""
        raise NotImplementedError


class Relu(Limiting):
    """``max(x, 0)``."""

    low = 0

    def compute(self, x: Any) -> Any:
        return self.backend.relu(x)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return ReluGrad(self.normalisation)(g, y.detach())


class ReluGrad(LimitingGrad):
    """``g`` where the output was positive (or NaN)."""

    low = 0

    def compute(self, g: Any, y: Any) -> Any:
        return self.backend.relu_backward(g, y)

    def backward(self, gg: Tensor) -> tuple[Tensor, None]:
        (y,) = self.saved
        return ReluGrad()(gg, y), None


class LeakyRelu(FusedElementwise):
    """``x`` where positive, else ``negative_slope x``."""

    kernel = "leaky_relu"

    def __init__(self, negative_slope: float) -> None:
        self.negative_slope = negative_slope
        self.factors = (negative_slope,)

    def value(self, x: Any) -> Any:
        return self.xp.where(x > 0, x, x * self.negative_slope)

    def gradient(self, g: Tensor, x: Tensor) -> Tensor:
        return where(x > 0, g, g * self.negative_slope)


class Prelu(Node):
    """A leaky ReLU whose slopes are an input: one, or one a channel."""

    keep_inputs = (0, 1)

    def forward(self, x: Any, weight: Any) -> Any:
        return self.backend.prelu(x, weight)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        found = PreluGrad()(g, *self.saved)
        return tuple([gradient if need else None for gradient, need in zip(found, self.needs_input_grad, strict=True)])


class PreluGrad(FusedGradient):
    """The gradients of the input and of the slopes."""

    keep_inputs = (0, 1, 2)

    def forward(self, g: Any, x: Any, weight: Any) -> Any:
        return self.backend.prelu_backward(g, x, weight)

    def formula(self, g: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor | None, ...]:
        slopes = weight.reshape(1, -1, *[1] * (x._data.ndim - 2)) if x._data.ndim > 1 else weight.sum()
        positive = x > 0
        each = (g * x).masked_fill(positive, 0.0)
        gweight = unbroadcast(each, slopes._data.shape)
        assert gweight is not None
        return where(positive, g, g * slopes), gweight.reshape(weight.shape)


class Hardtanh(Limiting):
    """``min(max(x, low), high)``."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def compute(self, x: Any) -> Any:
        return self.backend.hardtanh(x, self.low, self.high)

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved
        return HardtanhGrad(self.low, self.high, self.normalisation)(g, y.detach())


class HardtanhGrad(LimitingGrad):
    """``g`` where the output was within the limits (or NaN)."""

    def __init__(self, low: float, high: float, normalisation: Normalisation | None = None) -> None:
        super().__init__(normalisation)
        self.low = low
        self.high = high

    def compute(self, g: Any, y: Any) -> Any:
        return self.backend.hardtanh_backward(g, y, self.low, self.high)

    def backward(self, gg: Tensor) -> tuple[Tensor, None]:
        (y,) = self.saved
        return HardtanhGrad(self.low, self.high)(gg, y), None


class Elu(FusedElementwise):
    """``scale * x`` where positive, else ``scale * alpha * (exp(input_scale * x) - 1)``: ELU, CELU and SELU."""

    kernel = "elu"

    def __init__(self, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> None:
        self.factors = alpha * scale, scale, input_scale
        self.alpha = alpha
        self.scale = scale
        self.input_scale = input_scale

    def value(self, x: Any) -> Any:
        bent = self.xp.expm1(self.xp.minimum(x, 0) * self.input_scale) * (self.alpha * self.scale)
        return self.xp.where(x > 0, x * self.scale, bent)

    def slope(self, x: Tensor) -> Tensor:
        # no infinity may stand where the other branch is chosen; at 0 the second derivative is 0, as in PyTorch
        bent = (x.masked_fill(x >= 0, 0.0) * self.input_scale).exp() * (self.alpha * self.scale * self.input_scale)
        return where(x > 0, self.scale, bent)


class Mish(FusedElementwise):
    """``x tanh(softplus(x))`` (Misra, arXiv 1908.08681)."""

    kernel = "mish"

    def value(self, x: Any) -> Any:
        return x * self.xp.tanh(self.xp.log1p(self.xp.exp(x)))

    def slope(self, x: Tensor) -> Tensor:
        t = softplus(x).tanh()
        return t + x * x.sigmoid() * (1 - t * t)


class Softplus(FusedElementwise):
    """``log(1 + exp(beta x)) / beta``, and ``x`` where ``beta x`` is above the threshold."""

    kernel = "softplus"

    def __init__(self, beta: float, threshold: float) -> None:
        self.factors = beta, threshold
        self.beta = beta
        self.threshold = threshold

    def value(self, x: Any) -> Any:
        scaled = x * self.beta
        return self.xp.where(scaled > self.threshold, x, self.xp.log1p(self.xp.exp(scaled)) / self.beta)

    def slope(self, x: Tensor) -> Tensor:
        scaled = x * self.beta
        return where(scaled > self.threshold, 1.0, scaled.sigmoid())


class LogSigmoid(FusedElementwise):
    """``-log(1 + exp(-x))``, with the slope ``sigmoid(-x)``."""

    kernel = "log_sigmoid"

    def value(self, x: Any) -> Any:
        return self.xp.minimum(x, 0) - self.xp.log1p(self.xp.exp(-self.xp.abs(x)))

    def slope(self, x: Tensor) -> Tensor:
        return (-x).sigmoid()


class Hardsigmoid(FusedElementwise):
    """``min(max(x + 3, 0), 6) / 6``; the slope is 1/6 between the limits."""

    kernel = "hardsigmoid"

    def value(self, x: Any) -> Any:
        return self.xp.clip(x + 3, 0, 6) / 6

    def gradient(self, g: Tensor, x: Tensor) -> Tensor:
        return where((x > -3) & (x < 3), g / 6, 0.0)


def floating(input: Tensor, name: str) -> Tensor:
    """The tensor, refused if it is of integers."""
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    return input


def _not_bool(input: Tensor, name: str) -> Tensor:
    if input._form.dtype.kind == "b":
        raise RuntimeError(takes(name, "input", "numbers", "a bool tensor; convert it, e.g. with `.float()`"))
    return input


@op(method=True, inplace=True)
def relu(input: Tensor) -> Tensor:
    """``max(input, 0)``; its gradient at 0 is 0."""
    return Relu()(_not_bool(input, "relu"))


@op
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    return LeakyRelu(negative_slope)(floating(input, "leaky_relu"))


@op(method=True)
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``input`` where positive, else ``weight * input`` (He et al. 2015, arXiv 1502.01852).

    Parameters
    ----------
    input
        ``(N, C, ...)``, or of fewer dimensions.
    weight
        One slope, or ``(C,)``: one a channel.
    """
    if floating(input, "prelu")._data.dtype != weight._data.dtype:
        raise RuntimeError(takes("prelu", "weight", f"the dtype of `input`, {input.dtype}", weight.dtype))
    channels = input._data.shape[1] if input._data.ndim > 1 else 1
    if weight._data.ndim > 1 or weight._data.size not in (1, channels):
        several = f", or {channels}, one a channel," if channels > 1 else ""
        expected = f"1 slope{several} for an input of shape {tuple(input.shape)}"
        raise RuntimeError(takes("prelu", "weight", expected, f"shape {tuple(weight.shape)}"))
    return Prelu()(input, weight if weight._data.ndim else weight.reshape(1))


@op
def relu6(input: Tensor) -> Tensor:
    """``min(max(input, 0), 6)``; its gradient is 0 at 0 and 6."""
    return Hardtanh(0, 6)(_not_bool(input, "relu6"))


@op
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``input`` limited to ``[min_val, max_val]``; its gradient is 0 at the limits."""
    if min_val < 0 and input.dtype is dtypes.uint8:
        raise RuntimeError(takes("hardtanh", "min_val", "a number that uint8 can hold", min_val))
    return Hardtanh(min_val, max_val)(_not_bool(input, "hardtanh"))


@op
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)`` (Clevert et al., arXiv 1511.07289)."""
    return Elu(alpha)(floating(input, "elu"))


@op
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input / alpha) - 1)`` (Barron, arXiv 1704.07483)."""
    if alpha == 0:
        raise RuntimeError(takes("celu", "alpha", "a number other than 0", alpha))
    return Elu(alpha, input_scale=1 / alpha)(floating(input, "celu"))


@op
def selu(input: Tensor) -> Tensor:
    """The self-normalising ELU of Klambauer et al. 2017 (arXiv 1706.02515)."""
    return Elu(SELU_ALPHA, SELU_SCALE)(floating(input, "selu"))


@op
def mish(input: Tensor) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra, arXiv 1908.08681)."""
    return Mish()(floating(input, "mish"))


@op
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; the identity where ``beta * input > threshold``."""
    return Softplus(beta, threshold)(floating(input, "softplus"))


@op
def hardsigmoid(input: Tensor) -> Tensor:
    """``clamp(input + 3, 0, 6) / 6``; its gradient is 0 at -3 and 3."""
    return Hardsigmoid()(floating(input, "hardsigmoid"))


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
    """``log(sigmoid(input))``, without overflow or loss of digits."""
    return LogSigmoid()(floating(input, "logsigmoid"))


@op
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """``input`` where above ``threshold``, else ``value``."""
    return _not_bool(input, "threshold").masked_fill(input <= threshold, value)


@op
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half of a dimension times the sigmoid of the second (Dauphin et al., arXiv 1612.08083).

    Raises
    ------
    RuntimeError
        If the dimension's size is odd.
    """
    if not input._data.ndim:
        raise RuntimeError(takes("glu", "input", "a tensor with at least one dimension", "a 0-d tensor"))
    dim = dimension(dim, input._data.ndim, "glu")
    if input._data.shape[dim] % 2:
        raise RuntimeError(takes("glu", "input", f"an even size in dimension {dim}", f"shape {tuple(input.shape)}"))
    half = input._data.shape[dim] // 2
    return floating(input, "glu").narrow(dim, 0, half) * input.narrow(dim, half, half).sigmoid()
