"""Calling an op on a sample, in deepgpu and in PyTorch, and taking gradients of what came out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.autograd.engine import grad
from deepgpu.tensor import Tensor
from deepgpu.testing.convert import from_deepgpu, from_torch, to_deepgpu, to_torch, tree_map
from deepgpu.testing.samples import Sample

REFUSALS = (RuntimeError, TypeError, ValueError, IndexError)
"""What an op may raise for arguments that it does not take."""


class Call:
    """An op called on a sample.

    Attributes
    ----------
    arguments
        Every tensor among the arguments.
    inputs
        Those that require grad.
    result
        What the op returned.
    outputs
        The tensors in ``result`` that require grad.
    """

    def __init__(self, arguments: list[Any], inputs: list[Any], result: Any, outputs: list[Any]) -> None:
        self.arguments = arguments
        self.inputs = inputs
        self.result = result
        self.outputs = outputs


def ours(
    function: Callable[..., Any], sample: Sample, device: str, constants: Sequence[int | str] = (), record: bool = True
) -> Call:
    """Call our function; floating-point tensors that are no constants require grad if ``record``."""
    call = _Arguments(sample, constants, record, lambda x: to_deepgpu(x, device))
    result = function(*call.args, **call.kwargs)
    return Call(call.tensors, call.inputs, result, [y for y in _tensors(result, Tensor) if y.requires_grad])


def theirs(
    function: Callable[..., Any], sample: Sample, constants: Sequence[int | str] = (), record: bool = True
) -> Call:
    """Call PyTorch's function."""
    torch = judge()
    call = _Arguments(sample, constants, record, to_torch)
    with contextlib.nullcontext() if record else torch.no_grad():
        result = function(*call.args, **call.kwargs)
    return Call(call.tensors, call.inputs, result, [y for y in _tensors(result, torch.Tensor) if y.requires_grad])


def with_inputs(
    function: Callable[..., Any], sample: Sample, inputs: Sequence[Any], device: str, constants: Sequence[int | str]
) -> Any:
    """The result of our function with other tensors in the place of its differentiable inputs."""
    given = iter(inputs)
    call = _Arguments(sample, constants, True, lambda x: to_deepgpu(x, device), lambda _: next(given))
    return function(*call.args, **call.kwargs)


def judge() -> Any:
    """PyTorch on one thread: for samples as small as ours, waking a second one takes far longer than the op.

    Numba sets the number of threads for all of the process that uses OpenMP, so this is to be called each time.
    """
    import torch

    torch.set_num_threads(1)
    return torch


class _Arguments:
    """A sample's arguments in one framework."""

    def __init__(
        self,
        sample: Sample,
        constants: Sequence[int | str],
        record: bool,
        convert: Callable[[Any], Any],
        as_input: Callable[[Any], Any] = lambda t: t.requires_grad_(),
    ) -> None:
        self.tensors: list[Any] = []
        self.inputs: list[Any] = []
        self._record, self._convert, self._as_input = record, convert, as_input
        self.args = [self._converted(x, i in constants) for i, x in enumerate(sample.args)]
        self.kwargs = {k: self._converted(x, k in constants) for k, x in sample.kwargs.items()}

    def _converted(self, tree: Any, constant: bool) -> Any:
        def leaf(x: Any) -> Any:
            made = self._convert(x)
            if isinstance(x, np.ndarray):
                if self._record and not constant and dtypes.from_numpy(x.dtype).is_floating_point:
                    made = self._as_input(made)
                    self.inputs.append(made)
                self.tensors.append(made)
            return made

        return tree_map(leaf, tree)


def _tensors(result: Any, kind: type) -> list[Any]:
    if isinstance(result, kind):
        return [result]
    return [y for x in result for y in _tensors(x, kind)] if isinstance(result, (tuple, list)) else []


def arrays(call_result: Any) -> Any:
    """A result of either framework as arrays; named tuples become tuples."""
    return tree_map(lambda x: from_deepgpu(x) if isinstance(x, Tensor) else _foreign(x), call_result)


def _foreign(x: Any) -> Any:
    return from_torch(x) if type(x).__module__.startswith("torch") else x


def directions(like: Sequence[Any], seed: int) -> list[np.ndarray]:
    """Random arrays in the shapes and dtypes of tensors of ours."""
    rng = np.random.default_rng(seed)
    return [np.asarray(rng.uniform(-1, 1, tuple(t.shape))).astype(t.dtype.numpy) for t in like]


def our_gradients(call: Call, cotangents: Sequence[np.ndarray], device: str, record: bool = False) -> Any:
    """The gradients of the inputs, and the cotangents as tensors."""
    starts = [to_deepgpu(c, device).requires_grad_(record) for c in cotangents]
    found = grad(call.outputs, call.inputs, starts, create_graph=record, allow_unused=True)
    return list(found), starts


def their_gradients(call: Call, cotangents: Sequence[np.ndarray], record: bool = False) -> Any:
    """The same in PyTorch."""
    torch = judge()
    starts = [to_torch(c).requires_grad_(record) for c in cotangents]
    found = torch.autograd.grad(call.outputs, call.inputs, starts, create_graph=record, allow_unused=True)
    return list(found), starts


def gradient_arrays(grads: Sequence[Any], inputs: Sequence[Any]) -> list[np.ndarray]:
    """Gradients as arrays, None as zeros of the input's shape."""
    return [np.zeros_like(arrays(x)) if g is None else arrays(g) for g, x in zip(grads, inputs, strict=True)]
