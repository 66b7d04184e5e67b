"""Hooks of a module: functions that run around its forward, its backward, saving and loading."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from deepgpu.autograd.hooks import RemovableHandle
from deepgpu.nn.modules.members import Members

HOOK_TABLES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
"""The attributes of a module that hold its hooks by the id of their handle."""


class _ForwardHook(NamedTuple):
    function: Callable[..., Any]
    with_kwargs: bool
    always_call: bool = False


class Hooks(Members):
    """Registration of hooks, and the call of a module with its hooks around it."""

    _forward_pre_hooks: OrderedDict[int, _ForwardHook]
    _forward_hooks: OrderedDict[int, _ForwardHook]
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    # --- registration -----------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward.

        Parameters
        ----------
        hook
            What it returns, if anything, replaces the positional arguments: a tuple of them, or the only one.
        prepend
            Run before the hooks that are there already.
        with_kwargs
            Call ``hook(module, args, kwargs)``, which may return a tuple of new ``args`` and new ``kwargs``.
        """
        return _register(self._forward_pre_hooks, _ForwardHook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward.

        Parameters
        ----------
        hook
            What it returns, if anything, replaces the output.
        prepend
            Run before the hooks that are there already.
        with_kwargs
            Call ``hook(module, args, kwargs, output)``.
        always_call
            Call it even if the forward raised; the output is then None, and errors of the hook are warned about.
        """
        return _register(self._forward_hooks, _ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before the module's own entries are written to a state dict."""
        return _register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after the module and all in it were written."""
        return _register(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call a hook before the module's own entries are read from a state dict, which it may change.

        It gets ``(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``.
        """
        return _register(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after the module and all in it were read from a state dict.

        It may change the lists ``incompatible_keys.missing_keys`` and ``.unexpected_keys`` in place.
        """
        return _register(self._load_state_dict_post_hooks, hook)

    # --- the call ---------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)


def _register(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
