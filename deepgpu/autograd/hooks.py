"""Functions that see, and may replace, gradients on their way."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from deepgpu.tensor import Tensor, method

_ids = itertools.count()


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook out again, and so does leaving a ``with`` block.

    Parameters
    ----------
    hooks
        The dict that the hook is to stand in, under ``handle.id``.
    """

    def __init__(self, hooks: dict[int, Any]) -> None:
        self._hooks = _Dict(hooks)
        self.id = next(_ids)

    def remove(self) -> None:
        """Take the hook out; a second time does nothing."""
        hooks = self._hooks.get()
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class _Dict:
    """A reference to a dict: weak where its type allows it, so that a handle does not keep a graph alive."""

    def __init__(self, hooks: dict[int, Any]) -> None:
        try:
            self.get: Callable[[], Any] = weakref.ref(hooks)
        except TypeError:
            self.get = lambda: hooks


class HookDict(dict):
    """A dict that can be referred to weakly."""

    __slots__ = ("__weakref__",)


@method
def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call ``hook(grad)`` whenever this tensor's gradient has been computed; what it returns replaces the gradient.

    Raises
    ------
    RuntimeError
        If the tensor does not require grad.
    """
    if not self.requires_grad:
        raise RuntimeError("`register_hook`: the tensor does not require grad, so no gradient will ever come by")
    node = self.grad_fn
    if node is None:
        if self._hooks is None:
            self._hooks = HookDict()
        hooks = self._hooks
    else:
        if node.hooks is None:
            node.hooks = {}
        hooks = node.hooks.setdefault(self._output, HookDict())
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


@method
def register_post_accumulate_grad_hook(self: Tensor, hook: Callable[[Tensor], None]) -> RemovableHandle:
    """Call ``hook(tensor)`` whenever ``.grad`` of this leaf has been updated by ``backward``."""
    if self.grad_fn is not None or not self.requires_grad:
        raise RuntimeError("`register_post_accumulate_grad_hook`: takes a leaf that requires grad")
    if self._post_hooks is None:
        self._post_hooks = HookDict()
    handle = RemovableHandle(self._post_hooks)
    self._post_hooks[handle.id] = hook
    return handle


@method
def retain_grad(self: Tensor) -> None:
    """Let ``backward`` store ``.grad`` of this tensor too, although it is no leaf."""
    if not self.requires_grad:
        raise RuntimeError("`retain_grad`: the tensor does not require grad")
    if self.grad_fn is None or self._retains_grad:
        return
    self._retains_grad = True
    holder = weakref.ref(self)  # a node must not keep its output alive

    def store(grad: Tensor) -> None:
        tensor = holder()
        if tensor is not None:
            tensor.grad = grad if tensor.grad is None else tensor.grad + grad

    register_hook(self, store)
