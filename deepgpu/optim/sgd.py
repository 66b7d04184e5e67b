"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu.ops.creation import empty_like
from deepgpu.optim.optimizer import (
    FIRST_STEP,
    Optimizer,
    arrays,
    batched,
    check_learning_rate,
    check_options,
    evaluated,
    mark_modified,
    rate,
    refuse_capture,
)
from deepgpu.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    Parameters
    ----------
    params
        See :class:`Optimizer`.
    lr
        Learning rate, a number or a tensor of one element.
    momentum
        The share of the last update direction that is kept.
    dampening
        The share of the gradient that is left out of the new direction.
    weight_decay
        Multiple of the parameter that is added to its gradient.
    nesterov
        Look ahead along the new direction (Sutskever et al. 2013).
    maximize
        Climb instead of descend.
    foreach, fused
        Accepted for PyTorch's sake: all parameters of a group are always updated by one kernel call.
    differentiable
        Not supported.

    Notes
    -----
    With gradient ``g`` (including the decay) and direction ``v``, which starts as the first ``g``::

        v = momentum * v + (1 - dampening) * g
        p = p - lr * v                      # with nesterov: p - lr * (g + momentum * v)

    Raises
    ------
    ValueError
        If a number is out of range, or ``nesterov`` comes without momentum or with dampening.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_learning_rate(lr)
        if not momentum >= 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        check_options("SGD", defaults)
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = evaluated(closure)
        for group in self.param_groups:
            for params in batched(group["params"], self._has_momentum):
                self._update(group, params)
        return loss

    def _has_momentum(self, p: Tensor) -> bool:
        return p in self.state and self.state[p].get("momentum_buffer") is not None

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        momenta, first = None, False
        if group["momentum"] != 0:
            first = not self._has_momentum(params[0])
            if first:
                refuse_capture(self, FIRST_STEP)
                for p in params:
                    self.state[p]["momentum_buffer"] = empty_like(p)
            momenta = arrays(self.state[p]["momentum_buffer"] for p in params)
        mark_modified(params)
        params[0]._backend.sgd_step(
            arrays(params),
            arrays(p.grad for p in params),
            momenta,
            lr=rate(group["lr"], params[0]),
            momentum=float(group["momentum"]),
            dampening=float(group["dampening"]),
            weight_decay=float(group["weight_decay"]),
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            first=first,
        )
