"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu import dtypes
from deepgpu.ops.creation import tensor, zeros_like
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


class Adam(Optimizer):
    """Adam: steps in units of the gradient's running mean square.

    Parameters
    ----------
    params
        See :class:`Optimizer`.
    lr
        Learning rate, a number or a tensor of one element.
    betas
        Shares of the old running mean of the gradient and of its square that are kept; both numbers or both tensors.
    eps
        Added to the denominator.
    weight_decay
        Multiple of the parameter that is added to its gradient.
    amsgrad
        Divide by the largest running mean square so far (Reddi et al., arXiv 1904.09237).
    maximize
        Climb instead of descend.
    decoupled_weight_decay
        Shrink the parameter by ``lr * weight_decay`` instead of changing its gradient, as :class:`AdamW` does.
    capturable
        Count the steps on the GPU, so that a CUDA graph can hold them. Take the first step before the capture. A graph
        also sees what becomes of ``lr`` if that is a float32 tensor on the GPU.
    foreach, fused
        Accepted for PyTorch's sake: all parameters of a group are always updated by one kernel call.
    differentiable
        Not supported.

    Notes
    -----
    Kingma & Ba, arXiv 1412.6980. With gradient ``g`` in step ``t``::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g^2
        p = p - lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)

    Raises
    ------
    ValueError
        If a number is out of range.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        check_learning_rate(lr)
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i, beta in enumerate(betas):
            if isinstance(beta, Tensor) and beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        if not weight_decay >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        if {type(beta) for beta in betas} not in ({float}, {Tensor}):
            raise ValueError("betas must be either both floats or both Tensors")
        defaults = {
            "lr": lr,
            "betas": tuple(float(beta) for beta in betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        check_options(type(self).__name__, defaults)
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = evaluated(closure)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._begin(p, group)
            for params in batched(group["params"], self._steps):
                self._update(group, params)
        return loss

    def _begin(self, p: Tensor, group: dict[str, Any]) -> None:
        """Begin the parameter's state, if it has none."""
        state = self.state[p]
        if state and ("max_exp_avg_sq" in state or not group["amsgrad"]):
            return
        refuse_capture(self, FIRST_STEP)
        if not state:
            state["step"] = tensor(0.0, dtype=dtypes.float32, device=_counted_on(p, group))
            state["exp_avg"] = zeros_like(p)
            state["exp_avg_sq"] = zeros_like(p)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(p)

    def _steps(self, p: Tensor) -> int:
        """How many steps there were; -1 if only the device knows."""
        step = self.state[p]["step"]
        return int(step) if step.device.type == "cpu" else -1

    def _counted(self, steps: list[Tensor]) -> Any:
        """The number of this step, or the device's counts, which the kernel will count up."""
        if steps[0].device.type != "cpu":
            return [step._data.reshape(()) for step in steps]
        refuse_capture(self, instead=f"make it with `{type(self).__name__}(..., capturable=True)`, or call it outside")
        for step in steps:
            step._data += 1
        return int(steps[0])

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        states = [self.state[p] for p in params]
        beta1, beta2 = group["betas"]
        step = self._counted([s["step"] for s in states])
        mark_modified(params)
        params[0]._backend.adam_step(
            arrays(params),
            arrays(p.grad for p in params),
            arrays(s["exp_avg"] for s in states),
            arrays(s["exp_avg_sq"] for s in states),
            arrays(s["max_exp_avg_sq"] for s in states) if group["amsgrad"] else None,
            step=step,
            lr=rate(group["lr"], params[0]),
            beta1=float(beta1),
            beta2=float(beta2),
            eps=float(group["eps"]),
            weight_decay=float(group["weight_decay"]),
            decoupled=group["decoupled_weight_decay"],
            maximize=group["maximize"],
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for p in group["params"]:
                if "step" in self.state.get(p, {}):
                    step, where = self.state[p]["step"], _counted_on(p, group)  # the count was a number once
                    made = step.to(where) if isinstance(step, Tensor) else tensor(float(step), device=where)
                    self.state[p]["step"] = made.to(dtypes.float32)


def _counted_on(p: Tensor, group: dict[str, Any]) -> Any:
    """Where the steps of a parameter are counted."""
    return p.device if group["capturable"] and p.device.type == "cuda" else "cpu"


class AdamW(Adam):
    """:class:`Adam` with decoupled weight decay: the parameter shrinks by ``lr * weight_decay`` in each step.

    Notes
    -----
    Loshchilov & Hutter, arXiv 1711.05101.
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # also in what Adam saved
            group["decoupled_weight_decay"] = True
