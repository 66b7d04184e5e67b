"""Modules as functions of their parameters: ``torch.func``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from deepgpu.nn.modules.module import Module
from deepgpu.tensor import Tensor


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
    args: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    *,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in place of its parameters and buffers.

    Gradients flow to the given tensors. The module has its own ones again afterwards.

    Parameters
    ----------
    module
        The module.
    parameter_and_buffer_dicts
        The tensors by the names of ``named_parameters`` and ``named_buffers``, in one mapping or several of different
        names. What is not named stays.
    args
        The positional arguments, in a tuple; anything else is the only one.
    kwargs
        The keyword arguments.
    strict
        Whether every parameter and buffer must be named.

    Raises
    ------
    KeyError
        If a name is none of the module's.
    RuntimeError
        If ``strict`` and a name is missing.
    ValueError
        If two mappings name the same tensor.

    Notes
    -----
    A tensor that a module has under two names is replaced under those given only.
    """
    dicts = (
        [parameter_and_buffer_dicts] if isinstance(parameter_and_buffer_dicts, Mapping) else parameter_and_buffer_dicts
    )
    given: dict[str, Tensor] = {}
    for each in dicts:
        if twice := sorted(given.keys() & each.keys()):
            raise ValueError(f"`functional_call`: {twice} are in two of `parameter_and_buffer_dicts`")
        given.update(each)
    places = _places(module)
    if unknown := sorted(given.keys() - places.keys()):
        raise KeyError(f"`functional_call`: {unknown} are no parameters or buffers of {type(module).__name__}")
    if strict and (missing := sorted(places.keys() - given.keys())):
        raise RuntimeError(f"`functional_call`: `strict` takes every parameter and buffer, but got none for {missing}")
    own = {name: places[name][0][places[name][1]] for name in given}
    positional = () if args is None else args if isinstance(args, tuple) else (args,)
    try:
        for name, tensor in given.items():
            place, key = places[name]
            place[key] = tensor
        return module(*positional, **(kwargs or {}))
    finally:
        for name, tensor in own.items():
            place, key = places[name]
            place[key] = tensor


def _places(module: Module) -> dict[str, tuple[dict[str, Any], str]]:
    """Where the module's tensors are: a dictionary and its key, by full name."""
    found = {}
    for prefix, each in module.named_modules(remove_duplicate=False):
        for place in (each._parameters, each._buffers):
            found.update({f"{prefix}.{k}" if prefix else k: (place, k) for k, v in place.items() if v is not None})
    return found
