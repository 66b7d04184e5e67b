"""Reverse mode: walk the graph from the results back to the leaves.

A node is created after everything it depends on, so visiting nodes by falling creation number visits each one after all
its consumers: a heap is all the order that is needed, and no recursion limits the depth of a graph.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from deepgpu.autograd import anomaly
from deepgpu.autograd.grad_mode import state
from deepgpu.autograd.node import Node
from deepgpu.backends.layout import is_dense
from deepgpu.backends.sharing import has_references, is_sole
from deepgpu.tensor import Tensor, method, wrap


def run(
    roots: Sequence[Tensor],
    grads: Sequence[Tensor],
    *,
    retain_graph: bool,
    create_graph: bool,
    inputs: Sequence[Tensor] | None = None,
) -> dict[tuple[int, int], Tensor]:
    """Propagate ``grads`` from ``roots``.

    Parameters
    ----------
    inputs
        If given, only nodes on a path to them run, and their gradients are returned instead of accumulated.

    Returns
    -------
    dict
        The gradients that arrived at ``inputs``, by ``(id of node or leaf, output number)``.
    """
    targets = None if inputs is None else {_key(_edge(t)) for t in inputs}
    useful = None if inputs is None else _paths_to(inputs, roots)
    arrived: dict[Any, list[Tensor | None]] = {}  # node or leaf -> gradient of each output so far
    leaves: list[Tensor] = []
    heap: list[tuple[int, int, Node]] = []
    captured: dict[tuple[int, int], Tensor] = {}

    def send(edge: tuple[Any, int], grad: Tensor) -> None:
        node, nr = edge
        slots = arrived.get(node)
        if slots is None:
            if isinstance(node, Tensor):
                leaves.append(node)
                slots = arrived[node] = [None]
            else:
                heapq.heappush(heap, (-node.sequence, id(node), node))
                slots = arrived[node] = [None] * len(node._outputs)
        before = slots[nr]
        if before is None:
            slots[nr] = grad
        elif not create_graph and has_references(before, 2) and _can_hold_sum(before, grad):
            # nothing but the slot and the variable here refers to the tensor
            before._backend.accumulate(before._data, grad._data)
        else:
            slots[nr] = before + grad

    recorded, state.enabled = state.enabled, create_graph
    try:
        for root, start in zip(roots, grads, strict=True):
            made_by = _edge(root)
            if useful is None or made_by[0] in useful:
                send(made_by, start)
        while heap:
            node = heapq.heappop(heap)[2]
            incoming = arrived.pop(node)
            if node.hooks:
                for nr, grad in enumerate(incoming):
                    if grad is not None and nr in node.hooks:
                        incoming[nr] = call_hooks(node.hooks[nr], grad)
            if targets is not None:
                for nr, grad in enumerate(incoming):
                    if grad is not None and (id(node), nr) in targets:
                        captured[id(node), nr] = grad
                if not any(edge is not None and edge[0] in useful for edge in node.edges):  # type: ignore[operator]
                    continue
            outgoing = _differentiate(node, incoming, useful)
            del incoming
            if not retain_graph:
                node.release()
            for edge, grad in zip(node.edges, outgoing, strict=True):
                if edge is not None and grad is not None and (useful is None or edge[0] in useful):
                    send(edge, grad)
            del outgoing, grad

        for leaf in leaves:
            (total,) = arrived.pop(leaf)
            assert total is not None
            if leaf._hooks:
                total = call_hooks(leaf._hooks, total)
            if targets is None:
                _accumulate(leaf, total, create_graph)
                if leaf._post_hooks:
                    for hook in list(leaf._post_hooks.values()):
                        hook(leaf)
            elif (id(leaf), 0) in targets:
                captured[id(leaf), 0] = total
            del total
    finally:
        state.enabled = recorded
    return captured


def _can_hold_sum(a: Tensor, b: Tensor) -> bool:
    """Whether a gradient's memory is its own, each element at its own place, and the sum with another fits there."""
    alike = a._data.shape == b._data.shape and a._data.dtype == b._data.dtype
    return alike and is_dense(a._data) and is_sole(a._data, 1)


