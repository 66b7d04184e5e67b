"""Finds what the emulator needs from outside: g++, binutils, NVIDIA's headers, a cache folder."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from .errors import CompileError, ToolchainError

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
RUNTIME = HERE / "runtime"
KERNEL_INCLUDE = HERE.parent / "cuda" / "include"
"""deepgpu's own device headers (``ptx.cuh`` and others), on the include path of every module."""


@functools.cache
def tool(name: str) -> str:
    """The path of ``g++`` (environment variable ``CXX`` overrides) or of a program of binutils."""
    wanted = os.environ.get("CXX", name) if name == "g++" else name
    path = shutil.which(wanted)
    if path is None:
        raise ToolchainError(
            f"the CUDA emulator needs `{wanted}`, which is not on the PATH: install it with `apt-get install g++` "
            "(Debian, Ubuntu) or `dnf install gcc-c++` (Fedora)"
        )
    return path


@functools.cache
def nvidia_include() -> Path:
    """The folder of NVIDIA's headers: the wheels nvidia-cuda-runtime and nvidia-cuda-crt, or a CUDA toolkit."""
    candidates = []
    spec = importlib.util.find_spec("nvidia")
    if spec is not None and spec.submodule_search_locations:
        for root in spec.submodule_search_locations:
            candidates += [
                *sorted(Path(root).glob("cu*/include"), reverse=True),
                Path(root) / "cuda_runtime" / "include",
            ]
    candidates += [Path(os.environ[v]) / "include" for v in ("CUDA_HOME", "CUDA_PATH") if v in os.environ]
    candidates.append(Path("/usr/local/cuda/include"))
    for folder in candidates:
        if (folder / "cuda_fp16.h").exists() and (folder / "crt" / "host_defines.h").exists():
            return folder
    raise ToolchainError(
        "the CUDA emulator needs NVIDIA's headers (vector_types.h, cuda_fp16.h, crt/host_defines.h): "
        "`pip install nvidia-cuda-runtime nvidia-cuda-crt`"
    )


def cache_folder() -> Path:
    """Where compiled modules are kept: ``$DEEPGPU_CACHE/emulator``, by default ``~/.cache/deepgpu/emulator``."""
    root = os.environ.get("DEEPGPU_CACHE") or str(Path.home() / ".cache" / "deepgpu")
    folder = Path(root) / "emulator"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(*command: str, text: str | None = None) -> str:
    """Runs a program of the toolchain; what it writes to stderr becomes a CompileError when it fails."""
    # A preloaded library (a sanitizer, a profiler) is meant for the Python process, not for the compiler.
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise CompileError(done.stderr.strip() or f"{command[0]} failed with exit status {done.returncode}")
    return done.stdout
