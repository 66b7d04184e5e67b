"""The base class of all layers and models."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

from deepgpu.nn.modules.conversion import Conversion
from deepgpu.nn.modules.hooks import HOOK_TABLES, Hooks
from deepgpu.nn.modules.state_dict import StateDict

M = TypeVar("M", bound="Module")


class Module(Hooks, StateDict, Conversion):
    """A layer or a model: a function with parameters, made of other modules.

    A subclass calls ``super().__init__()``, assigns parameters and submodules to attributes, and defines ``forward``::

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 20, 5)

            def forward(self, x):
                return F.relu(self.conv(x))

    Attributes
    ----------
    training
        Whether it is in training mode, which dropout and batch norm look at.
    """

    training: bool

    def __init__(self) -> None:
        own = self.__dict__  # past `__setattr__`, which looks at these
        own["training"] = True
        own["_parameters"] = {}
        own["_buffers"] = {}
        own["_non_persistent_buffers_set"] = set()
        own["_modules"] = {}
        for table in HOOK_TABLES:
            own[table] = OrderedDict()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output. Call the module itself instead, which also runs the hooks."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def train(self: M, mode: bool = True) -> M:
        """Set training mode for this module and all in it."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        """Set evaluation mode: ``train(False)``."""
        return self.train(False)

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Call ``fn`` on every module in the tree, children before their parents."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Freeze (False) or train (True) all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters.

        Parameters
        ----------
        set_to_none
            Drop them, rather than fill them with zeros.
        """
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad.detach_().zero_()

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands in the parentheses of ``repr``; override to show a layer's settings."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        lines += [_indented(f"({name}): {module!r}") for name, module in self._modules.items()]
        if not self._modules and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        body = "\n  ".join(lines)
        return f"{self._get_name()}(\n  {body}\n)"


def _indented(text: str) -> str:
    """All lines but the first moved two spaces to the right."""
    return text.replace("\n", "\n  ")