def _differentiate(node: Node, incoming: list[Tensor | None], useful: set[Any] | None) -> tuple[Any, ...]:
    """Call a node's backward."""
    if node.materialize_grads:
        for nr, g in enumerate(incoming):
            if g is None:
                incoming[nr] = node.zeros_for(nr)
    if useful is not None:
        node.needs_input_grad = tuple([edge is not None and edge[0] in useful for edge in node.edges])
    try:
        outgoing = node.backward(*incoming)
    except Exception as error:
        if anomaly.state.enabled and node.trace is not None:
            raise type(error)(f"{error}{anomaly.explain(node)}") from error
        raise
    finally:
        if useful is not None:
            node.needs_input_grad = tuple([edge is not None for edge in node.edges])
    if type(outgoing) is not tuple:
        outgoing = (outgoing,)
    if len(outgoing) != len(node.edges):
        raise RuntimeError(
            f"`{node.name}` returned {len(outgoing)} gradients, but its forward took {len(node.edges)} inputs"
        )
    if anomaly.state.enabled and anomaly.state.check_nan:
        anomaly.check(node, outgoing)
    return outgoing


def _edge(t: Tensor) -> tuple[Any, int]:
    node = t.grad_fn
    return (t, 0) if node is None else (node, t._output)


def _key(edge: tuple[Any, int]) -> tuple[int, int]:
    return id(edge[0]), edge[1]


def _paths_to(inputs: Sequence[Tensor], roots: Sequence[Tensor]) -> set[Any]:
    """All nodes from which one of ``inputs`` can be reached, and the inputs' own nodes or leaves."""
    seen: set[Any] = set()
    stack = [_edge(r)[0] for r in roots]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if not isinstance(node, Tensor):
            stack.extend([edge[0] for edge in node.edges if edge is not None])
    useful = {_edge(t)[0] for t in inputs}
    nodes = [n for n in seen if not isinstance(n, Tensor)]
    for node in sorted(nodes, key=lambda n: n.sequence):  # producers before consumers
        if any(edge is not None and edge[0] in useful for edge in node.edges):
            useful.add(node)
    return useful


def call_hooks(hooks: dict[int, Any], grad: Tensor) -> Tensor:
    """Let each hook see the gradient and replace it."""
    for hook in list(hooks.values()):
        replaced = hook(grad)
        if replaced is not None:
            grad = replaced
    return grad


def _accumulate(leaf: Tensor, grad: Tensor, create_graph: bool) -> None:
    """Add to ``leaf.grad``; the first gradient is taken over as it is if nothing else refers to it."""
    if leaf.grad is not None:
        if create_graph:
            leaf.grad = leaf.grad + grad
        else:
            leaf.grad._modified()
            leaf.grad._backend.accumulate(leaf.grad._data, grad._data)
    elif create_graph:
        leaf.grad = grad.clone()
    elif (
        has_references(grad, 2)  # the caller's variable and this one
        and grad._data.strides == leaf._data.strides
        and is_sole(grad._data, 1)
    ):
        leaf.grad = grad
    elif leaf._data.flags.c_contiguous and not grad._data.flags.c_contiguous:
        leaf.grad = wrap(leaf._backend.contiguous(grad._data), leaf._backend)
    else:
        array = leaf._backend.xp.empty_like(leaf._data)
        array[...] = grad._data
        leaf.grad = wrap(array, leaf._backend)


