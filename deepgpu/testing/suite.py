"""The tests that entries stand for, as a class for pytest.

::

    class TestPointwise(OpTests):
        entries = [OpEntry("exp", unary), OpEntry("log", unary, domain=(0.1, 3.0))]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from deepgpu.testing import checks
from deepgpu.testing.devices import usable
from deepgpu.testing.entry import OpEntry

DEVICES: tuple[str, ...] = ("cpu", "cuda")
"""Where entries run; "cuda" is emulated on a machine without a GPU."""


class OpTests:
    """Derive a class named ``Test...`` and give it ``entries``: pytest finds a test for every check of every entry."""

    entries: ClassVar[Sequence[OpEntry]] = ()
    devices: ClassVar[Sequence[str]] = DEVICES

    def __init_subclass__(cls) -> None:
        """Leave out the tests that apply to none of the entries."""
        for name, select in _SELECT.items():
            if not any(True for entry in cls.entries for _ in select(entry)):
                setattr(cls, name, None)

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Give each test the entries that it applies to."""
        select = _SELECT.get(metafunc.function.__name__)
        if select is None:
            return
        import pytest

        check = metafunc.function.__name__.removeprefix("test_")
        cases = []
        for device in self.devices:
            for entry in self.entries:
                for dtype in select(entry):
                    if device == "cuda" and (check, dtype) not in _ON_CUDA:
                        continue
                    reason = entry.reason_to_skip(check, dtype)
                    skips = [] if reason is None else [pytest.mark.skip(reason=reason)]
                    cases.append(pytest.param(entry, device, dtype, id=f"{entry.id}-{device}-{dtype}", marks=skips))
        metafunc.parametrize(("entry", "device", "dtype"), cases)

    def test_forward(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_forward`."""
        with usable(device):
            checks.check_forward(entry, device, dtype)

    def test_gradient(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_gradient`."""
        with usable(device):
            checks.check_gradient(entry, device, dtype)

    def test_double_backward(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_double_backward`."""
        with usable(device):
            checks.check_double_backward(entry, device, dtype)

    def test_gradgrad(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_gradgrad`."""
        with usable(device):
            checks.check_gradgrad(entry, device, dtype)

    def test_inplace(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_inplace`."""
        with usable(device):
            checks.check_inplace(entry, device, dtype)

    def test_method(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_method`."""
        with usable(device):
            checks.check_method(entry, device, dtype)

    def test_errors(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_errors`."""
        with usable(device):
            checks.check_errors(entry, device, dtype)

    def test_release(self, entry: OpEntry, device: str, dtype: str) -> None:
        """See :func:`deepgpu.testing.checks.check_release`."""
        with usable(device):
            checks.check_release(entry, device, dtype)


def _precise(entry: OpEntry) -> Iterator[str]:
    """float64 and float32, as far as the entry takes them."""
    return (d for d in ("float64", "float32") if d in entry.dtypes)


def _kinds(entry: OpEntry) -> Iterator[str]:
    """A dtype or two of each kind."""
    return (d for d in ("float64", "float32", "int64", "bool") if d in entry.dtypes)


def _first(entry: OpEntry) -> Iterator[str]:
    return iter(entry.dtypes[:1])


_SELECT: dict[str, Callable[[OpEntry], Iterator[str]]] = {
    "test_forward": lambda e: iter(e.dtypes),
    "test_gradient": lambda e: _precise(e) if e.differentiable else iter(()),
    "test_double_backward": lambda e: iter(["float64"] if e.double_backward and e.differentiable else []),
    "test_gradgrad": lambda e: iter(["float64"] if e.double_backward and e.differentiable else []),
    "test_inplace": lambda e: iter(
        [d for d in ("float64", "float32", "int64", "bool") if d in e.dtypes and e.has_inplace]
    ),
    "test_method": lambda e: _first(e) if e.has_method else iter(()),
    "test_errors": lambda e: _first(e) if e.errors is not None else iter(()),
    "test_release": lambda e: iter(["float64"] if e.differentiable else []),
}
"""Which dtypes of an entry a test runs on."""

_ON_CUDA = {("forward", "int64"), ("double_backward", "float64")} | {
    (c, "float32") for c in ("forward", "gradient", "inplace")
}
"""The tests that run on "cuda" too: what is left out has nothing to do with the device, or costs more than it finds."""
