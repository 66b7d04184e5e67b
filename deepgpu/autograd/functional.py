"""Derivatives of functions of tensors: ``torch.autograd.functional``.

Products with Jacobians cost one backward pass, or two; whole Jacobians and Hessians one for each output element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deepgpu.autograd.engine import grad
from deepgpu.autograd.grad_mode import enable_grad
from deepgpu.tensor import Tensor

Tensors = Tensor | tuple[Tensor, ...]


def _tuple(name: str, argument: str, value: Any) -> tuple[Tensor, ...]:
    found = value if isinstance(value, tuple) else (value,)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            kind = type(t).__name__
            raise TypeError(f"`{name}`: `{argument}` takes a tensor or a tuple of them, but element {i} is a {kind}")
    return found


def _like(value: Any, tensors: Any) -> Any:
    """One tensor where one was given, else a tuple."""
    return tensors if isinstance(value, tuple) else tensors[0]


def _fresh(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    """Tensors of their own to differentiate for, in the graph of the inputs if it is to be kept."""
    return tuple([x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in inputs])


def _evaluated(name: str, func: Callable[..., Any], inputs: tuple[Tensor, ...]) -> tuple[Any, tuple[Tensor, ...]]:
    made = func(*inputs)
    return made, _tuple(name, "func", made)


def _vectors(name: str, v: Any, like: tuple[Tensor, ...], what: str) -> tuple[Tensor, ...]:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"`{name}`: `v` can only be None if {what} is a single element; give a tensor for each")
        return (like[0].detach() * 0 + 1,)
    found = _tuple(name, "v", v)
    if len(found) != len(like):
        raise RuntimeError(f"`{name}`: `v` takes {len(like)} tensors, as many as {what}, but got {len(found)}")
    for i, (a, b) in enumerate(zip(found, like, strict=True)):
        if a.shape != b.shape:
            shapes = f"shape {tuple(b.shape)} at {i}, but got {tuple(a.shape)}"
            raise RuntimeError(f"`{name}`: `v` takes tensors of the shapes of {what}, {shapes}")
    return found


def _gradients(
    name: str,
    outputs: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    vectors: tuple[Tensor, ...] | None,
    create_graph: bool,
    strict: bool,
) -> tuple[Tensor, ...]:
    """The gradients, zeros where there is none."""
    kept = [i for i, y in enumerate(outputs) if y.requires_grad]
    if strict and len(kept) < len(outputs):
        missing = next(i for i in range(len(outputs)) if i not in kept)
        raise RuntimeError(f"`{name}`: output {missing} is independent of the inputs, which `strict=True` refuses")
    if not kept:
        return tuple([x.detach() * 0 for x in inputs])
    starts = None if vectors is None else [vectors[i] for i in kept]
    found = grad([outputs[i] for i in kept], inputs, starts, True, create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        missing = next(i for i, g in enumerate(found) if g is None)
        raise RuntimeError(f"`{name}`: the outputs are independent of input {missing}, which `strict=True` refuses")
    return tuple([x.detach() * 0 if g is None else g for g, x in zip(found, inputs, strict=True)])


def _result(tensors: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    return tensors if create_graph else tuple([t.detach() for t in tensors])


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The function's value, and the product of a vector with its Jacobian.

    Parameters
    ----------
    func
        Takes tensors, and returns one or a tuple.
    inputs
        A tensor or a tuple.
    v
        In the shape of the outputs; not needed for a single element.
    create_graph
        Record the computation, for further derivatives.
    strict
        Raise if an output does not depend on an input, rather than give zeros.

    Returns
    -------
    tuple
        The outputs, and the product, in the shape of the inputs.
    """
    given = _tuple("vjp", "inputs", inputs)
    with enable_grad():
        x = _fresh(given, create_graph)
        made, outputs = _evaluated("vjp", func, x)
        vectors = _vectors("vjp", v, outputs, "the output")
        found = _gradients("vjp", outputs, x, vectors, create_graph, strict)
    return _like(made, _result(outputs, create_graph)), _like(inputs, _result(found, create_graph))


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The function's value, and the product of its Jacobian with a vector: the derivative in that direction.

    Parameters
    ----------
    v
        In the shape of the inputs; not needed for a single element.
    func, inputs, create_graph, strict
        As for :func:`vjp`.

    Notes
    -----
    By two backward passes: the product of a vector ``u`` with the Jacobian is linear in ``u``, and its gradient with
    respect to ``u`` is the Jacobian's product.
    """
    given = _tuple("jvp", "inputs", inputs)
    with enable_grad():
        x = _fresh(given, create_graph)
        vectors = _vectors("jvp", v, x, "the input")
        made, outputs = _evaluated("jvp", func, x)
        dummies = tuple([(y.detach() * 0).requires_grad_() for y in outputs])
        products = _gradients("jvp", outputs, x, dummies, True, strict)
        found = _gradients("jvp", products, dummies, vectors, create_graph, False)
    return _like(made, _result(outputs, create_graph)), _like(made, _result(found, create_graph))


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivatives of every element of the outputs with respect to every element of the inputs.

    Parameters
    ----------
    vectorize, strategy
        Accepted for PyTorch's sake; rows are computed one by one in reverse mode.
    func, inputs, create_graph, strict
        As for :func:`vjp`.

    Returns
    -------
    Tensor or tuple
        ``(*output shape, *input shape)``; a tuple of them for several inputs, and of these tuples for several outputs.
    """
    given = _tuple("jacobian", "inputs", inputs)
    with enable_grad():
        x = _fresh(given, create_graph)
        made, outputs = _evaluated("jacobian", func, x)
        tables = []
        for y in outputs:
            rows: list[list[Tensor]] = [[] for _ in x]
            flat = y.reshape(-1)
            for i in range(flat.numel()):
                for column, g in zip(
                    rows, _gradients("jacobian", (flat[i],), x, None, create_graph, strict), strict=True
                ):
                    column.append(g)
            tables.append(tuple([_stacked(r, y, a) for r, a in zip(rows, x, strict=True)]))
    done = tuple([_like(inputs, _result(t, create_graph)) for t in tables])
    return _like(made, done)


