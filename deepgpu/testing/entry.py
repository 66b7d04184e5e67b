"""One entry an op: :class:`OpEntry` says what an op is compared with and on what; the tests are generated from it."""

from __future__ import annotations

import importlib
import pkgutil
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import deepgpu.ops
from deepgpu.ops.op import REGISTRY
from deepgpu.tensor import Tensor
from deepgpu.testing.layouts import LAYOUTS
from deepgpu.testing.samples import FLOATING, INTEGRAL, Maker, Sample

for _module in pkgutil.iter_modules(deepgpu.ops.__path__):  # so that the registry is complete
    importlib.import_module(f"deepgpu.ops.{_module.name}")

TOLERANCES = {
    "float64": (1e-10, 1e-12),
    "float32": (1.3e-6, 1e-5),
    "float16": (2e-3, 1e-3),
    "bfloat16": (1.6e-2, 8e-3),
}
"""``(rtol, atol)`` of results and gradients: a few roundings of the dtype."""


class Failure:
    """A call that must raise: what PyTorch raises for it, with a message that says why.

    Parameters
    ----------
    sample
        The arguments.
    match
        A regular expression found in our message; it should name the argument and what it got.
    """

    def __init__(self, sample: Sample, match: str) -> None:
        self.sample = sample
        self.match = match


@dataclass(frozen=True)
class OpEntry:
    """How an op is tested.

    Attributes
    ----------
    name
        The op's name: in the registry of ops, or a method of :class:`~deepgpu.Tensor`.
    samples
        Yields the calls to try, given a :class:`Maker`. They should include 0-d and empty tensors, broadcasting,
        negative dimensions and every parameter.
    errors
        Yields calls that must fail.
    variant
        Tells several entries of one op apart.
    function
        What to test, if not the op of that name.
    reference
        The judge: a dotted name in ``torch``, or a function of PyTorch tensors; by default what has the same name in
        ``torch.nn.functional``, ``torch`` or ``torch.Tensor``.
    differentiable, double_backward
        Whether gradients, and gradients of gradients, are promised.
    dtypes
        Those to try forward. Where PyTorch takes a dtype, the op must; where it refuses, the op must refuse.
    domain
        Where floating-point values are drawn from, to keep away from poles.
    layouts
        Names of the memory layouts to try.
    keeps_layout
        A channels-last input gives a channels-last result.
    constants
        Positions and names of arguments without gradient.
    tolerances
        ``(rtol, atol)`` by dtype, where the default is too strict.
    inplace
        Whether there is a twin ``<name>_``; by default if both Tensor classes have one.
    skip
        Check (or ``"check:dtype"``) -> the reason why it is left out.
    """

    name: str
    samples: Callable[[Maker], Iterable[Sample]]
    errors: Callable[[Maker], Iterable[Failure]] | None = None
    variant: str = ""
    function: Callable[..., Any] | None = None
    reference: str | Callable[..., Any] | None = None
    differentiable: bool = True
    double_backward: bool = True
    dtypes: tuple[str, ...] = FLOATING + INTEGRAL
    domain: tuple[float, float] = (-2.0, 2.0)
    layouts: tuple[str, ...] = tuple(LAYOUTS)
    keeps_layout: bool = False
    constants: tuple[int | str, ...] = ()
    tolerances: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    inplace: bool | None = None
    skip: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The entry's name in test reports."""
        return f"{self.name}.{self.variant}" if self.variant else self.name

    def make(self, dtype: str) -> Maker:
        """The maker of this entry's arrays: the same values in every run."""
        return Maker(dtype, zlib.crc32(f"{self.id}:{dtype}".encode()), *self.domain)

    def tolerance(self, dtype: str) -> tuple[float, float]:
        """``(rtol, atol)`` for a dtype; exact for integers."""
        return self.tolerances.get(dtype) or TOLERANCES.get(dtype, (0.0, 0.0))

    def reason_to_skip(self, check: str, dtype: str | None = None) -> str | None:
        """Why a check is left out, or None."""
        return self.skip.get(check) or self.skip.get(f"{check}:{dtype}")

    @property
    def ours(self) -> Callable[..., Any]:
        """Our function."""
        if self.function is not None:
            return self.function
        if self.name in REGISTRY:
            return REGISTRY[self.name].function
        found = getattr(Tensor, self.name, None)
        if found is None:
            raise LookupError(f"`OpEntry`: `name` takes an op or a Tensor method, but there is no {self.name!r}")
        return found

    @property
    def theirs(self) -> Callable[..., Any]:
        """PyTorch's function."""
        if callable(self.reference):
            return self.reference
        import torch

        if self.reference is not None:
            found: Any = torch
            for part in self.reference.split("."):
                found = getattr(found, part)
            return found
        for place in (torch.nn.functional, torch, torch.Tensor):
            if hasattr(place, self.name):
                return getattr(place, self.name)
        raise LookupError(f"`OpEntry`: torch has no {self.name!r}; give the entry a `reference`")

    @property
    def has_inplace(self) -> bool:
        """Whether the in-place twin is tested."""
        if self.inplace is not None:
            return self.inplace
        import torch

        twin = f"{self.name}_"
        return hasattr(Tensor, twin) and hasattr(torch.Tensor, twin)

    @property
    def has_method(self) -> bool:
        """Whether the op is a tensor method too."""
        return self.function is None and self.name in REGISTRY and hasattr(Tensor, self.name)
