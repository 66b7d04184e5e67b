"""Optimizers that scale each element's step by its past gradients: Adagrad, RMSprop, Adadelta, Adamax, NAdam, RAdam."""

from __future__ import annotations

from typing import Any

from deepgpu import dtypes
from deepgpu.ops.creation import full_like, tensor, zeros_like
from deepgpu.ops.selection import maximum
from deepgpu.optim.composed import ComposedOptimizer
from deepgpu.tensor import Tensor


class RMSprop(ComposedOptimizer):
    """Steps in units of the root of the gradient's running mean square (Hinton's lecture 6e, 2012).

    Parameters
    ----------
    params, lr, eps, weight_decay, maximize, foreach, capturable, differentiable
        As for :class:`Adam`.
    alpha
        Share of the old mean square that is kept.
    momentum
        Share of the last step that is kept.
    centered
        Divide by the standard deviation instead (Graves, arXiv 1308.0850).
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not momentum >= 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if not alpha >= 0.0:
            raise ValueError(f"Invalid alpha value: {alpha}")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "capturable": capturable,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["square_avg"] = zeros_like(p)
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(p)
        if group["centered"]:
            state["grad_avg"] = zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        alpha, lr = group["alpha"], float(group["lr"])
        square = state["square_avg"].mul_(alpha).add_(g * g, alpha=1 - alpha)
        if group["centered"]:
            mean = state["grad_avg"].lerp_(g, 1 - alpha)
            square = square - mean * mean
        step = g / (square.sqrt() + group["eps"])
        if group["momentum"] > 0:
            step = state["momentum_buffer"].mul_(group["momentum"]).add_(step)
        p.add_(step, alpha=-lr)


class Adagrad(ComposedOptimizer):
    """Steps in units of the root of the sum of all squared gradients (Duchi et al. 2011).

    Parameters
    ----------
    params, lr, eps, weight_decay, foreach, maximize, differentiable, fused
        As for :class:`Adam`.
    lr_decay
        The rate is ``lr / (1 + (t - 1) lr_decay)`` in step ``t``.
    initial_accumulator_value
        Where the sums begin.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if not lr_decay >= 0.0:
            raise ValueError(f"Invalid lr_decay value: {lr_decay}")
        if not initial_accumulator_value >= 0.0:
            raise ValueError(f"Invalid initial_accumulator_value value: {initial_accumulator_value}")
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )
        for group in self.param_groups:  # PyTorch's sums exist from the beginning
            for p in group["params"]:
                state = self.state[p]
                state["step"] = tensor(0.0, dtype=dtypes.float32, device="cpu")
                state["sum"] = full_like(p, group["initial_accumulator_value"])

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["sum"] = full_like(p, group["initial_accumulator_value"])

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        rate = float(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
        total = state["sum"].add_(g * g)
        p.add_(g / (total.sqrt() + group["eps"]), alpha=-rate)


class Adadelta(ComposedOptimizer):
    """Steps in units of past steps over past gradients (Zeiler, arXiv 1212.5701).

    Parameters
    ----------
    params, lr, eps, weight_decay, foreach, capturable, maximize, differentiable
        As for :class:`Adam`.
    rho
        Share of the old mean squares that is kept.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        super().__init__(
            params,
            {
                "lr": lr,
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "capturable": capturable,
                "foreach": foreach,
                "differentiable": differentiable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["square_avg"], state["acc_delta"] = zeros_like(p), zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        rho, eps = group["rho"], group["eps"]
        square = state["square_avg"].mul_(rho).add_(g * g, alpha=1 - rho)
        delta = (state["acc_delta"] + eps).sqrt() / (square + eps).sqrt() * g
        state["acc_delta"].mul_(rho).add_(delta * delta, alpha=1 - rho)
        p.add_(delta, alpha=-float(group["lr"]))


class Adamax(ComposedOptimizer):
    """:class:`Adam` with the largest gradient so far instead of the mean square (Kingma & Ba, arXiv 1412.6980).

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, foreach, maximize, differentiable, capturable
        As for :class:`Adam`.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["exp_avg"], state["exp_inf"] = zeros_like(p), zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        beta1, beta2 = group["betas"]
        mean = state["exp_avg"].lerp_(g, 1 - beta1)
        largest = state["exp_inf"].copy_(maximum(state["exp_inf"] * beta2, g.abs() + group["eps"]))
        p.add_(mean / largest, alpha=-float(group["lr"]) / (1 - beta1**t))


class NAdam(ComposedOptimizer):
    """:class:`Adam` with Nesterov's momentum (Dozat 2016).

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, decoupled_weight_decay, foreach, maximize, capturable, differentiable
        As for :class:`Adam`.
    momentum_decay
        How fast the momentum reaches ``beta1``.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        if not momentum_decay >= 0.0:
            raise ValueError(f"Invalid momentum_decay value: {momentum_decay}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "differentiable": differentiable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["mu_product"] = tensor(1.0, dtype=dtypes.float32, device="cpu")
        state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        (beta1, beta2), lr, decay = group["betas"], float(group["lr"]), group["momentum_decay"]
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (i * decay)) for i in (t, t + 1))
        state["mu_product"].mul_(mu)
        product = state["mu_product"].item()
        mean = state["exp_avg"].lerp_(g, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).add_(g * g, alpha=1 - beta2)
        scale = (square / (1 - beta2**t)).sqrt() + group["eps"]
        p.add_(g / scale, alpha=-lr * (1 - mu) / (1 - product))
        p.add_(mean / scale, alpha=-lr * following / (1 - product * following))


class RAdam(ComposedOptimizer):
    """:class:`Adam` whose first steps, where the mean square is uncertain, are plain momentum (arXiv 1908.03265).

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, decoupled_weight_decay, foreach, maximize, capturable, differentiable
        As for :class:`Adam`.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
                "capturable": capturable,
                "decoupled_weight_decay": decoupled_weight_decay,
                "differentiable": differentiable,
            },
        )

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        state["exp_avg"], state["exp_avg_sq"] = zeros_like(p), zeros_like(p)

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        mean = state["exp_avg"].lerp_(g, 1 - beta1)
        square = state["exp_avg_sq"].mul_(beta2).add_(g * g, alpha=1 - beta2)
        step = mean / (1 - beta1**t)
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * t * beta2**t / (1 - beta2**t)  # of the average so far
        if length > 5.0:
            rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            step = step * (rectified**0.5 * (1 - beta2**t) ** 0.5) / (square.sqrt() + group["eps"])
        p.add_(step, alpha=-lr)
