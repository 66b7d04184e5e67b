"""What makes a function a public op: registration, the tensor method, the in-place twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from deepgpu.ops.assign import assign
from deepgpu.ops.autocast import LISTED, autocast
from deepgpu.tensor import Tensor, method as attach

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Op:
    """An entry of the registry: the test suite demands a test entry for each."""

    name: str
    function: Callable[..., Any]
    differentiable: bool


REGISTRY: dict[str, Op] = {}


def op(
    function: F | None = None,
    *,
    method: bool | str = False,
    inplace: bool = False,
    differentiable: bool = True,
) -> Any:
    """Register a public op.

    Parameters
    ----------
    method
        Attach it to :class:`Tensor` too, under its name or the one given.
    inplace
        Attach the in-place twin ``<name>_`` too.
    differentiable
        Whether gradients flow through it.
    """
    if function is None:
        return lambda f: op(f, method=method, inplace=inplace, differentiable=differentiable)
    name = function.__name__
    plain = function
    if name in LISTED:
        function = autocast(function, name)  # type: ignore[assignment]
    REGISTRY[name] = Op(name, function, differentiable)
    if method:
        attach(function, name=method if isinstance(method, str) else name)
    if inplace:
        attach(in_place(plain, name))
    return function


def in_place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The twin of ``function`` that stores the result in its first argument."""

    def twin(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return assign(self, function(self, *args, **kwargs), f"{name}_")

    twin.__name__ = f"{name}_"
    twin.__qualname__ = f"Tensor.{name}_"
    twin.__doc__ = f"In-place version of :func:`{name}`: the result, cast to this dtype, replaces the values."
    return twin


def alias(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Another name of a method, and of its in-place twin if it has one; returns the function."""
    attach(function, name=name)
    twin = getattr(Tensor, f"{function.__name__}_", None)
    if twin is not None:
        attach(twin, name=f"{name}_")
    return function


def number(x: Any) -> Any:
    """A NumPy scalar as the Python number it stands for; anything else as it is.

    NumPy's own scalars would take part in its type promotion; Python numbers do not.
    """
    return x.item() if isinstance(x, np.generic) else x