def _initial_grads(roots: Sequence[Tensor], grads: Sequence[Tensor | None] | None, op: str) -> list[Tensor]:
    """The gradients to start from: ones for scalars, otherwise what the caller gave."""
    given = list(grads) if grads is not None else [None] * len(roots)
    if len(given) != len(roots):
        raise RuntimeError(f"`{op}`: got {len(roots)} tensors but {len(given)} gradients")
    start = []
    for root, g in zip(roots, given, strict=True):
        if not root.requires_grad:
            raise RuntimeError(
                f"`{op}`: the tensor of shape {tuple(root.shape)} does not require grad and has no grad_fn; was it "
                "computed under `no_grad`, or from tensors without `requires_grad=True`?"
            )
        if g is None:
            if root._data.size != 1:
                raise RuntimeError(
                    f"`{op}`: a gradient can be created implicitly only for a scalar, but the tensor has shape "
                    f"{tuple(root.shape)}; pass `gradient`, or reduce it first, e.g. with `.sum()`"
                )
            g = wrap(root._backend.xp.ones_like(root._data), root._backend)
        elif g.shape != root.shape:
            raise RuntimeError(
                f"`{op}`: the gradient has shape {tuple(g.shape)}, but the tensor has shape {tuple(root.shape)}"
            )
        start.append(g)
    return start


@method
def backward(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """Add the gradients of this tensor to ``.grad`` of the leaves it was computed from.

    Parameters
    ----------
    gradient
        The gradient of something with respect to this tensor, of the same shape; needed unless it is a scalar.
    retain_graph
        Keep what the graph saved, so that another backward can follow; by default as ``create_graph``.
    create_graph
        Record the backward itself, for higher derivatives.
    inputs
        Only accumulate into these leaves.

    Raises
    ------
    RuntimeError
        If the tensor does not require grad, is no scalar and has no ``gradient``, if the graph was freed by an earlier
        backward, or if a saved tensor was modified in place.
    """
    start = _initial_grads([self], [gradient], "backward")
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run([self], start, retain_graph=keep, create_graph=create_graph)
        return
    chosen = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    found = run([self], start, retain_graph=keep, create_graph=create_graph, inputs=chosen)
    for t in chosen:
        g = found.get(_key(_edge(t)))
        if g is not None:
            _accumulate(t, g, create_graph)


def backward_of(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Add the gradients of several tensors at once to ``.grad`` of the leaves: ``autograd.backward`` of PyTorch.

    Parameters
    ----------
    grad_tensors
        A gradient for each tensor; None for scalars.
    retain_graph, create_graph
        As for :meth:`Tensor.backward`.
    """
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    given = [grad_tensors] if isinstance(grad_tensors, Tensor) else grad_tensors
    start = _initial_grads(roots, given, "backward")
    run(roots, start, retain_graph=create_graph if retain_graph is None else retain_graph, create_graph=create_graph)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``, as a tuple; ``.grad`` is left alone.

    Parameters
    ----------
    grad_outputs
        A gradient for each output; None for scalars.
    allow_unused
        Give None for an input that the outputs do not depend on, instead of an error.
    materialize_grads
        Give zeros for such an input.

    Raises
    ------
    RuntimeError
        If an input took no part in ``outputs`` and neither of the last two is set.
    """
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    chosen = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given = [grad_outputs] if isinstance(grad_outputs, Tensor) else grad_outputs
    for i, t in enumerate(chosen):
        if not t.requires_grad:
            raise RuntimeError(f"`grad`: `inputs[{i}]` of shape {tuple(t.shape)} does not require grad")
    start = _initial_grads(roots, given, "grad")
    keep = create_graph if retain_graph is None else retain_graph
    found = run(roots, start, retain_graph=keep, create_graph=create_graph, inputs=chosen)
    result = []
    for i, t in enumerate(chosen):
        g = found.get(_key(_edge(t)))
        if g is None and materialize_grads:
            g = wrap(t._backend.xp.zeros_like(t._data), t._backend)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"`grad`: `inputs[{i}]` of shape {tuple(t.shape)} took no part in the outputs; "
                "pass `allow_unused=True` to get None for it"
            )
        result.append(g)
    return tuple(result)
