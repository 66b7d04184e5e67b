"""Less memory for more time: activations computed again in the backward pass (Chen et al., arXiv 1604.06174)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deepgpu.autograd.engine import grad
from deepgpu.autograd.function import Function
from deepgpu.autograd.grad_mode import enable_grad
from deepgpu.errors import takes
from deepgpu.ops.creation import zeros
from deepgpu.random import get_rng_state, set_rng_state
from deepgpu.tensor import Tensor


class _Checkpoint(Function):
    """Runs without recording; the backward runs again with recording, and differentiates that."""

    @staticmethod
    def forward(ctx: Any, run: Callable[..., Any], preserve: bool, *args: Any) -> Any:
        ctx.run = run
        ctx.state = get_rng_state() if preserve else None
        ctx.others = [None if isinstance(a, Tensor) else a for a in args]
        ctx.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        ctx.save_for_backward(*[a for a in args if isinstance(a, Tensor)])
        return run(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        args = list(ctx.others)
        saved = ctx.saved_tensors
        for i, t in zip(ctx.places, saved, strict=True):
            args[i] = t.detach().requires_grad_(t.requires_grad)
        now = get_rng_state()
        if ctx.state is not None:
            set_rng_state(ctx.state)
        try:
            with enable_grad():
                made = ctx.run(*args)
        finally:
            if ctx.state is not None:
                set_rng_state(now)
        outputs = made if isinstance(made, tuple) else (made,)
        tensors = [y for y in outputs if isinstance(y, Tensor)]
        pairs = [(y, g) for y, g in zip(tensors, grads, strict=True) if y.requires_grad]
        inputs = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
        params = [p for p in _leaves([y for y, _ in pairs]) if not any(p is a for a in inputs)]
        found = grad([y for y, _ in pairs], [*inputs, *params], [g for _, g in pairs], allow_unused=True)
        for p, g in zip(params, found[len(inputs) :], strict=True):
            if g is not None:
                p.backward(g)  # into .grad, as if the function had been recorded
        given = iter(found[: len(inputs)])
        return (
            None,
            None,
            *[next(given) if isinstance(a, Tensor) and a.requires_grad else None for a in args],
        )


def _leaves(roots: Sequence[Tensor]) -> list[Tensor]:
    """The leaves that tensors were computed from."""
    seen, found = set(), []
    stack = [y.grad_fn for y in roots]
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        for edge in node.edges:
            if edge is None:
                continue
            if isinstance(edge[0], Tensor):
                if id(edge[0]) not in seen:
                    seen.add(id(edge[0]))
                    found.append(edge[0])
            else:
                stack.append(edge[0])
    return found


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Call a function without keeping what its backward needs; that is computed again when it is needed.

    Parameters
    ----------
    function
        Takes and returns tensors, and what else it likes.
    *args, **kwargs
        Its arguments.
    use_reentrant
        Accepted for PyTorch's sake: there is one way here.
    preserve_rng_state
        Let the second run draw the random numbers of the first.

    Returns
    -------
    Any
        What the function returned.

    Raises
    ------
    TypeError
        For options of PyTorch that there are not.

    Notes
    -----
    First derivatives only: a second backward pass through the gradients does not see the function.
    """
    for name in ("context_fn", "determinism_check", "debug", "early_stop"):
        if name in kwargs:
            raise TypeError(takes("checkpoint", name, "nothing: there is no such option here", kwargs[name]))

    def run(*given: Any) -> Any:
        return function(*given, **kwargs)

    if any(isinstance(a, Tensor) and a.requires_grad for a in args):
        return _Checkpoint.apply(run, preserve_rng_state, *args)
    # the function's parameters may require grad: a leaf among the arguments has the call recorded
    anchor = zeros(()).requires_grad_()
    return _Checkpoint.apply(lambda _, *given: run(*given), preserve_rng_state, anchor, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, preserve_rng_state: bool = True
) -> Any:
    """Call functions, or the modules of a ``Sequential``, one after the other, in segments that are checkpointed.

    Parameters
    ----------
    segments
        How many; the last is run as usual.
    """
    parts = list(functions)
    if not 1 <= segments <= len(parts):
        raise ValueError(takes("checkpoint_sequential", "segments", f"1..{len(parts)}", segments))
    size = len(parts) // segments

    def run(start: int, end: int) -> Callable[[Any], Any]:
        def segment(x: Any) -> Any:
            for part in parts[start:end]:
                x = part(x)
            return x

        return segment

    for i in range(segments - 1):
        input = checkpoint(run(i * size, (i + 1) * size), input, preserve_rng_state=preserve_rng_state)
    return run((segments - 1) * size, len(parts))(input)
