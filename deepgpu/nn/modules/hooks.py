"""Hooks of a module: functions that run around its forward, its backward, saving and loading."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from deepgpu.autograd.hooks import RemovableHandle
from deepgpu.nn.modules.backward_hooks import BackwardHooks
from deepgpu.nn.modules.members import Members
from deepgpu.tensor import Tensor

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

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the module's outputs have been computed.

        Parameters
        ----------
        hook
            It gets a tuple; what it returns, if anything, replaces the gradients. Hooks see positional arguments and
            outputs that are tensors or tuples of them; other outputs have no backward hooks.
        prepend
            Run before the hooks that are there already.
        """
        return _register(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the module's inputs have been computed.

        Parameters
        ----------
        hook
            It gets tuples, with None for arguments that are no tensors and zeros for tensors without gradient; what it
            returns, if anything, replaces ``grad_input``.
        prepend
            Run before the hooks that are there already.
        """
        return _register(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Not supported: PyTorch's deprecated form, which sees the gradients of the module's last op only."""
        raise NotImplementedError(
            "`register_backward_hook` is deprecated in PyTorch and sees wrong gradients for modules of several ops; "
            "use `register_full_backward_hook`"
        )

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
        if not (self._forward_pre_hooks or self._forward_hooks or self._backward_pre_hooks or self._backward_hooks):
            return self.forward(*args, **kwargs)
        waiting = dict(self._forward_hooks)
        result = None
        try:
            args, kwargs = self._before(args, kwargs)
            backward = None
            if self._backward_pre_hooks or self._backward_hooks:
                backward = BackwardHooks(self, self._backward_pre_hooks.values(), self._backward_hooks.values())
                args = backward.gate_inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in self._forward_hooks.copy().items():
                waiting.pop(key, None)
                result = self._after(hook, args, kwargs, result)
            if backward is not None:
                if not isinstance(result, (Tensor, tuple)):
                    warnings.warn(
                        "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
                        f"received {type(result)}",
                        stacklevel=2,
                    )
                result = backward.gate_outputs(result)
            return result
        except Exception:
            for hook in waiting.values():
                if hook.always_call:
                    self._after_failure(hook, args, kwargs, result)
            raise

    def _before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Let the forward pre-hooks replace the arguments."""
        for hook in list(self._forward_pre_hooks.values()):
            if hook.with_kwargs:
                replaced = hook.function(self, args, kwargs)
                if replaced is None:
                    continue
                if not isinstance(replaced, tuple) or len(replaced) != 2:
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                    )
                args, kwargs = replaced
            else:
                replaced = hook.function(self, args)
                if replaced is not None:
                    args = replaced if isinstance(replaced, tuple) else (replaced,)
        return args, kwargs

    def _after(self, hook: _ForwardHook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        """Let a forward hook replace the result."""
        given = (args, kwargs) if hook.with_kwargs else (args,)
        replaced = hook.function(self, *given, result)
        return result if replaced is None else replaced

    def _after_failure(self, hook: _ForwardHook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Call a hook that is always called; the error that is on its way goes before its own."""
        try:
            self._after(hook, args, kwargs, result)
        except Exception as error:
            warnings.warn(
                "module forward hook with ``always_call=True`` raised an exception that was silenced as another error "
                f"was raised in forward: {error}",
                stacklevel=3,
            )


def _register(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle
