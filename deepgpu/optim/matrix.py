"""Optimizers that see a parameter as a matrix: Adafactor and Muon."""

from __future__ import annotations

import math
from typing import Any

from deepgpu import dtypes
from deepgpu.ops.creation import zeros_like
from deepgpu.optim.composed import ComposedOptimizer
from deepgpu.tensor import Tensor


class Adafactor(ComposedOptimizer):
    """Adam's mean square kept as a column times a row for each matrix, so that its memory is next to nothing.

    Parameters
    ----------
    params, lr, weight_decay, foreach, maximize
        As for :class:`Adam`; the decay is decoupled.
    beta2_decay
        Step ``t`` gives the newest square a share of ``t ** beta2_decay``.
    eps
        The least mean square (None: the dtype's epsilon), and the least scale of a parameter.
    d
        Updates with a root mean square above it are scaled down.

    Notes
    -----
    Shazeer & Stern, arXiv 1804.04235.
    """

    elementwise = False

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        for i, value in enumerate(eps, 1):
            if value is not None and not value >= 0.0:
                raise ValueError(f"epsilon{i} should be >= 0 but is: {value}")
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        if p.dim() > 1:
            state["row_var"] = p.new_zeros(*p.shape[:-1], 1)
            state["col_var"] = p.new_zeros(*p.shape[:-2], 1, p.shape[-1])
        else:
            state["variance"] = zeros_like(p)

    def _gradient(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        return -p.grad if group["maximize"] else p.grad  # the decay comes after the scale is measured

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        if not p.numel():
            return
        lr, (least, scale) = float(group["lr"]), group["eps"]
        least = dtypes.finfo(p.dtype).eps if least is None else least
        share = t ** group["beta2_decay"]
        rate = max(scale, _root_mean_square(p)) * min(lr, t**-0.5)
        if group["weight_decay"]:
            p.mul_(1 - lr * group["weight_decay"])
        square = g * g
        if p.dim() > 1:
            rows = state["row_var"].lerp_(square.mean(-1, keepdim=True), share)
            columns = state["col_var"].lerp_(square.mean(-2, keepdim=True), share)
            variance = rows @ columns / rows.mean(-2, keepdim=True).clamp(min=least)
        else:
            variance = state["variance"].lerp_(square, share)
        update = variance.clamp(min=least * least).rsqrt() * g
        p.add_(update, alpha=-rate / max(1.0, _root_mean_square(update) / group["d"]))


def _root_mean_square(x: Tensor) -> float:
    return x.norm().item() / math.sqrt(x.numel())


class Muon(ComposedOptimizer):
    """Momentum whose matrix is made orthogonal before each step: all its directions count alike.

    For the hidden layers' matrices only; embeddings, biases and the last layer go to :class:`AdamW`.

    Parameters
    ----------
    params, lr, weight_decay
        As for :class:`AdamW`; all parameters have two dimensions.
    momentum, nesterov
        Share of the old mean gradient that is kept, and whether the newest gradient is counted once more.
    ns_coefficients, ns_steps, eps
        Of the Newton-Schulz iteration: the polynomial, how often, and the least norm that is divided by.
    adjust_lr_fn
        ``"original"`` (None) scales the rate by ``sqrt(max(1, rows / columns))``, ``"match_rms_adamw"`` by
        ``0.2 sqrt(max(rows, columns))``.

    Notes
    -----
    Jordan et al. (2024), https://kellerjordan.github.io/posts/muon. The iteration runs in
    float32; PyTorch's in bfloat16.
    """

    elementwise = False

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )
        for group in self.param_groups:
            for p in group["params"]:
                if p.dim() != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.shape}"
                    )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["momentum_buffer"] = zeros_like(p)

    def _gradient(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        assert p.grad is not None
        return p.grad

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        lr, momentum = float(group["lr"]), group["momentum"]
        mean = state["momentum_buffer"].lerp_(g, 1 - momentum)
        update = g.lerp(mean, momentum) if group["nesterov"] else mean
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, columns))
        else:
            ratio = math.sqrt(max(1, rows / columns))
        p.mul_(1 - lr * group["weight_decay"])
        p.add_(_orthogonalised(update, group).to(p.dtype), alpha=-lr * ratio)


def _orthogonalised(update: Tensor, group: dict[str, Any]) -> Tensor:
    """About ``U V^T`` of ``update = U S V^T``, by products of matrices alone."""
    a, b, c = group["ns_coefficients"]
    x = update.to(dtypes.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    x = x / x.norm().clamp(min=group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.t()
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.t() if tall else x
