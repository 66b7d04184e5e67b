"""Activation functions. (tanh and sigmoid stand in ``pointwise``, softmax in ``softmax``.)"""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.autograd.node import Node
from deepgpu.backends.base import Normalisation
from deepgpu.backends.precision import rounded, widened
from deepgpu.errors import takes
from deepgpu.ops.broadcast import unbroadcast
from deepgpu.ops.dims import dimension
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.pending import Recipe, worthwhile
from deepgpu.tensor import Tensor, wrap

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946

TANH_GELU_SCALE = math.sqrt(2 / math.pi)
TANH_GELU_CUBE = 0.044715


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


class Elementwise(Node):
    """A function of each element: ``value`` computes it, in float32 for the half types; ``slope`` is its derivative."""

    keep_inputs = (0,)

    def forward(self, x: Any) -> Any:
        return rounded(self.value(widened(x)), x.dtype)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return g * self.slope(x)

    def value(self, x: Any) -> Any:
        raise NotImplementedError

    def slope(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class LeakyRelu(Elementwise):
    def __init__(self, negative_slope: float) -> None:
        self.negative_slope = negative_slope

    def value(self, x: Any) -> Any:
        return self.xp.where(x > 0, x, x * self.negative_slope)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return where(x > 0, g, g * self.negative_slope)


class Prelu(Node):
    """A leaky ReLU whose slopes, which broadcast, are an input."""

    keep_inputs = (0, 1)

    def forward(self, x: Any, w: Any) -> Any:
        return self.xp.where(x > 0, x, x * w)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, w = self.saved
        need_x, need_w = self.needs_input_grad
        positive = x > 0
        gx = where(positive, g, g * w) if need_x else None
        gw = unbroadcast((g * x).masked_fill(positive, 0.0), w._data.shape) if need_w else None
        return gx, gw


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


class Elu(Elementwise):
    """``scale * x`` where positive, else ``scale * alpha * (exp(input_scale * x) - 1)``: ELU, CELU and SELU."""

    def __init__(self, alpha: float, scale: float = 1.0, input_scale: float = 1.0) -> None:
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


class Gated(Elementwise):
    """``x`` times a gate between 0 and 1: one kernel where the device has it."""

    kernel: str

    def forward(self, x: Any) -> Any:
        y = self.backend.gated(self.kernel, x)
        return super().forward(x) if y is None else y

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return GatedGrad(self)(g, x)


class GatedGrad(FusedGradient):
    """``g`` times the slope."""

    keep_inputs = (0, 1)

    def __init__(self, activation: Gated) -> None:
        self.activation = activation

    def forward(self, g: Any, x: Any) -> Any:
        gx = self.backend.gated_backward(self.activation.kernel, g, x)
        if gx is not None:
            return gx
        with no_grad():
            return self.formula(wrap(g, self.backend), wrap(x, self.backend))[0]._data

    def formula(self, g: Tensor, x: Tensor) -> tuple[Tensor]:
        return (g * self.activation.slope(x),)


class Gelu(Gated):
    """``x Phi(x)``, with the slope ``Phi(x) + x phi(x)``."""

    kernel = "gelu"

    def value(self, x: Any) -> Any:
        return x * 0.5 * (self.backend.erf(self.xp.asarray(x * math.sqrt(0.5))) + 1)

    def slope(self, x: Tensor) -> Tensor:
        density = (x * x * -0.5).exp() * (1 / math.sqrt(2 * math.pi))
        return ((x * math.sqrt(0.5)).erf() + 1) * 0.5 + x * density


class TanhGelu(Gated):
    """``0.5 x (1 + tanh(u))`` with ``u = sqrt(2/pi) (x + 0.044715 x^3)``."""

    kernel = "tanh_gelu"

    def value(self, x: Any) -> Any:
        u = TANH_GELU_SCALE * (x + TANH_GELU_CUBE * x * x * x)
        return 0.5 * x * (self.xp.tanh(u) + 1)

    def slope(self, x: Tensor) -> Tensor:
        square = x * x
        t = (x * (square * TANH_GELU_CUBE + 1) * TANH_GELU_SCALE).tanh()
        inner = (square * (3 * TANH_GELU_CUBE) + 1) * TANH_GELU_SCALE
        return (t + 1) * 0.5 + x * (1 - t * t) * inner * 0.5


class Silu(Gated):
    kernel = "silu"

    def value(self, x: Any) -> Any:
        return x / (self.xp.exp(-x) + 1)

    def slope(self, x: Tensor) -> Tensor:
        s = x.sigmoid()
        return s * (x * (1 - s) + 1)


class Mish(Elementwise):
    def value(self, x: Any) -> Any:
        return x * self.xp.tanh(self.xp.log1p(self.xp.exp(x)))

    def slope(self, x: Tensor) -> Tensor:
        t = softplus(x).tanh()
        return t + x * x.sigmoid() * (1 - t * t)


class Softplus(Elementwise):
    def __init__(self, beta: float, threshold: float) -> None:
        self.beta = beta
        self.threshold = threshold

    def value(self, x: Any) -> Any:
        scaled = x * self.beta
        return self.xp.where(scaled > self.threshold, x, self.xp.log1p(self.xp.exp(scaled)) / self.beta)

    def slope(self, x: Tensor) -> Tensor:
        scaled = x * self.beta
        return where(scaled > self.threshold, 1.0, scaled.sigmoid())


class LogSigmoid(Elementwise):
    def value(self, x: Any) -> Any:
        return self.xp.minimum(x, 0) - self.xp.log1p(self.xp.exp(-self.xp.abs(x)))

    def slope(self, x: Tensor) -> Tensor:
        return (-x).sigmoid()


class Hardsigmoid(Elementwise):
    def value(self, x: Any) -> Any:
        return self.xp.clip(x + 3, 0, 6) / 6

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved
        return (g / 6).masked_fill((x <= -3) | (x >= 3), 0.0)


class Hardswish(Gated):
    kernel = "hardswish"

    def value(self, x: Any) -> Any:
        return x * self.xp.clip(x + 3, 0, 6) / 6

    def slope(self, x: Tensor) -> Tensor:
        return where(x < 3, (x / 3 + 0.5).masked_fill(x <= -3, 0.0), 1.0)


def _floating(input: Tensor, name: str) -> Tensor:
    if not input.dtype.is_floating_point:
        raise RuntimeError(takes(name, "input", "a floating-point tensor", input.dtype))
    return input


def _not_bool(input: Tensor, name: str) -> Tensor:
    if input.dtype is dtypes.bool:
        raise RuntimeError(takes(name, "input", "numbers", "a bool tensor; convert it, e.g. with `.float()`"))
    return input


@op(method=True, inplace=True)
def relu(input: Tensor) -> Tensor:
    """``max(input, 0)``; its gradient at 0 is 0."""
    return Relu()(_not_bool(input, "relu"))


@op
def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """``input`` where positive, else ``negative_slope * input``."""
    return LeakyRelu(negative_slope)(_floating(input, "leaky_relu"))


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
    if _floating(input, "prelu")._data.dtype != weight._data.dtype:
        raise RuntimeError(takes("prelu", "weight", f"the dtype of `input`, {input.dtype}", weight.dtype))
    channels = input._data.shape[1] if input._data.ndim > 1 else 1
    if weight._data.ndim > 1 or weight._data.size not in (1, channels):
        several = f", or {channels}, one a channel," if channels > 1 else ""
        expected = f"1 slope{several} for an input of shape {tuple(input.shape)}"
        raise RuntimeError(takes("prelu", "weight", expected, f"shape {tuple(weight.shape)}"))
    if input._data.ndim > 1:
        weight = weight.reshape(1, -1, *[1] * (input._data.ndim - 2))
    elif input._data.ndim == 0:
        weight = weight.reshape(())
    return Prelu()(input, weight)


@op
def relu6(input: Tensor) -> Tensor:
    """``min(max(input, 0), 6)``; its gradient is 0 at 0 and 6."""
    return Hardtanh(0, 6)(_not_bool(input, "relu6"))


@op
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``input`` limited to ``[min_val, max_val]``; its gradient is 0 at the limits."""
    if input.dtype is dtypes.uint8 and min_val < 0:
        raise RuntimeError(takes("hardtanh", "min_val", "a number that uint8 can hold", min_val))
    return Hardtanh(min_val, max_val)(_not_bool(input, "hardtanh"))


@op
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input) - 1)`` (Clevert et al., arXiv 1511.07289)."""
    return Elu(alpha)(_floating(input, "elu"))


@op
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """``input`` where positive, else ``alpha * (exp(input / alpha) - 1)`` (Barron, arXiv 1704.07483)."""
    if alpha == 0:
        raise RuntimeError(takes("celu", "alpha", "a number other than 0", alpha))
    return Elu(alpha, input_scale=1 / alpha)(_floating(input, "celu"))


@op
def selu(input: Tensor) -> Tensor:
    """The self-normalising ELU of Klambauer et al. 2017 (arXiv 1706.02515)."""
    return Elu(SELU_ALPHA, SELU_SCALE)(_floating(input, "selu"))


@op
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``input * Phi(input)``, Phi the normal distribution function (Hendrycks & Gimpel, arXiv 1606.08415).

    Parameters
    ----------
    approximate
        ``"tanh"`` takes the paper's approximation of Phi by a tanh.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(takes("gelu", "approximate", "'none' or 'tanh'", repr(approximate)))
    return (Gelu() if approximate == "none" else TanhGelu())(_floating(input, "gelu"))


@op
def silu(input: Tensor) -> Tensor:
    """``input * sigmoid(input)``, also called swish (arXiv 1606.08415)."""
    return Silu()(_floating(input, "silu"))


@op
def mish(input: Tensor) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra, arXiv 1908.08681)."""
    return Mish()(_floating(input, "mish"))


@op
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * input)) / beta``; the identity where ``beta * input > threshold``."""
    return Softplus(beta, threshold)(_floating(input, "softplus"))


@op
def hardsigmoid(input: Tensor) -> Tensor:
    """``clamp(input + 3, 0, 6) / 6``; its gradient is 0 at -3 and 3."""
    return Hardsigmoid()(_floating(input, "hardsigmoid"))


@op
def hardswish(input: Tensor) -> Tensor:
    """``input * clamp(input + 3, 0, 6) / 6`` (MobileNetV3, arXiv 1905.02244)."""
    return Hardswish()(_floating(input, "hardswish"))


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
    return LogSigmoid()(_floating(input, "logsigmoid"))


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
    return _floating(input, "glu").narrow(dim, 0, half) * input.narrow(dim, half, half).sigmoid()
