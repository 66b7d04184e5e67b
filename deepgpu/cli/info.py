"""``deepgpu info``."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import deepgpu

EXTRAS = (
    ("PIL", "pillow", "image files", "vision"),
    ("matplotlib", "matplotlib", "pictures", "plots"),
    ("optuna", "optuna", "tuning", "tune"),
)


def info() -> None:
    """Versions, processors, threads, GPUs; what is missing and the command that installs it."""
    from deepgpu.train.sources import SOURCES

    missing: list[str] = []
    rows = [
        ("deepgpu", deepgpu.__version__),
        ("python", f"{platform.python_version()} at {sys.executable}"),
        ("system", platform.platform()),
        ("processor", f"{_processor()}, {len(os.sched_getaffinity(0))} threads"),
        ("numpy", f"{_version('numpy')}, {_blas()}"),
        ("numba", f"{_version('numba')}, {_numba_threads()} threads"),
    ]
    rows += _gpus(missing)
    for module, package, purpose, extra in EXTRAS:
        if _importable(module):
            rows.append((package, f"{_version(package)} ({purpose})"))
        else:
            missing.append(f"{package}, for {purpose}: pip install 'deepgpu[{extra}]'")
    for source in SOURCES.values():
        if source.is_here():
            rows.append(("data", source.name))
        else:
            missing.append(f"the data set {source.name}: deepgpu data {source.name} --download")
    for name, value in rows:
        print(f"{name:10} {value}")
    for what in missing:
        print(f"{'missing':10} {what}")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _importable(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _blas() -> str:
    import threadpoolctl

    found = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "blas"]
    return (
        ", ".join(f"{p['internal_api']} {p['version']} ({p['num_threads']} threads)" for p in found) or "no BLAS found"
    )


def _numba_threads() -> int:
    import numba

    return numba.get_num_threads()


def _gpus(missing: list[str]) -> list[tuple[str, Any]]:
    from deepgpu import cuda
    from deepgpu.backends.cuda import runtime
    from deepgpu.errors import DeviceUnavailableError

    try:
        runtime.cupy()
    except DeviceUnavailableError as error:
        missing.append(str(error))
        return [("gpu", "none")]
    rows = []
    for i in range(cuda.device_count()):
        free, total = cuda.mem_get_info(i)
        rows.append(("gpu", f"cuda:{i} {cuda.get_device_name(i)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"))
    return rows
