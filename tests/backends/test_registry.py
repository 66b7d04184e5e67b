"""Which backend serves an array or a device, and what one is told where there is none."""

import subprocess
import sys

import numpy as np
import pytest

from deepgpu.backends import registry
from deepgpu.backends.cuda import runtime
from deepgpu.errors import DeviceUnavailableError


def test_numpy_arrays_are_the_cpu_s():
    cpu = registry.get("cpu")
    assert cpu.type == "cpu"
    assert cpu.index is None
    assert cpu.xp is np
    assert registry.backend_of(np.zeros(3)) is cpu
    assert registry.backend_of(np.float32(1)) is cpu  # what NumPy makes of a 0-d result
    assert registry.backend_of(np.zeros(3)[::2]) is cpu


def test_cpu_arrays_are_not_copied():
    x, cpu = np.zeros(3), registry.get("cpu")
    assert cpu.from_numpy(x) is x
    assert cpu.to_numpy(x) is x
    cpu.synchronize()


def test_no_other_kind_of_array():
    with pytest.raises(TypeError, match=r"`array` takes a NumPy or a CuPy array, but got list"):
        registry.backend_of([1, 2])


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes the import fail
    with pytest.raises(DeviceUnavailableError, match=r"needs CuPy.*pip install 'deepgpu\[cuda13\]'"):
        registry.get("cuda")
    assert not runtime.is_available()
    assert runtime.device_count() == 0


def test_cupy_without_a_device(fake_cupy):
    fake_cupy(0)
    with pytest.raises(DeviceUnavailableError, match=r"CuPy 0.0 is installed, but finds no NVIDIA driver or device"):
        registry.get("cuda", 0)
    assert not runtime.is_available()


def test_device_that_does_not_exist(fake_cupy):
    fake_cupy(1)
    with pytest.raises(DeviceUnavailableError, match=r"'cuda:1' does not exist.* 1 CUDA device, cuda:0"):
        registry.get("cuda", 1)
    fake_cupy(3)
    with pytest.raises(DeviceUnavailableError, match=r"'cuda:3' does not exist.* 3 CUDA devices, cuda:0 to cuda:2"):
        registry.get("cuda", 3)


def test_one_backend_a_device(fake_cupy):
    cupy = fake_cupy(2)
    assert runtime.is_available()
    assert runtime.device_count() == 2
    backend = registry.get("cuda", 1)
    assert (backend.type, backend.index) == ("cuda", 1)
    assert registry.get("cuda", 1) is backend
    assert registry.get("cuda", 0) is not backend
    assert registry.get("cuda") is registry.get("cuda", 0)  # the current device
    assert registry.backend_of(cupy.asarray([1.0, 2.0])) is backend  # where that array says it is


def test_looking_up_loads_neither_numba_nor_cupy():
    code = (
        "import sys, numpy; from deepgpu.backends import registry; registry.backend_of(numpy.zeros(1));"
        "registry.get('cpu'); assert not {'numba', 'cupy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
