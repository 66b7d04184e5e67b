"""What a module consists of: its parameters, buffers and submodules, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from deepgpu.nn.parameter import Buffer, Parameter
from deepgpu.tensor import Tensor

if TYPE_CHECKING:
    from deepgpu.nn.modules.module import Module


class Members:
    """Registration by assignment, and the walks over everything that is registered."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

    # --- registration -----------------------------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under ``name``; None declares the name and leaves it empty.

        Raises
        ------
        TypeError
            If ``param`` is no parameter.
        KeyError
            If the name is empty, has a dot, or belongs to another attribute.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_kind(param)}' object to parameter '{name}' (nn.Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not trained.

        Parameters
        ----------
        persistent
            Whether it is part of the ``state_dict``.

        Raises
        ------
        TypeError
            If ``tensor`` is no tensor.
        KeyError
            If the name is empty, has a dot, or belongs to another attribute.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name(name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(f"cannot assign '{_kind(tensor)}' object to buffer '{name}' (Tensor or None required)")
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under ``name``; None declares the name and leaves it empty.

        Raises
        ------
        TypeError
            If ``module`` is no module.
        KeyError
            If the name is empty, has a dot, or belongs to another attribute.
        """
        if module is not None and not isinstance(module, Members):
            raise TypeError(f"{_kind(module)} is not a Module subclass")
        self._check_name(name, "module", self._modules)
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """As :meth:`add_module`."""
        self.add_module(name, module)

    def _check_name(self, name: str, what: str, table: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    # --- attributes -------------------------------------------------------------------------------------------------

    def _tables(self) -> tuple[dict[str, Any], ...]:
        """Where attributes are registered; empty before ``__init__`` has run."""
        own = self.__dict__
        return own.get("_parameters", {}), own.get("_buffers", {}), own.get("_modules", {})

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            if table in own and name in own[table]:
                return own[table][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        parameters, buffers, modules = self._tables()
        if isinstance(value, Parameter):
            self._forget(name, keep=parameters)
            self.register_parameter(name, value)
        elif name in parameters:
            _empties(name, value, "parameter", "nn.Parameter")
            parameters[name] = None
        elif isinstance(value, Members):
            if "_modules" not in self.__dict__:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, keep=modules)
            modules[name] = value
        elif name in modules:
            _empties(name, value, "child module", "nn.Module")
            modules[name] = None
        elif isinstance(value, Buffer):
            self._forget(name, keep=buffers)
            self.register_buffer(name, value, value.persistent)
        elif name in buffers:
            if not isinstance(value, Tensor):
                _empties(name, value, "buffer", "Tensor")
            buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name: str, keep: dict[str, Any]) -> None:
        """Make room for ``name`` in the table ``keep``, where it keeps its place."""
        for table in (self.__dict__, *self._tables()):
            if table is not keep and name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        for table in self._tables():
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__}
        names.update(*self._tables())
        return sorted(name for name in names if not name[0].isdigit())  # as `model.0` is no Python

    # --- walks ------------------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """All modules of the tree with their dotted names, this one first.

        Parameters
        ----------
        memo
            Modules to leave out; those found are added.
        prefix
            Put before each name.
        remove_duplicate
            Whether a module that occurs twice is found only once.
        """
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self  # type: ignore[misc]
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(seen, _joined(prefix, name), remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """All modules of the tree, this one first, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, members: Callable[[Any], dict[str, Any]], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        found = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in found:
            for name, member in members(module).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield _joined(path, name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names.

        Parameters
        ----------
        prefix
            Put before each name.
        recurse
            Also those of submodules.
        remove_duplicate
            Whether a parameter that occurs twice is found only once.
        """
        return self._named_members(lambda m: m._parameters, prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once; with ``recurse`` also those of submodules."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names; arguments as for :meth:`named_parameters`."""
        return self._named_members(lambda m: m._buffers, prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once; with ``recurse`` also those of submodules."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # --- by dotted name ---------------------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The module called ``target``, such as ``"layer1.0.conv1"``; itself for the empty string.

        Raises
        ------
        AttributeError
            If there is no such attribute, or it is no module.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            found = getattr(module, name, _MISSING)
            if found is _MISSING:
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            if not isinstance(found, Members):
                raise AttributeError(f"`{name}` is not an nn.Module")
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at the dotted name ``target``.

        Parameters
        ----------
        strict
            Only replace a module that is there.

        Raises
        ------
        AttributeError
            If the parent does not exist, or ``strict`` is set and there is nothing to replace.
        ValueError
            If ``target`` is empty, or ``module`` is no module.
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Members):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Members):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter called ``target``, such as ``"layer1.0.conv1.weight"``.

        Raises
        ------
        AttributeError
            If there is no such attribute, or it is no parameter.
        """
        owner, name = self._owner_of(target)
        found = getattr(owner, name)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer called ``target``, such as ``"layer1.0.bn1.running_mean"``.

        Raises
        ------
        AttributeError
            If there is no such attribute, or it is no buffer.
        """
        owner, name = self._owner_of(target)
        if name not in owner._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return getattr(owner, name)

    def _owner_of(self, target: str) -> tuple[Module, str]:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        return owner, name


_MISSING = object()


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _empties(name: str, value: Any, what: str, expected: str) -> None:
    """A registered name takes its own kind or None."""
    if value is not None:
        raise TypeError(f"cannot assign '{_kind(value)}' as {what} '{name}' ({expected} or None expected)")


def _kind(value: Any) -> str:
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
