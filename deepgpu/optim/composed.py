"""What optimizers without a kernel of their own share: a rule for one parameter, written with tensor ops.

A subclass says what it remembers in ``_begin`` and what it does in ``_update``; both run without recording. Half
parameters are updated in their own dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.ops.creation import tensor
from deepgpu.optim.optimizer import Optimizer, check_learning_rate, check_options, evaluated, refuse_capture
from deepgpu.tensor import Tensor


def ascent(p: Tensor, group: dict[str, Any]) -> Tensor:
    """The gradient of a parameter that has one, turned round to climb."""
    assert p.grad is not None
    return -p.grad if group.get("maximize") else p.grad


class ComposedOptimizer(Optimizer):
    """An optimizer that updates one parameter after the other."""

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        check_learning_rate(defaults["lr"])
        if not defaults.get("weight_decay", 0) >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {defaults['weight_decay']}")
        if not defaults.get("eps", 0) >= 0.0:
            raise ValueError(f"Invalid epsilon value: {defaults['eps']}")
        for i, beta in enumerate(defaults.get("betas", ())):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        check_options(type(self).__name__, {"fused": None, "foreach": None, "differentiable": False, **defaults})
        super().__init__(params, defaults)

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = evaluated(closure)
        refuse_capture(self)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = tensor(0.0, dtype=dtypes.float32, device="cpu")
                    self._begin(p, group, state)
                state["step"]._data += 1
                self._update(p, self._gradient(p, group), group, state, int(state["step"]))
        return loss

    def _gradient(self, p: Tensor, group: dict[str, Any]) -> Tensor:
        """The direction to descend, with the decay in it unless that is decoupled."""
        g = ascent(p, group)
        decay = group.get("weight_decay", 0)
        if not decay:
            return g
        if group.get("decoupled_weight_decay"):
            p.mul_(1 - float(group["lr"]) * decay)
            return g
        return g + decay * p

    def _begin(self, p: Tensor, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Make the state of a parameter in its first step."""

    def _update(self, p: Tensor, g: Tensor, group: dict[str, Any], state: dict[str, Any], t: int) -> None:
        """Take step ``t``, counted from 1."""
        raise NotImplementedError(f"`{type(self).__name__}` has no `_update`")
