"""What optimizers without a kernel of their own share: a rule for one parameter, written with tensor ops.

A subclass says what it remembers in ``_begin`` and what it does in ``_update``; both run without recording. Half
parameters are updated in their own dtype. Where the rule looks at each element by itself, small parameters are joined
for the step: a network has dozens of them, and a rule costs a dozen ops each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad
from deepgpu.ops.creation import tensor
from deepgpu.optim.optimizer import (
    Optimizer,
    check_learning_rate,
    check_options,
    evaluated,
    mark_modified,
    refuse_capture,
)
from deepgpu.tensor import Tensor, wrap

SMALL = 1 << 16
"""Elements up to which copying a parameter there and back is cheaper than the ops of a rule."""


def ascent(p: Tensor, group: dict[str, Any]) -> Tensor:
    """The gradient of a parameter that has one, turned round to climb."""
    assert p.grad is not None
    return -p.grad if group.get("maximize") else p.grad


class ComposedOptimizer(Optimizer):
    """An optimizer whose rule is written for one parameter."""

    elementwise = True
    """Whether the rule looks at each element by itself."""

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        check_learning_rate(defaults["lr"])
        if not defaults.get("weight_decay", 0) >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {defaults['weight_decay']}")
        eps = defaults.get("eps", 0)
        if not isinstance(eps, tuple) and not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
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
            batches: dict[Any, list[Tensor]] = {}
            for nr, p in enumerate(group["params"]):
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = tensor(0.0, dtype=dtypes.float32, device="cpu")
                    self._begin(p, group, state)
                state["step"]._data += 1
                alone = not self.elementwise or p._data.size > SMALL or p.grad._data.dtype != p._data.dtype
                key = nr if alone else (p._backend, p._data.dtype, self._steps(p), tuple(state))
                batches.setdefault(key, []).append(p)
            for params in batches.values():
                if len(params) == 1:
                    (p,) = params
                    self._update(p, self._gradient(p, group), group, self.state[p], self._steps(p))
                else:
                    self._update_joined(params, group)
        return loss

    def _steps(self, p: Tensor) -> int:
        return int(self.state[p]["step"])

    def _update_joined(self, params: list[Tensor], group: dict[str, Any]) -> None:
        """One update of all parameters as if they were one; they have one dtype, step and kind of state."""
        backend = params[0]._backend
        shapes = [p._data.shape for p in params]
        states = [self.state[p] for p in params]

        def joined(tensors: list[Any]) -> Tensor:
            return wrap(backend.xp.concatenate([t._data.reshape(-1) for t in tensors]), backend)

        def parted(whole: Tensor, tensors: list[Any]) -> None:
            begin = 0
            for t, shape in zip(tensors, shapes, strict=True):
                end = begin + t._data.size
                t._data[...] = whole._data[begin:end].reshape(shape)
                begin = end

        flat = joined(params)
        flat.grad = joined([p.grad for p in params])
        each = [k for k, v in states[0].items() if isinstance(v, Tensor) and k not in _COUNTS]
        state = {k: joined([s[k] for s in states]) if k in each else v for k, v in states[0].items()}
        self._update(flat, self._gradient(flat, group), group, state, self._steps(params[0]))
        mark_modified(params)
        parted(flat, params)
        for key in state:
            if key in each:
                parted(state[key], [s[key] for s in states])
            elif key != "step" and isinstance(state[key], Tensor):
                for s in states[1:]:
                    s[key]._data[...] = state[key]._data

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


_COUNTS = ("step", "mu_product", "eta", "mu")
"""States that are one number for a parameter, whatever its shape."""
