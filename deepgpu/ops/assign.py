"""In-place modification: the one way in which a tensor's values and history are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import no_grad, state
from deepgpu.autograd.node import Node
from deepgpu.backends.sharing import has_references, is_sole
from deepgpu.pending import Pending
from deepgpu.tensor import Tensor, wrap


def assign(target: Tensor, result: Tensor, op: str, was: Tensor | None = None) -> Tensor:
    """Make ``target`` hold the values and the history of ``result``, and return it.

    If nothing else ever saw the target's memory, it simply takes over the result's; otherwise the values are copied in,
    and views and saved tensors notice through the version counter.

    Parameters
    ----------
    was
        The :func:`stand_in` that ``result`` was computed from, if there was one.

    Raises
    ------
    RuntimeError
        If the shapes differ, if the result's dtype is of a higher category (float into int), if elements of the target
        share memory with each other, or if it is a leaf that requires grad, or a view of one, while ops are recorded.
    """
    if type(target) is Pending and _fulfil(target, result):
        return target
    for t in (target, result):
        if t._view is not None:
            t._refresh_view()
    if result._data.shape != target._data.shape:
        raise RuntimeError(
            f"`{op}`: the result has shape {tuple(result.shape)}, which the tensor of shape {tuple(target.shape)} "
            "cannot hold; in-place ops do not broadcast the tensor itself"
        )
    if result._data.dtype != target._data.dtype:
        if not dtypes.can_cast(result.dtype, target.dtype):
            raise RuntimeError(f"`{op}`: the result of type {result.dtype} can't be stored as {target.dtype}")
        result = result.to(target.dtype)
    _refuse_overlap(target, op)
    recorded = state.enabled and (target.requires_grad or result.requires_grad)
    if recorded:
        _refuse_leaves(target, op)
        if result.requires_grad:
            result = result.clone() if result._node is None else result
        elif target._view is None:
            result = Overwrite()(target, result)
    adopt = _replaceable(target) and _is_fresh(result) and target._data.strides == result._data.strides
    if result._node is not None:
        _snapshot(result._node, target, copy=not adopt)
    target._modified()
    if adopt:
        target._data = result._data
    else:
        if was is not None and was is not target:
            _part(was)
        target._data[...] = result._data
    if not recorded:
        return target
    if target._view is not None:
        _rebase(target, result)
    else:
        target._node, target._output, target.requires_grad = result._node, result._output, result.requires_grad
        if target._node is not None:
            target._node.output_moved(target._output, target)
    return target


def _fulfil(target: Pending, result: Tensor) -> bool:
    """Let a tensor whose values nobody has seen be the result, array or recipe, if it is made of them by one op."""
    version = target._version
    unseen = version is None or (not version.pinned and has_references(version, 2))  # one is the variable here
    recipe = target.recipe  # the array of `result` gets no variable: it would count as a reference
    fits = unseen and result._form.shape == recipe.shape and result._form.dtype == recipe.dtype
    if not fits or not (type(result) is Pending or _is_fresh(result)):
        return False
    recorded = state.enabled and (target.requires_grad or result.requires_grad)
    if recorded and (result._node is None or (target.requires_grad and target._node is None)):  # a leaf is refused
        return False
    if type(result) is Pending:
        result.hand_over(target)
    else:
        target._data = result._data
    target._modified()
    target._node, target._output, target.requires_grad = result._node, result._output, result.requires_grad
    if target._node is not None:
        target._node.output_moved(target._output, target)
    return True


def store(target: Tensor, values: Any, op: str, index: Any = ...) -> Tensor:
    """Write raw values, which may broadcast, where nothing is recorded: neither side has a history."""
    _refuse_overlap(target, op)
    version = target._shared_version()
    version.settle()
    target._data[index] = values
    version.count += 1  # unless that failed
    return target


def _refuse_leaves(target: Tensor, op: str) -> None:
    base = target if target._view is None else target._view.base
    if base.requires_grad and base.is_leaf:
        what = "a leaf that requires grad" if base is target else "a view of a leaf that requires grad"
        raise RuntimeError(f"`{op}`: {what} cannot be modified in place; do it under `no_grad`, or on a clone")


def _refuse_overlap(target: Tensor, op: str) -> None:
    strides = target._data.strides
    if (
        0 in strides
        and target._data.size
        and any(s == 0 and n > 1 for s, n in zip(strides, target._data.shape, strict=True))
    ):
        raise RuntimeError(
            f"`{op}`: several elements of the tensor share memory, as `expand` makes them; `clone()` it before writing"
        )


WORTH = 1 << 12
"""Bytes from which on it is worth asking whether a copy can be avoided."""


def _replaceable(target: Tensor) -> bool:
    """Whether nobody can tell if the tensor's memory is overwritten or replaced.

    A parameter or input keeps its address, because a user may have asked for it.
    """
    version = target._version
    return (
        target._data.nbytes >= WORTH
        and not target._backend.fixed_memory
        and (target._node is not None or not target.requires_grad)
        and (version is None or (not version.pinned and has_references(version, 2)))  # one is the variable here
        and is_sole(target._data, 1)
    )


def _is_fresh(result: Tensor) -> bool:
    """Whether nothing else refers to the memory of an op's result, but the op itself that may have saved it."""
    node, version = result._node, result._version
    references = 2 if node is not None and result._output in node.keep_outputs else 1
    if version is not None and (version.count or not has_references(version, references + 1)):
        return False
    return is_sole(result._data, references)


