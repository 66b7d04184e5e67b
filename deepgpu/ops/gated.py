"""Activations that are the input times a gate between 0 and 1: GELU, SiLU, Hardswish."""

from __future__ import annotations

import math
from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.errors import takes
from deepgpu.ops.activation import Elementwise, floating
from deepgpu.ops.formula import FusedGradient
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor, wrap

TANH_GELU_SCALE = math.sqrt(2 / math.pi)
TANH_GELU_CUBE = 0.044715


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
    """``x sigmoid(x)``, with the slope ``s (1 + x (1 - s))`` for ``s = sigmoid(x)``."""

    kernel = "silu"

    def value(self, x: Any) -> Any:
        return x / (self.xp.exp(-x) + 1)

    def slope(self, x: Tensor) -> Tensor:
        s = x.sigmoid()
        return s * (x * (1 - s) + 1)


class Hardswish(Gated):
    """``x min(max(x + 3, 0), 6) / 6`` (Howard et al., arXiv 1905.02244)."""

    kernel = "hardswish"

    def value(self, x: Any) -> Any:
        return x * self.xp.clip(x + 3, 0, 6) / 6

    def slope(self, x: Tensor) -> Tensor:
        return where(x < 3, (x / 3 + 0.5).masked_fill(x <= -3, 0.0), 1.0)


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
    return (Gelu() if approximate == "none" else TanhGelu())(floating(input, "gelu"))


@op
def silu(input: Tensor) -> Tensor:
    """``input * sigmoid(input)``, also called swish (arXiv 1606.08415)."""
    return Silu()(floating(input, "silu"))


@op
def hardswish(input: Tensor) -> Tensor:
    """``input * clamp(input + 3, 0, 6) / 6`` (MobileNetV3, arXiv 1905.02244)."""
    return Hardswish()(floating(input, "hardswish"))
