"""Ops of the user's own: PyTorch's ``autograd.Function`` with its context."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from deepgpu.autograd.grad_mode import no_grad, state
from deepgpu.autograd.node import Node
from deepgpu.tensor import Tensor, wrap


class FunctionCtx(Node):
    """The context that ``forward`` and ``backward`` share; it is the node of the graph as well.

    Attributes of your own may be set on it for anything but tensors; those go through :meth:`save_for_backward`.
    """

    def __init__(self, function: type[Function]) -> None:
        self.function = function
        self._to_save: tuple[Tensor | None, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._without_grad: tuple[Tensor, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.function.__name__}Backward"

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``backward``, which finds them in ``ctx.saved_tensors``."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                kind = type(t).__name__
                raise TypeError(f"`save_for_backward`: takes tensors, but got a {kind}; set it as an attribute of ctx")
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What :meth:`save_for_backward` was given."""
        return tuple(self.saved)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Say which inputs ``forward`` modified in place; they must be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which outputs have no gradient."""
        self._without_grad = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """With False, gradients of outputs that took no part in the result are None rather than zeros."""
        self.materialize_grads = value

    def backward(self, *grads: Any) -> Any:
        return self.function.backward(self, *grads)

    def run(self, args: tuple[Any, ...]) -> Any:
        """Call ``forward`` outside of the graph and record the op."""
        tensors = [a for a in args if isinstance(a, Tensor)]
        recorded = state.enabled and any(t.requires_grad for t in tensors)
        if recorded:
            self._connect(args)
        else:
            self.needs_input_grad = (False,) * len(args)
        with no_grad():
            if self.function.setup_context is Function.setup_context:
                result = self.function.forward(self, *args)
            else:
                result = self.function.forward(*args)
                self.function.setup_context(self, args, result)
        outputs = result if isinstance(result, tuple) else (result,)
        outputs = tuple([self._output_tensor(y, tensors) for y in outputs])
        if recorded:
            self._become_node(args, outputs)
        for t in self._dirty:
            t._modified()
        return outputs if isinstance(result, tuple) else outputs[0]

    def _output_tensor(self, y: Any, inputs: list[Tensor]) -> Any:
        """An input that is returned as it is gets a tensor of its own, unless it was modified in place."""
        if isinstance(y, Tensor) and any(y is x for x in inputs) and not any(y is d for d in self._dirty):
            return y.detach()
        return y

    def _become_node(self, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        made = tuple([y for y in outputs if isinstance(y, Tensor)])
        if not made:
            return
        self.backend = made[0]._backend
        self.xp = self.backend.xp
        self.non_differentiable = tuple([nr for nr, y in enumerate(made) if any(y is t for t in self._without_grad)])
        for d in self._dirty:
            if d.requires_grad and d.is_leaf:
                raise RuntimeError(f"`{self.name}`: a leaf that requires grad cannot be modified in place")
        self._record(args, made)
        self._saved = [self._saved_entry(t, made) for t in self._to_save]
        self._to_save = self._dirty = self._without_grad = ()

    def _saved_entry(self, t: Tensor | None, outputs: tuple[Tensor, ...]) -> tuple[Any, ...]:
        for nr, y in enumerate(outputs):
            if t is y:
                return self._saved_output(nr, y)
        return (None,) if t is None else (t, t.version)


class Function:
    """Subclass this to define an op with a gradient of its own, and call it through ``apply``.

    ``forward(ctx, *args)`` computes on tensors outside of the graph and keeps what it needs with
    ``ctx.save_for_backward``; ``backward(ctx, *grads)`` returns a gradient, or None, for each argument of ``forward``.
    If ``setup_context(ctx, inputs, output)`` is defined, ``forward`` takes no ``ctx``.

    Examples
    --------
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x * x * grad
    """

    @staticmethod
    def forward(*args: Any) -> Any:
        """Compute the op on tensors."""
        raise NotImplementedError("a Function needs a static method `forward`")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep on ``ctx`` what ``backward`` needs."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Map gradients of the outputs to gradients of the arguments."""
        raise NotImplementedError("a Function needs a static method `backward` for its gradient to be taken")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute the op, recorded if an argument requires grad."""
        return FunctionCtx(cls).run(args)


class _DifferentiatedTwice(Node):
    def __init__(self, name: str) -> None:
        self.op = name

    def forward(self, *arrays: Any) -> Any:
        return tuple([self.xp.array(a) for a in arrays])

    def backward(self, *grads: Tensor) -> Any:
        raise RuntimeError(f"`{self.op}`: its backward is marked `once_differentiable`, so it has no second derivative")


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a ``backward`` that uses more than differentiable ops: taking its gradient raises RuntimeError."""

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            result = backward(ctx, *grads)
        if not state.enabled or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return result
        several = result if isinstance(result, tuple) else (result,)
        real = [g for g in several if g is not None]
        marked = [wrap(g._data, g._backend).requires_grad_() for g in real]
        barred = iter(_DifferentiatedTwice(ctx.name)(*marked))
        guarded = tuple([None if g is None else next(barred) for g in several])
        return guarded if isinstance(result, tuple) else guarded[0]

    return wrapper
