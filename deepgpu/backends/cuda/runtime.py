"""What this machine offers of CUDA: CuPy or the emulator, and the handwritten kernels, compiled when first launched.

CuPy imports fine without a driver, so CuPy itself is asked, not its import. With ``DEEPGPU_CUDA=emulate`` in the
environment, or inside :func:`deepgpu.testing.emulated_cuda`, :mod:`~deepgpu.backends.cuda.emulator` stands in for it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from deepgpu.errors import DeviceUnavailableError, KernelCompileError

_STATIC_SHARED_LIMIT = 48 << 10
"""Bytes of shared memory that a launch may take without asking for more first."""

_emulating = os.environ.get("DEEPGPU_CUDA") == "emulate"


def emulating() -> bool:
    """Whether device "cuda" is the emulated one."""
    return _emulating


@contextlib.contextmanager
def emulated() -> Iterator[None]:
    """Inside, device "cuda" is the emulated one."""
    global _emulating
    before, _emulating = _emulating, True
    try:
        yield
    finally:
        _emulating = before


def cupy() -> Any:
    """The CuPy module, or what emulates it.

    Raises
    ------
    DeviceUnavailableError
        If CuPy is not installed, or is but finds no driver or device.
    """
    if _emulating:
        return importlib.import_module("deepgpu.backends.cuda.emulator")
    try:
        module = importlib.import_module("cupy")
    except ImportError as error:
        raise DeviceUnavailableError(
            "device 'cuda' needs CuPy, which cannot be imported here "
            f"({error}); install it with `pip install 'deepgpu[cuda13]'` (CUDA 13) or `'deepgpu[cuda12]'` (CUDA 12); "
            "without a GPU, DEEPGPU_CUDA=emulate runs the kernels on the CPU, slowly, to test them"
        ) from error
    if not module.cuda.is_available():
        raise DeviceUnavailableError(
            f"device 'cuda': CuPy {module.__version__} is installed, but finds no NVIDIA driver or device; "
            "`nvidia-smi` shows what the driver sees, and CUDA_VISIBLE_DEVICES what is hidden; "
            "DEEPGPU_CUDA=emulate runs the kernels on the CPU, slowly, to test them"
        )
    return module


def is_available() -> bool:
    """Whether a CUDA device can be used."""
    return device_count() > 0


def device_count() -> int:
    """How many CUDA devices can be used; 0 without CuPy or a driver."""
    try:
        return int(cupy().cuda.runtime.getDeviceCount())
    except DeviceUnavailableError:
        return 0


def checked_index(index: int | None) -> int:
    """The index of an existing device: `index`, or the current device's if it is None.

    Raises
    ------
    DeviceUnavailableError
        If there is no CUDA, or no device of that index.
    """
    module = cupy()
    if index is None:
        return int(module.cuda.Device().id)
    count = device_count()
    if not 0 <= index < count:
        have = "1 CUDA device, cuda:0" if count == 1 else f"{count} CUDA devices, cuda:0 to cuda:{count - 1}"
        raise DeviceUnavailableError(f"device 'cuda:{index}' does not exist: this machine has {have}")
    return index


def launch(
    kernel_file: str,
    name_expression: str,
    grid: tuple[int, ...],
    block: tuple[int, ...],
    args: tuple[Any, ...],
    shared_bytes: int = 0,
    reachable: Sequence[Any] = (),
) -> None:
    """Launch a kernel of ``kernels/cuda`` on the current device and stream; it is compiled at its first launch.

    Parameters
    ----------
    kernel_file
        Which source, ``"gemm.cu"``.
    name_expression
        Which of its kernels: the name of an ``extern "C"`` kernel, or a template instance such as
        ``"relu<float, 4>"``, spelled the same way each time.
    grid, block
        One to three dimensions. A grid with a 0 launches nothing.
    args
        The kernel's arguments in order. Arrays of the device (their data pointers: strides are arguments of their own)
        and None are pointers; everything else must be a NumPy scalar of the parameter's size, such as
        ``np.int32(n)`` or ``np.float32(eps)``; a structure is a structured NumPy scalar.
    shared_bytes
        Dynamic shared memory, beyond 48 KiB too.
    reachable
        Arrays whose addresses stand in other arrays: the emulator's checks want to know them.

    Raises
    ------
    KernelCompileError
        With the compiler's messages, and what to install if it is the compiler or a header that is missing.
    """
    if 0 in grid:
        return
    kernel = _kernel(kernel_file, name_expression, _emulating)
    if shared_bytes > kernel.max_dynamic_shared_size_bytes:
        kernel.max_dynamic_shared_size_bytes = shared_bytes
    # CuPy passes structures by value as arrays of one element
    values = tuple([np.asarray(a) if isinstance(a, np.void) else a for a in args])
    if reachable and _emulating:
        kernel(grid, block, values, shared_mem=shared_bytes, reachable=reachable)
    else:
        kernel(grid, block, values, shared_mem=shared_bytes)


@functools.cache
def _kernel(kernel_file: str, name_expression: str, emulate: bool) -> Any:
    """A compiled kernel. `emulate` is a part of the key only: :func:`cupy` knows what to compile with."""
    path = kernel_folder() / kernel_file
    if not path.is_file():
        raise FileNotFoundError(f"`launch`: there is no kernel file {kernel_file!r} in {path.parent}")
    expressions = (name_expression,) if "<" in name_expression or "::" in name_expression else None
    code = f'#line 1 "{kernel_file}"\n{path.read_text()}'  # so that messages name the file
    module = cupy().RawModule(code=code, options=compiler_options(), name_expressions=expressions)
    try:
        return module.get_function(name_expression)
    except Exception as error:  # CuPy raises errors of its own, of NVRTC, of the driver and of the dynamic loader
        what = f"{kernel_file}: `{name_expression}` cannot be compiled{_remedy(error)}"
        raise KernelCompileError(f"{what}: {error}") from error


def kernel_folder() -> Path:
    """Where the ``.cu`` files are."""
    return Path(str(resources.files("deepgpu.kernels.cuda")))


@functools.cache
def compiler_options() -> tuple[str, ...]:
    """What every kernel is compiled with.

    CuPy's disk cache knows a source and its options, not the headers that it includes: so their hash is an option.
    """
    include = kernel_folder() / "include"
    digest = hashlib.sha256()
    for header in sorted(include.rglob("*.cuh")):
        digest.update(header.name.encode() + b"\0" + header.read_bytes() + b"\0")
    return ("-std=c++17", f"-I{include}", f"-DDEEPGPU_HEADERS=0x{digest.hexdigest()[:8]}")


def _remedy(error: Exception) -> str:
    """What an error of the compiler or its loader says about the installation, and what to do about it."""
    text = str(error).lower()
    if "open source file" in text:
        return " for want of a header; CUDA's come with `pip install nvidia-cuda-runtime nvidia-cuda-crt`"
    if isinstance(error, (ImportError, OSError, RuntimeError)) and "nvrtc" in text:
        return " for want of NVRTC; it comes with `pip install nvidia-cuda-nvrtc` (CUDA 12: `nvidia-cuda-nvrtc-cu12`)"
    return ""