def _alias(t: Tensor) -> Tensor:
    """The same memory and history, with a life of its own."""
    other = wrap(t._data, t._backend)
    other._node, other._output, other.requires_grad = t._node, t._output, t.requires_grad
    return other


def stand_in(target: Tensor) -> Tensor:
    """What an op made of several takes for a tensor that its result will overwrite.

    The nodes on the way save the stand-in, which keeps the old values; ``target`` itself will hold the new ones. An op
    of a single node needs none: :func:`assign` lets it keep the old values.
    """
    if target._view is not None:
        target._refresh_view()
    return _alias(target) if state.enabled and target.requires_grad else target


def _part(was: Tensor) -> None:
    """Move a stand-in to memory of its own, as its old memory is about to be overwritten."""
    was._data = was._data.copy()
    if was._version is not None:  # views of it stay behind, and must notice
        was._version.count += 1
        was._version = None


def _snapshot(node: Node, target: Tensor, copy: bool) -> None:
    """If the op saved the tensor it is about to overwrite, let it keep the old values instead."""
    if not node._saved:
        return
    for i, entry in enumerate(node._saved):
        if len(entry) == 2 and entry[0] is target:
            old = _alias(target)
            if copy:
                old._data = target._data.copy()
            node._saved[i] = (old, 0)


def _rebase(view: Tensor, result: Tensor) -> None:
    """The history of a base, part of which was overwritten through a view."""
    seen = view._view
    assert seen is not None
    base = seen.base
    node = ViewScatter(seen.replay, _memory_order(base._data))
    node.backend, node.xp = base._backend, base._backend.xp
    previous = _alias(base)
    node._connect((previous, result))
    holder = wrap(base._data, base._backend)
    node._record((previous, result), (holder,))
    base._node, base._output, base.requires_grad = node, 0, True


def become_view(target: Tensor, function: Callable[[Tensor], Tensor], op: str) -> Tensor:
    """Make ``target`` the view ``function(target)`` of its own memory, and return it."""
    if not state.enabled:
        target._data = function(target)._data
        return target
    if target.requires_grad:
        _refuse_leaves(target, op)
    before = _alias(target)
    before._version, before._view = target._shared_version(), target._view
    view = function(before)
    for name in ("_data", "_node", "_output", "_version", "_view", "requires_grad"):
        setattr(target, name, getattr(view, name))
    return target


class Overwrite(Node):
    """Constants in the place of values with a gradient, which is 0 from here on."""

    def forward(self, old: Any, new: Any) -> Any:
        return new.copy(order="K")

    def backward(self, g: Tensor) -> tuple[Tensor, None]:
        return wrap(self.xp.zeros_like(g._data), self.backend), None


def _memory_order(array: Any) -> tuple[int, ...]:
    """The dimensions from the one with the largest steps in memory to that with the smallest."""
    return tuple(sorted(range(array.ndim), key=lambda d: -abs(array.strides[d])))


class ViewScatter(Node):
    """``base`` with a region, seen through a view, replaced by ``source``.

    The result has the base's order of dimensions in memory: in another, the view might be a copy.
    """

    def __init__(self, replay: Callable[[Tensor], Tensor], order: tuple[int, ...]) -> None:
        self.replay = replay
        self.order = order

    def forward(self, base: Any, source: Any) -> Any:
        ordered = base.transpose(self.order).copy(order="C")
        out = wrap(ordered.transpose(sorted(range(base.ndim), key=self.order.__getitem__)), self.backend)
        with no_grad():
            self.replay(out)._data[...] = source
        return out._data

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        part = self.replay(g)
        zeros = wrap(self.xp.zeros_like(part._data), self.backend)
        kept = ViewScatter(self.replay, self.order)(g, zeros) if self.needs_input_grad[0] else None
        return kept, part
