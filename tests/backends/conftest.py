"""A stand-in for CuPy on machines without one: NumPy's functions, and devices that only remember who used them."""

import sys
import types

import numpy as np
import pytest


class FakeArray:
    """An array that is not NumPy's and knows its device."""

    device = types.SimpleNamespace(id=1)

    def __init__(self, values):
        self.values = np.array(values)


class FakeDevice:
    """``cupy.cuda.Device``; ``entered`` lists the devices that were made current."""

    entered: list[int] = []  # noqa: RUF012 - reset by the fixture
    synchronized: list[int] = []  # noqa: RUF012

    def __init__(self, index=0):
        self.id = index

    def __enter__(self):
        self.entered.append(self.id)
        return self

    def __exit__(self, *_):
        pass

    def synchronize(self):
        self.synchronized.append(self.id)


class FakeCupy(types.ModuleType):
    """NumPy under CuPy's name, with `count` devices."""

    __version__ = "0.0"
    ndarray = FakeArray

    def __init__(self, count):
        super().__init__("cupy")
        runtime = types.SimpleNamespace(getDeviceCount=lambda: count)
        self.cuda = types.SimpleNamespace(
            is_available=lambda: count > 0, runtime=runtime, Device=FakeDevice, set_allocator=lambda allocator: None
        )

    def __getattr__(self, name):
        return getattr(np, name)

    @staticmethod
    def asarray(values, dtype=None):
        """A transfer to the device, or with a dtype a constant for a computation, which is NumPy's here."""
        return FakeArray(values) if dtype is None else np.asarray(values, dtype)

    @staticmethod
    def get_default_memory_pool():
        return None

    @staticmethod
    def asnumpy(x):
        return x.values.copy()


@pytest.fixture
def fake_cupy(monkeypatch):
    """A function that makes CuPy appear, with so many devices."""
    from deepgpu.backends import registry

    def appear(count):
        FakeDevice.entered, FakeDevice.synchronized = [], []
        module = FakeCupy(count)
        monkeypatch.setitem(sys.modules, "cupy", module)
        return module

    registry._cuda.cache_clear()
    yield appear
    registry._cuda.cache_clear()