def _stacked(rows: list[Tensor], output: Tensor, input: Tensor) -> Tensor:
    """The gradients of an output's elements, in its shape."""
    shape = (*output.shape, *input.shape)
    if not rows:
        return input.new_zeros(shape)
    table = rows[0].new_zeros((len(rows), *input.shape))
    for i, row in enumerate(rows):
        table[i] = row
    return table.reshape(shape)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function of one element.

    Parameters
    ----------
    vectorize, outer_jacobian_strategy
        Accepted for PyTorch's sake.
    func, inputs, create_graph, strict
        As for :func:`vjp`.

    Returns
    -------
    Tensor or tuple
        ``(*input shape, *input shape)``; for several inputs a tuple of tuples, one of each pair.
    """

    def gradient(*x: Tensor) -> Tensors:
        _, outputs = _evaluated("hessian", func, x)
        if len(outputs) != 1 or outputs[0].numel() != 1:
            shapes = ", ".join([str(tuple(y.shape)) for y in outputs])
            raise RuntimeError(f"`hessian`: `func` takes a function of one element, but it returned shape {shapes}")
        return _like(inputs, _gradients("hessian", outputs, x, None, True, strict))

    return jacobian(gradient, inputs, create_graph, strict)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The function's value, and the product of a vector with its Hessian; see :func:`vjp`."""
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The function's value, and the product of its Hessian, which is symmetric, with a vector; see :func:`vjp`."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    given = _tuple(name, "inputs", inputs)
    with enable_grad():
        x = _fresh(given, create_graph)
        vectors = _vectors(name, v, x, "the input")
        made, outputs = _evaluated(name, func, x)
        if len(outputs) != 1 or outputs[0].numel() != 1:
            shapes = ", ".join([str(tuple(y.shape)) for y in outputs])
            raise RuntimeError(f"`{name}`: `func` takes a function of one element, but it returned shape {shapes}")
        slopes = _gradients(name, outputs, x, None, True, strict)
        found = _gradients(name, slopes, x, vectors, create_graph, strict)
    return _like(made, _result(outputs, create_graph)), _like(inputs, _result(found, create_graph))
