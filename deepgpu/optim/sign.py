"""Rprop, which looks at the signs of gradients only, and ASGD, which averages parameters."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.ops.creation import full_like, tensor, zeros_like
from deepgpu.optim.composed import ComposedOptimizer
from deepgpu.tensor import Tensor


class Rprop(ComposedOptimizer):
    """Steps of a size of each element's own, which grows while its gradient keeps its sign (Riedmiller & Braun 1993).

    Parameters
    ----------
    params, lr, foreach, capturable, maximize, differentiable
        As for :class:`Adam`; ``lr`` is the first size.
    etas
        Factors of the size when the sign changes, and when it stays.
    step_sizes
        The smallest and the largest size.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            {
                "lr": lr,
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["prev"], state["step_size"] = zeros_like(p), full_like(p, float(group["lr"]))

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        agreement = g * state["prev"]
        turned = agreement < 0
        factor = (agreement > 0).to(p.dtype) * (grow - 1) + 1
        factor = factor.masked_fill(turned, shrink)
        size = state["step_size"].mul_(factor).clamp_(least, most)
        g = g.masked_fill(turned, 0.0)
        p.sub_(g.sign() * size)
        state["prev"].copy_(g)


class ASGD(ComposedOptimizer):
    """Stochastic gradient descent with an average of the parameters, in the state's ``"ax"`` (Polyak & Juditsky 1992).

    Parameters
    ----------
    params, lr, weight_decay, foreach, maximize, differentiable, capturable
        As for :class:`Adam`.
    lambd
        Decay of the parameters.
    alpha
        Power by which the rate falls.
    t0
        From which step on it averages.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["eta"] = tensor(float(group["lr"]), dtype=dtypes.float32, device="cpu")
        state["mu"] = tensor(1.0, dtype=dtypes.float32, device="cpu")
        state["ax"] = zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        lr, lambd, eta, mu = float(group["lr"]), group["lambd"], state["eta"].item(), state["mu"].item()
        p.mul_(1 - lambd * eta).add_(g, alpha=-eta)
        if mu == 1:
            state["ax"].copy_(p)
        else:
            state["ax"].lerp_(p, mu)
        state["eta"].fill_(lr / (1 + lambd * lr * t) ** group["alpha"])
        state["mu"].fill_(1 / max(1, t - group["t0"]))
