"""How the CPU kernels are compiled: Numba, with a disk cache that notices every change.

Numba's own ``cache=True`` looks only at the file a function stands in. Our kernels call intrinsics from other files and
emit vector instructions for the host, so the cache folder's name carries a hash of *all* kernel sources, of Numba's and
llvmlite's versions and of the host's features: whatever changes, a stale machine-code file is never loaded.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import llvmlite
import numba
from llvmlite import binding, ir
from numba.core import config, event
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    UserProvidedCacheLocator,
)

from .notice import Notice

F = TypeVar("F", bound=Callable[..., Any])


def cache_root() -> Path:
    """Where compiled kernels are kept: ``$DEEPGPU_CACHE/jit``, by default ``~/.cache/deepgpu/jit``."""
    base = os.environ.get("DEEPGPU_CACHE")
    if base is None:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "deepgpu")
    return Path(base) / "jit"


def host_features() -> str:
    """The instruction sets that LLVM may use: Numba's override ``NUMBA_CPU_FEATURES`` if set, else the host's."""
    if config.CPU_NAME:
        return str(config.CPU_FEATURES or "")
    return str(binding.get_host_cpu_features().flatten())


@functools.lru_cache(maxsize=1)
def cache_directory() -> Path:
    """The folder of this combination of sources, compiler and host.

    Where :func:`cache_root` cannot be written (a read-only home), a folder of this user's among the temporary files.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    host = config.CPU_NAME or binding.get_host_cpu_name()
    versions = (*sys.version_info[:2], numba.__version__, llvmlite.__version__)
    digest.update(f"{versions} {host} {host_features()}".encode())
    name = digest.hexdigest()[:16]
    try:
        (cache_root() / name).mkdir(parents=True, exist_ok=True)
        return cache_root() / name
    except OSError:
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        return Path(tempfile.gettempdir()) / f"deepgpu-{user}" / "jit" / name


class _Locator(UserProvidedCacheLocator):
    """Puts index and machine-code files into :func:`cache_directory`."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._lineno = py_func.__code__.co_firstlineno
        self._cache_path = str(cache_directory())

    def get_source_stamp(self) -> Any:
        return "named by the folder"  # an installation or a touch changes times, not kernels

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Locator:
        return cls(py_func, py_file)


def _hollow(bitcode: bytes) -> bytes:
    """A module that defines functions of the same names, so that they are found, but without what they do."""
    hollow = ir.Module()
    for function in binding.parse_bitcode(bitcode).functions:
        if not function.is_declaration:
            found = ir.Function(hollow, ir.FunctionType(ir.VoidType(), []), function.name)
            ir.IRBuilder(found.append_basic_block()).unreachable()
    return bytes(binding.parse_assembly(str(hollow)).as_bitcode())


class _CacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 - Numba's own attribute
    linked = True

    def reduce(self, data: Any) -> Any:
        (name, kind, (machine_code, bitcode)), *others = super().reduce(data)
        if not self.linked:
            bitcode = _hollow(bitcode)
        return ((name, kind, (machine_code, bitcode)), *others)

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        result = super().rebuild(target_context, payload)
        # What must be started before the code may run, such as Numba's threads. A library that was compiled passes it
        # on to those that link it; one that was loaded would not, and their code would crash in the next process.
        result.library._reload_init.update(result.reload_init)
        return result


class _Files(IndexDataCacheFile):
    """Index and machine-code files of one function, the latter named after what they hold.

    Numba numbers them: two processes that compile two signatures at once would both write number 1, and from then on
    the machine code of one would be run for the other.
    """

    def save(self, key: Any, data: Any) -> None:
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        name = f"{self._index_name.removesuffix('.nbi')}.{digest}.nbc"
        self._save_data(name, data)
        self._save_index({**self._load_index(), key: name})  # an entry that another process adds just now is lost


class _Cache(FunctionCache):
    _impl_class = _CacheImpl

    def __init__(self, py_func: Callable[..., Any], linked: bool) -> None:
        super().__init__(py_func)
        self._impl.linked = linked
        # with the module's name, which Numba leaves out: functions of one name may share their code, see parallel_for
        name = f"{py_func.__module__}.{py_func.__qualname__}-{py_func.__code__.co_firstlineno}"
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _Files(self._cache_path, name.replace("<", "").replace(">", ""), stamp)


def kernel(function: F | None = None, *, parallel: bool = False, linked: bool = True, **options: Any) -> Any:
    """Compile a function with Numba at its first call, and keep the result on disk.

    Parameters
    ----------
    parallel
        ``prange`` loops run on all threads.
    linked
        Whether other kernels may call it. If not, only its machine code is kept: the bitcode that others would be
        linked with takes as long to read as all the rest.
    **options
        Passed on to :func:`numba.njit` (``fastmath``, ``inline``, ...).

    Notes
    -----
    Division follows IEEE 754 as NumPy's does: one that might raise an error is not vectorised.
    """
    if function is None:
        return functools.partial(kernel, parallel=parallel, linked=linked, **options)
    dispatcher = numba.njit(function, parallel=parallel, error_model="numpy", **options)
    dispatcher._cache = _Cache(function, linked)
    return dispatcher


event.register("numba:compile", Notice(__package__, cache_root))
