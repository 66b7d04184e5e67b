"""Gradients against finite differences, in float64.

For ``y = f(x)`` with Jacobian J, backward computes ``J^T v``. The full check compares every column of J with central
differences. The fast check compares the number ``v^T J u`` for one random direction u of the inputs and v of the
outputs, which a wrong Jacobian gets right with probability 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.engine import grad
from deepgpu.autograd.grad_mode import enable_grad
from deepgpu.tensor import Tensor, wrap


class GradcheckError(RuntimeError):
    """Analytical and numerical gradients disagree."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Compare the gradients of ``func`` with central differences.

    Parameters
    ----------
    func
        Takes ``inputs``, returns a tensor or a tuple of tensors.
    inputs
        Tensors and other arguments; the float64 tensors that require grad are checked.
    eps
        Step of the differences.
    atol, rtol
        ``|analytical - numerical| <= atol + rtol |numerical|`` must hold for every element.
    raise_exception
        Raise instead of returning False.
    fast_mode
        One random direction instead of the whole Jacobian.

    Raises
    ------
    GradcheckError
        If gradients disagree (a NaN disagrees with everything).
    ValueError
        If no input can be checked.
    """
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
    if not checked:
        raise ValueError("`gradcheck`: none of `inputs` requires grad, so there is nothing to check")
    for i in checked:
        if args[i].dtype is not dtypes.float64:
            raise ValueError(
                f"`gradcheck`: `inputs[{i}]` takes float64 for the differences to mean anything, "
                f"but got {args[i].dtype}"
            )
    try:
        (_check_directional if fast_mode else _check_jacobian)(func, args, checked, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    fast_mode: bool = False,
) -> bool:
    """Compare the second derivatives of ``func`` with central differences of its gradients.

    Parameters
    ----------
    grad_outputs
        Where the gradients are taken, random by default; they are inputs of the check too.
    eps, atol, rtol, raise_exception, fast_mode
        As for :func:`gradcheck`.
    """
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    outputs = _outputs(func, args)
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        starts = [wrap(y._backend.from_numpy(rng.standard_normal(y._data.shape)), y._backend) for y in outputs]
    else:
        starts = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    starts = [s.detach().requires_grad_() for s in starts]
    count = len(args)

    def gradients(*all_args: Any) -> tuple[Tensor, ...]:
        own, given = all_args[:count], all_args[count:]
        with enable_grad():
            wanted = [a for a in own if isinstance(a, Tensor) and a.requires_grad]
            found = grad(_outputs(func, list(own)), wanted, given, create_graph=True, materialize_grads=True)
        return tuple([g for g in found if g is not None])

    return gradcheck(
        gradients,
        [*args, *starts],
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        fast_mode=fast_mode,
    )


def _outputs(func: Callable[..., Any], args: list[Any]) -> list[Tensor]:
    """The differentiable outputs."""
    result = func(*args)
    several = [result] if isinstance(result, Tensor) else list(result)
    return [y for y in several if isinstance(y, Tensor) and y.requires_grad]


def _values(func: Callable[..., Any], args: list[Any], which: list[int]) -> list[np.ndarray]:
    """The outputs at ``which`` positions as float64 arrays."""
    result = func(*args)
    several = [result] if isinstance(result, Tensor) else list(result)
    return [several[i].detach().cpu().numpy().astype(np.float64) for i in which]


def _positions(func: Callable[..., Any], args: list[Any]) -> list[int]:
    result = func(*args)
    several = [result] if isinstance(result, Tensor) else list(result)
    return [i for i, y in enumerate(several) if isinstance(y, Tensor) and y.requires_grad]


def _moved(args: list[Any], i: int, step: np.ndarray) -> list[Any]:
    """The arguments with ``args[i]`` moved, in the same memory layout."""
    x: Tensor = args[i]
    array = x._data.copy(order="K")
    array += x._backend.from_numpy(step)
    return [*args[:i], wrap(array, x._backend).requires_grad_(), *args[i + 1 :]]


def _disagree(what: str, analytical: Any, numerical: Any, atol: float, rtol: float) -> None:
    if not np.all(np.abs(analytical - numerical) <= atol + rtol * np.abs(numerical)):
        raise GradcheckError(
            f"`gradcheck`: the gradient of {what} is wrong\nnumerical:\n{numerical}\nanalytical:\n{analytical}"
        )


def _check_directional(
    func: Callable[..., Any], args: list[Any], checked: list[int], eps: float, atol: float, rtol: float
) -> None:
    rng = np.random.default_rng(0)
    which = _positions(func, args)
    outputs = _outputs(func, args)
    if not outputs:
        return
    v = [_unit(rng, y._data.shape) for y in outputs]
    starts = [wrap(y._backend.from_numpy(d), y._backend) for y, d in zip(outputs, v, strict=True)]
    found = grad(outputs, [args[i] for i in checked], starts, allow_unused=True)
    for i, g in zip(checked, found, strict=True):
        u = _unit(rng, args[i]._data.shape)
        forward = _values(func, _moved(args, i, eps * u), which)
        backward = _values(func, _moved(args, i, -eps * u), which)
        numerical = sum(float(np.sum(d * (a - b))) for d, a, b in zip(v, forward, backward, strict=True)) / (2 * eps)
        analytical = 0.0 if g is None else float(np.sum(u * g.detach().cpu().numpy()))
        _disagree(f"`inputs[{i}]` in a random direction", np.array(analytical), np.array(numerical), atol, rtol)


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A random direction of length 1."""
    d = np.asarray(rng.standard_normal(shape))
    return d / max(float(np.linalg.norm(d)), 1e-30)


def _check_jacobian(
    func: Callable[..., Any], args: list[Any], checked: list[int], eps: float, atol: float, rtol: float
) -> None:
    which = _positions(func, args)
    for nr, place in enumerate(which):
        y = _outputs(func, args)[nr]
        size = y._data.size
        analytical = [np.zeros((args[i]._data.size, size)) for i in checked]
        for column in range(size):
            y = _outputs(func, args)[nr]  # anew, since a backward may be run only once on a graph
            start = np.zeros(y._data.shape)
            start.reshape(-1)[column] = 1
            found = grad(
                y, [args[i] for i in checked], wrap(y._backend.from_numpy(start), y._backend), allow_unused=True
            )
            for k, g in enumerate(found):
                if g is not None:
                    analytical[k][:, column] = g.detach().cpu().numpy().reshape(-1)
        for k, i in enumerate(checked):
            numerical = np.zeros_like(analytical[k])
            for row in range(args[i]._data.size):
                step = np.zeros(args[i]._data.shape)
                step.reshape(-1)[row] = eps
                (forward,) = _values(func, _moved(args, i, step), [place])
                (backward,) = _values(func, _moved(args, i, -step), [place])
                numerical[row] = ((forward - backward) / (2 * eps)).reshape(-1)
            _disagree(f"output {place} with respect to `inputs[{i}]`", analytical[k], numerical, atol, rtol)
