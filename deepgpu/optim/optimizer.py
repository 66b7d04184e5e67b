"""The base class of all optimizers: parameter groups, state, hooks."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

from deepgpu import dtypes
from deepgpu.autograd.grad_mode import enable_grad
from deepgpu.autograd.hooks import RemovableHandle
from deepgpu.backends.cuda import graphs
from deepgpu.ops.creation import empty_like
from deepgpu.tensor import Tensor


class _Required:
    """The default of an option that every parameter group must give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

HOOK_TABLES = (
    "_step_pre_hooks",
    "_step_post_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_post_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
"""The attributes of an optimizer that hold its hooks by the id of their handle."""


class Optimizer:
    """Updates parameters by their gradients. A subclass defines ``step``.

    Parameters
    ----------
    params
        Parameters, pairs of name and parameter, or dictionaries that each describe a group: its ``"params"`` and the
        options in which it differs.
    defaults
        The options of groups that do not give them.

    Attributes
    ----------
    param_groups
        A dictionary of options a group, with its parameters under ``"params"``.
    state
        What the optimizer remembers of each parameter.

    Raises
    ------
    TypeError
        If ``params`` is a single tensor, or holds something that is no tensor.
    ValueError
        If it is empty, or a parameter is in two groups or is no leaf.
    """

    _stepping = False
    _opt_called = False  # whether a step was ever taken; schedulers look at it

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        for table in HOOK_TABLES:
            setattr(self, table, OrderedDict())
        self.defaults = defaults
        if isinstance(params, Tensor):
            raise TypeError("params argument given to the optimizer should be an iterable of Tensors or dicts, got one")
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            options = "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
            groups.append(f"\nParameter Group {i}\n{options}")
        return f"{type(self).__name__} ({''.join(groups)})"

    # --- parameter groups -------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dictionary with ``"params"`` and the options in which it differs from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        named = [p for p in params if isinstance(p, tuple)]
        if named:
            if len(named) != len(params):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            param_group["param_names"] = [name for name, _ in named]
            params = [p for _, p in named]
        param_group["params"] = params
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            param_group.setdefault(name, default)
        if len(params) != len(set(params)):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is updated as often as it occurs",
                stacklevel=3,
            )
        if not {p for group in self.param_groups for p in group["params"]}.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        self._check_names(param_group)
        self.param_groups.append(param_group)

    def _check_names(self, param_group: dict[str, Any]) -> None:
        for group in self.param_groups:
            if ("param_names" in group) != ("param_names" in param_group):
                given, own = ("with", "without") if "param_names" in param_group else ("without", "with")
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {given} names to the optimizer {own} names"
                )

    # --- steps ------------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Parameters
        ----------
        closure
            Computes the loss again, with gradients; called first.

        Returns
        -------
        Any
            What the closure returned, or None.
        """
        raise NotImplementedError(f"`{type(self).__name__}` has no `step`")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters.

        Parameters
        ----------
        set_to_none
            Drop them, rather than fill them with zeros.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.detach_().zero_()

    # --- state ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, in PyTorch's format.

        Returns
        -------
        dict
            ``"state"``: what is remembered of each parameter, by its number; ``"param_groups"``: the options of each
            group, with the numbers of its parameters under ``"params"``.
        """
        for hook in self._hooks("_state_dict_pre_hooks"):
            hook(self)
        numbers: dict[Any, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(p, len(numbers))
            groups.append({**group, "params": [numbers[p] for p in group["params"]]})
            groups[-1]["params"] = groups[-1].pop("params")  # last, as PyTorch has it
        state = {numbers[k] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._hooks("_state_dict_post_hooks"):
            replaced = hook(self, result)
            result = result if replaced is None else replaced
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over state and options that :meth:`state_dict` gave.

        Tensors are copied, in the dtype, on the device and in the memory layout of their parameter.

        Raises
        ------
        ValueError
            If the number of groups, or of parameters in a group, is another.
        """
        state_dict = dict(state_dict)
        for hook in self._hooks("_load_state_dict_pre_hooks"):
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        saved = deepcopy(state_dict["param_groups"])
        if len(saved) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        params: dict[Any, Tensor] = {}
        for group, own in zip(saved, self.param_groups, strict=True):
            if len(group["params"]) != len(own["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
                )
            params.update(zip(group["params"], own["params"], strict=True))
            group["params"] = own["params"]
            if "param_names" in own:
                group.setdefault("param_names", own["param_names"])
        state: defaultdict[Any, Any] = defaultdict(dict)
        for number, entry in state_dict["state"].items():
            if number in params:
                state[params[number]] = _placed(entry, params[number])
            else:
                state[number] = entry
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._hooks("_load_state_dict_post_hooks"):
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over attributes; groups that an older version saved get the options that they lack."""
        self.__dict__.update(state)
        for table in HOOK_TABLES:
            self.__dict__.setdefault(table, OrderedDict())
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)

    # --- hooks ------------------------------------------------------------------------------------------------------

    def _hooks(self, table: str) -> list[Callable[..., Any]]:
        return list(getattr(self, table).values())

    def _register(self, table: str, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        hooks = getattr(self, table)
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may return new ``(args, kwargs)``.

        As in PyTorch, ``args`` begins with the optimizer itself.
        """
        return self._register("_step_pre_hooks", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return self._register("_step_post_hooks", hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before a state dict is made."""
        return self._register("_state_dict_pre_hooks", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` on a state dict; what it returns, if anything, replaces it."""
        return self._register("_state_dict_post_hooks", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before loading; what it returns, if anything, is loaded instead."""
        return self._register("_load_state_dict_pre_hooks", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after a state dict was loaded."""
        return self._register("_load_state_dict_post_hooks", hook, prepend)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A ``step`` that runs the hooks, and leaves a trace for learning-rate schedulers."""

    @functools.wraps(step)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        self: Optimizer = args[0]
        if self._stepping:  # a subclass's step that calls this one has run the hooks
            return step(*args, **kwargs)
        for hook in self._hooks("_step_pre_hooks"):
            replaced = hook(self, args, kwargs)
            if replaced is not None:
                if not isinstance(replaced, tuple) or len(replaced) != 2:
                    raise RuntimeError(
                        f"a step pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                    )
                args, kwargs = replaced
        self._stepping = True
        try:
            result = step(*args, **kwargs)
        finally:
            self._stepping = False
        for hook in self._hooks("_step_post_hooks"):
            hook(self, args, kwargs)
        self._opt_called = True
        return result

    return wrapper


def _placed(value: Any, param: Tensor, key: str | None = None) -> Any:
    """A saved value of a parameter's state, with tensors copied to where and what the parameter is."""
    if isinstance(value, Tensor):
        if key == "step":  # a count, which stays on the host in float32
            return value.clone()
        like = {"dtype": param.dtype if param.is_floating_point() else value.dtype, "device": param.device}
        if value.shape != param.shape:
            return value.to(**like, copy=True)
        return empty_like(param, **like).copy_(value)
    if isinstance(value, Mapping):
        return {k: _placed(v, param, k) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(_placed(v, param) for v in value)
    return value


# --- for the optimizers ---------------------------------------------------------------------------------------------


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """What the closure of a step returns, run with gradients on."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse combinations of ``foreach``, ``fused`` and ``differentiable`` that PyTorch refuses or we cannot do."""
    if options["differentiable"]:
        if options["fused"]:
            raise RuntimeError("`fused` does not support `differentiable`")
        raise NotImplementedError(
            f"`{name}`: `differentiable=True` is not supported, as kernels update the parameters in place; "
            "write the update with tensor ops on `autograd.grad(..., create_graph=True)`"
        )
    if options["fused"] and options["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_learning_rate(lr: Any) -> None:
    """A number or a tensor of one element, not negative."""
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0.0:
        raise ValueError(f"Invalid learning rate: {lr}")


def batched(params: Iterable[Tensor], key: Callable[[Tensor], Any]) -> list[list[Tensor]]:
    """The parameters that have a gradient, split by device, dtype and ``key``: what one kernel call can update."""
    batches: dict[Any, list[Tensor]] = {}
    for p in params:
        if p.grad is not None:
            batches.setdefault((p._backend, p._data.dtype, key(p)), []).append(p)
    return list(batches.values())


def arrays(tensors: Iterable[Any]) -> list[Any]:
    """The raw arrays, as kernels take them."""
    return [t._data for t in tensors]


def rate(lr: Any, p: Tensor) -> Any:
    """A learning rate as kernels take it: a float32 tensor beside a GPU's parameters as it is, else a number."""
    if isinstance(lr, Tensor) and lr.device == p.device and lr.device.type == "cuda" and lr.dtype == dtypes.float32:
        return lr._data.reshape(())
    return float(lr)


def mark_modified(params: Iterable[Tensor]) -> None:
    """Let autograd notice that kernels are about to change the parameters."""
    for p in params:
        p._modified()


FIRST_STEP = "its first step makes its state, and would do so in every replay; take it before"


def refuse_capture(
    optimizer: Optimizer,
    why: str = "the host counts its steps, which would stand still",
    instead: str = "capture forward and backward only, and call `step()` after each replay (SGD and Adam may be in it)",
) -> None:
    """Raise RuntimeError if a CUDA graph is being captured."""
    graphs.refuse(f"{type(optimizer).__name__}.step", why, instead)
