"""Optimizers for large batches, which scale each layer's step by the norm of its parameters: LARS and LAMB."""

from __future__ import annotations

from typing import Any

from deepgpu.ops.creation import zeros_like
from deepgpu.optim.composed import ComposedOptimizer, ascent
from deepgpu.tensor import Tensor


def _trust(p: Tensor, step: Tensor, coefficient: float = 1.0) -> float:
    """The ratio of the norms of a parameter and of its step; 1 where one of them is 0."""
    own, other = p.norm().item(), step.norm().item()
    return coefficient * own / other if own > 0 and other > 0 else 1.0


class LARS(ComposedOptimizer):
    """SGD with momentum, each parameter's gradient scaled by its own norm.

    Parameters
    ----------
    params, lr, weight_decay, maximize
        As for :class:`SGD`.
    momentum
        Share of the last step that is kept.
    trust_coefficient
        How large a step is, relative to the parameter's norm. Parameters of one dimension, such as biases and those of
        norms, are neither scaled nor decayed.
    eps
        Added to the gradient's norm.

    Notes
    -----
    You et al., arXiv 1708.03888. PyTorch has no such optimizer. With gradient ``g`` and parameter ``p``::

        rate = trust_coefficient * |p| / (|g| + weight_decay |p| + eps)
        v = momentum * v + rate * (g + weight_decay * p)
        p = p - lr * v
    """

    elementwise = False

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        momentum: float = 0.9,
        weight_decay: float = 0,
        trust_coefficient: float = 1e-3,
        eps: float = 1e-8,
        *,
        maximize: bool = False,
    ) -> None:
        if not momentum >= 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if not trust_coefficient > 0.0:
            raise ValueError(f"Invalid trust_coefficient value: {trust_coefficient}")
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        defaults |= {"trust_coefficient": trust_coefficient, "eps": eps, "maximize": maximize}
        super().__init__(params, defaults)

    def _gradient(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        return ascent(p, group)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["momentum_buffer"] = zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        if p.dim() > 1:
            own, other, decay = p.norm().item(), g.norm().item(), group["weight_decay"]
            if own > 0 and other > 0:
                rate = group["trust_coefficient"] * own / (other + decay * own + group["eps"])
                g = (g + decay * p) * rate
        velocity = state["momentum_buffer"].mul_(group["momentum"]).add_(g)
        p.add_(velocity, alpha=-float(group["lr"]))


class LAMB(ComposedOptimizer):
    """Adam with decoupled decay, each parameter's step scaled to its own norm.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize
        As for :class:`AdamW`.

    Notes
    -----
    You et al., arXiv 1904.00962. PyTorch has no such optimizer. With Adam's corrected means ``m`` and ``v``::

        r = m / (sqrt(v) + eps) + weight_decay * p
        p = p - lr * |p| / |r| * r
    """

    elementwise = False

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def _gradient(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        return ascent(p, group)

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        beta1, beta2 = group["betas"]
        mean = state["exp_avg"].lerp_(g, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).add_(g * g, alpha=1 - beta2)
        step = mean / (1 - beta1**t) / ((square / (1 - beta2**t)).sqrt() + group["eps"])
        step = step + group["weight_decay"] * p
        p.add_(step, alpha=-float(group["lr"]) * _trust(p, step))
