"""Activations that are the input times a gate between 0 and 1: GELU, SiLU, Hardswish."""

from __future__ import annotations

import math
from typing import Any

from deepgpu.errors import takes
from deepgpu.ops.activation import floating
from deepgpu.ops.elementwise import FusedElementwise
from deepgpu.ops.op import op
from deepgpu.ops.selection import where
from deepgpu.tensor import Tensor

TANH_GELU_SCALE = math.sqrt(2 / math.pi)
TANH_GELU_CUBE = 0.044715


class Gelu(FusedElementwise):
    """``x Phi(x)``, with the slope ``Phi(x) + x phi(x)``."""

    kernel = "gelu"

    def value(self, x: Any) -> Any:
        return x * 0.5 * (self.backend.erf(self.xp.asarray(x * math.sqrt(0.5))) + 1)

    def slope(self, x: Tensor) -> Tensor:
        density = (x * x * -0.5).exp() * (1 / math.sqrt(2 * math.pi))
        return ((x * math.sqrt(0.5)).erf() + 1) * 0.5 + x * density


class TanhGelu(FusedElementwise):
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


class Silu(FusedElementwise):
    """``x sigmoid(x)``, with the slope ``s (1 + x (1 - s))`` for ``s = sigmoid(x)``."""

    kernel = "silu"

    def value(self, x: Any) -> Any:
        return x / (self.xp.exp(-x) + 1)

    def slope(self, x: Tensor) -> Tensor:
        s = x.sigmoid()
        return s * (x * (1 - s) + 1)


class Hardswish(FusedElementwise):
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
