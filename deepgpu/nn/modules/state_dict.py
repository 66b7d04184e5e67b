"""A module's state as a flat dictionary of tensors, in PyTorch's format: ``{"layer1.0.conv1.weight": tensor, ...}``."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn.modules.members import Members
from deepgpu.nn.parameter import Parameter
from deepgpu.tensor import Tensor

EXTRA_STATE = "_extra_state"
"""The key, behind a module's prefix, of what ``get_extra_state`` returns."""


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What :meth:`StateDict.load_state_dict` found missing and unexpected."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class StateDict(Members):
    """``state_dict`` and ``load_state_dict``."""

    _version: int = 1
    """The format of the module's own entries; written to the metadata, for ``_load_from_state_dict`` to look at."""

    _state_dict_pre_hooks: OrderedDict[int, Any]
    _state_dict_hooks: OrderedDict[int, Any]
    _load_state_dict_pre_hooks: OrderedDict[int, Any]
    _load_state_dict_post_hooks: OrderedDict[int, Any]

    # --- saving -----------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers by their dotted names.

        Parameters
        ----------
        destination
            A dictionary to fill instead of a new one.
        prefix
            Put before each name.
        keep_vars
            Give the parameters themselves instead of detached tensors on the same memory.

        Returns
        -------
        OrderedDict
            Its attribute ``_metadata`` holds the version of each module's entries.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            replaced = hook(self, destination, prefix, local_metadata)
            if replaced is not None:
                raise RuntimeError("a state_dict post-hook must change `state_dict` in place and return None")
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Write this module's own entries; submodules write theirs."""
        for name, tensor in self._own_state().items():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not StateDict.get_extra_state:
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def _own_state(self) -> dict[str, Tensor]:
        """The module's own parameters and persistent buffers."""
        kept = {k: b for k, b in self._buffers.items() if k not in self._non_persistent_buffers_set}
        return {k: t for k, t in [*self._parameters.items(), *kept.items()] if t is not None}

    def get_extra_state(self) -> Any:
        """Override to save something besides tensors in the state dict; :meth:`set_extra_state` gets it back."""
        raise RuntimeError(
            f"`{type(self).__name__}` has no `get_extra_state`; define it together with `set_extra_state`"
        )

    def set_extra_state(self, state: Any) -> None:
        """Override to take what :meth:`get_extra_state` saved."""
        raise RuntimeError(
            f"`{type(self).__name__}` has no `set_extra_state`, but the state dict has an extra state for it; "
            "define it together with `get_extra_state`"
        )

    # --- loading ----------------------------------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy parameters and buffers from a state dict into this module and its submodules.

        Parameters
        ----------
        state_dict
            Tensors by dotted name.
        strict
            Whether the keys must be exactly those of :meth:`state_dict`.
        assign
            Let the module hold the given tensors, with their dtypes and devices, instead of copying their values.

        Returns
        -------
        named tuple
            ``missing_keys`` and ``unexpected_keys``.

        Raises
        ------
        TypeError
            If ``state_dict`` is no mapping.
        RuntimeError
            If keys do not match (with ``strict``) or shapes differ; the message lists every one of them. Entries that
            do match have been copied by then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        entries = OrderedDict(state_dict)
        metadata = getattr(state_dict, "_metadata", None) or {}
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []

        def load(module: Any, entries: dict[str, Any], prefix: str) -> None:
            local_metadata = dict(metadata.get(prefix[:-1], {}))
            if assign:
                local_metadata["assign_to_params_buffers"] = True
            module._load_from_state_dict(entries, prefix, local_metadata, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    inner = f"{prefix}{name}."
                    load(child, {k: v for k, v in entries.items() if k.startswith(inner)}, inner)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, _IncompatibleKeys(missing, unexpected)) is not None:
                    raise RuntimeError("a load_state_dict post-hook must change the lists in place and return None")

        load(self, entries, "")
        if strict:
            if unexpected:
                errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
            if missing:
                errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if errors:
            listed = "\n\t".join(errors)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
        return _IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Read this module's own entries; override to accept an older format, by ``local_metadata["version"]``."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = self._own_state()
        for name, target in own.items():
            key = prefix + name
            if key in state_dict:
                problem = self._load_entry(name, target, state_dict[key], key, assign)
                if problem:
                    error_msgs.append(problem)
            elif strict:
                missing_keys.append(key)

        extra_key = prefix + EXTRA_STATE
        if type(self).set_extra_state is not StateDict.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)

        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    name, _, rest = key[len(prefix) :].partition(".")
                    if name not in (self._modules if rest else own):
                        unexpected_keys.append(key)

    def _load_entry(self, name: str, target: Tensor, value: Any, key: str, assign: bool) -> str | None:
        """Copy one entry, or say why it cannot be."""
        if not isinstance(value, Tensor):
            return (
                f'While copying the parameter named "{key}", expected a tensor from the checkpoint but received '
                f"{type(value)}; `deepgpu.as_tensor` makes one of a NumPy array. "
            )
        if target.dim() == 0 and value.shape == (1,):  # how PyTorch 0.3 wrote scalars
            value = value[0]
        if value.shape != target.shape:
            return (
                f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
                f"the shape in current model is {target.shape}."
            )
        with no_grad():
            if not assign:
                target.copy_(value)
            elif not isinstance(target, Parameter):
                setattr(self, name, value)
            elif isinstance(value, Parameter):
                setattr(self, name, value.requires_grad_(target.requires_grad))
            else:
                setattr(self, name, Parameter(value, target.requires_grad))
        return None


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
