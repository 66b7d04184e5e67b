"""How a module's backward is watched: gates that gradients pass where they enter the module and where they leave it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from deepgpu.autograd.grad_mode import state
from deepgpu.autograd.node import Node
from deepgpu.tensor import Tensor, wrap

Grads = tuple[Any, ...]


class Gate(Node):
    """The identity of several tensors; ``passing`` sees their gradients together and may replace them."""

    def __init__(self, passing: Callable[[Grads], Grads], materialize_grads: bool) -> None:
        self.passing = passing
        self.materialize_grads = materialize_grads

    def forward(self, *arrays: Any) -> Any:
        return arrays

    def backward(self, *grads: Any) -> Any:
        return self.passing(grads)


def _gated(values: tuple[Any, ...], passing: Callable[[Grads], Grads], zeros: bool) -> tuple[Any, ...] | None:
    """The values with those that require grad behind a gate; None if there are none.

    ``passing`` sees a gradient for each value. Tensors that have none get zeros if asked for; all else gets None.
    """
    at = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not at or not state.enabled:
        return None

    blanks = [_Blank(v) if zeros and isinstance(v, Tensor) and i not in at else None for i, v in enumerate(values)]

    def spread(grads: Grads) -> Grads:
        every = [None if blank is None else blank.zeros() for blank in blanks]
        for i, g in zip(at, grads, strict=True):
            every[i] = g
        passed = passing(tuple(every))
        return tuple([passed[i] for i in at])

    result = list(values)
    for i, out in zip(at, Gate(spread, zeros)(*[values[i] for i in at]), strict=True):
        out._become_view(values[i], lambda t: t.view(t.shape))  # in-place ops on it are ops on the value itself
        result[i] = out
    return tuple(result)


class _Blank:
    """What is needed to make zeros like a tensor, without keeping it alive."""

    def __init__(self, t: Tensor) -> None:
        self.shape, self.dtype, self.backend = t._data.shape, t._data.dtype, t._backend

    def zeros(self) -> Tensor:
        return wrap(self.backend.xp.zeros(self.shape, self.dtype), self.backend)


class BackwardHooks:
    """The backward hooks around one call of a module.

    Gradients meet the output's gate first: pre-hooks see them there. Hooks run at the input's gate, or, if no input
    requires grad, at the output's.
    """

    def __init__(self, module: Any, pre_hooks: Iterable[Any], hooks: Iterable[Any]) -> None:
        self.module = module
        self.pre_hooks = list(pre_hooks)
        self.hooks = list(hooks)
        self.inputs = 0
        self.has_input_gate = False
        self.grad_output: Grads | None = None

    def gate_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments behind the input's gate."""
        self.inputs = len(args)
        gated = _gated(args, self._leave, zeros=True)
        self.has_input_gate = gated is not None
        return args if gated is None else gated

    def gate_outputs(self, result: Any) -> Any:
        """The result, a tensor or a tuple with tensors, behind the output's gate."""
        several = isinstance(result, tuple)
        gated = _gated(result if several else (result,), self._enter, zeros=False)
        if gated is None:
            return result
        return gated if several else gated[0]

    def _enter(self, grads: Grads) -> Grads:
        """Gradients of the outputs arrive."""
        for hook in self.pre_hooks:
            replaced = hook(self.module, grads)
            if replaced is not None:
                grads = _checked(replaced, len(grads), "pre hook", "grad_output")
        self.grad_output = grads
        if not self.has_input_gate:
            if self.hooks:
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with respect to module outputs since no "
                    "inputs require gradients.",
                    stacklevel=2,
                )
            nothing = (None,) * self.inputs
            for hook in self.hooks:
                replaced = hook(self.module, nothing, grads)
                if replaced is not None and any(r is not None for r in _as_tuple(replaced)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None "
                        "for all gradients."
                    )
            self.grad_output = None
        return grads

    def _leave(self, grads: Grads) -> Grads:
        """Gradients of the inputs go on to what made them."""
        if self.grad_output is None:  # not through the outputs, as in a double backward
            return grads
        for hook in self.hooks:
            replaced = hook(self.module, grads, self.grad_output)
            if replaced is not None:
                grads = _checked(replaced, len(grads), "hook", "grad_input")
        self.grad_output = None
        return grads


def _as_tuple(value: Any) -> Grads:
    return value if isinstance(value, tuple) else (value,)


def _checked(replaced: Any, expected: int, what: str, name: str) -> Grads:
    grads = _as_tuple(replaced)
    if len(grads) != expected:
        raise RuntimeError(
            f"Backward {what} returned an invalid number of {name}, got {len(grads)}, but expected {expected}"
        )
    return grads
