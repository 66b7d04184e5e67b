"""Modules and kernels, with CuPy's names and conventions."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import runtime
from .arguments import PackedArguments, pack
from .compiler import DYNAMIC_SHARED_LIMIT, CompiledModule, KernelEntry, SharedVariable, compile_module
from .errors import CompileError, LaunchError
from .memory import DeviceMemory
from .report import KINDS, make_error
from .schedule import Schedule
from .traffic import Traffic

_DEFAULT_SHARED_LIMIT = 48 << 10


class _Build:
    """A module compiled one way, loaded."""

    def __init__(self, compiled: CompiledModule) -> None:
        self.compiled = compiled
        self.library = runtime.Library(compiled.path)

    def entry(self, expression: str) -> tuple[KernelEntry, runtime.Kernel]:
        entry = next(k for k in self.compiled.kernels if k.expression == expression)
        return entry, self.library.kernel(entry.number)

    def shared_variables(self, kernel: runtime.Kernel, dynamic: int) -> list[SharedVariable]:
        """The shared variables that a kernel can use: not those of other kernels. The dynamic memory comes last."""
        function = (kernel.function or 0) - self.library.base
        kernels = {(self.library.kernel(k.number).function or 0) - self.library.base for k in self.compiled.kernels}
        mine = [v for v in self.compiled.shared if v.owner is None or v.owner == function or v.owner not in kernels]
        return [*mine, SharedVariable("dynamic shared memory", self.compiled.dynamic_offset, dynamic, None)]


class RawModule:
    """CUDA C++ source, compiled for the CPU.

    Parameters
    ----------
    code : str, optional
        The source.
    path : str or Path, optional
        Or the file it is in; then ``#include "..."`` is relative to that file.
    options : sequence of str
        NVRTC's options: ``-I``, ``-D``, ``-std``, ``-arch``; those that only tune code for a GPU are ignored.
    name_expressions : sequence of str
        Kernels beside the ``extern "C"`` ones: template instances such as ``"scale<float, 4>"``.
    check : bool
        Check every access and synchronisation of every launch.
    seed : int
        The schedule of launches that give none: 0 in ascending order, 1 in descending order, others random.
    enable_cooperative_groups : bool
        All blocks of a launch are resident, and ``grid.sync()`` works.

    Raises
    ------
    CompileError
        When `get_function` first compiles the module, as in CuPy.
    """

    def __init__(
        self,
        code: str | None = None,
        *,
        path: str | Path | None = None,
        options: Sequence[str] = (),
        name_expressions: Sequence[str] | None = None,
        check: bool = False,
        seed: int = 0,
        enable_cooperative_groups: bool = False,
    ) -> None:
        if (code is None) == (path is None):
            raise TypeError("RawModule takes either `code` or `path`")
        self.name = str(path) if path is not None else "kernel.cu"
        self.code = Path(path).read_text() if path is not None else str(code)
        self.options = tuple(options)
        self.name_expressions = tuple(name_expressions or ())
        self.check = check
        self.seed = seed
        self.enable_cooperative_groups = enable_cooperative_groups
        self._builds: dict[bool, _Build] = {}
        self._traffic: Traffic | None = None

    def compile(self) -> None:
        """Compiles the module now; otherwise `get_function` does."""
        self._build(self.check)

    def _build(self, checked: bool) -> _Build:
        if checked not in self._builds:
            self._builds[checked] = _Build(
                compile_module(self.code, self.name, self.options, self.name_expressions, checked)
            )
        return self._builds[checked]

    @property
    def kernel_names(self) -> list[str]:
        """The kernels that `get_function` takes."""
        return [k.expression for k in self._build(self.check).compiled.kernels]

    @property
    def declared_kernels(self) -> list[str]:
        """All ``__global__`` functions of the source, templates included."""
        return [k.name for k in self._build(self.check).compiled.declared]

    def get_function(self, name: str) -> Kernel:
        """The kernel called `name`: an ``extern "C"`` function or one of `name_expressions`."""
        compiled = self._build(self.check).compiled
        if name not in (k.expression for k in compiled.kernels):
            declared = [k.name for k in compiled.declared]
            if name.split("<")[0].split("::")[-1] in (d.split("::")[-1] for d in declared):
                raise CompileError(f'{self.name}: `{name}` is not extern "C": name it in name_expressions=("{name}",)')
            known = ", ".join(f"`{d}`" for d in declared) or "none"
            raise CompileError(f"{self.name}: there is no kernel `{name}`; the source has {known}")
        return Kernel(self, name)

    def get_global(self, name: str) -> np.ndarray:
        """The bytes of a ``__device__`` or ``__constant__`` variable, as a NumPy array of uint8 (use ``.view``).

        The fast and the checked build of a module have their own variables; this is that of the mode the module is in.
        """
        build = self._build(self.check)
        for v in build.compiled.variables:
            if v.name == name or v.name.split("::")[-1] == name:
                return np.ctypeslib.as_array((ctypes.c_uint8 * v.size).from_address(build.library.base + v.address))
        raise KeyError(
            f"{self.name}: there is no variable `{name}`; it has {[v.name for v in build.compiled.variables]}"
        )

    @contextlib.contextmanager
    def count(self) -> Iterator[Traffic]:
        """Counts the memory traffic of the launches inside the ``with`` block."""
        previous, self._traffic = self._traffic, Traffic()
        try:
            yield self._traffic
        finally:
            self._traffic = previous


class RawKernel:
    """One ``extern "C"`` kernel (or template instance) of a source. See RawModule for the other parameters."""

    def __init__(self, code: str, name: str, options: Sequence[str] = (), **keywords: Any) -> None:
        expressions = (name,) if "<" in name or "::" in name else ()
        self.module = RawModule(code, options=options, name_expressions=expressions, **keywords)
        self.name = name
        self._kernel: Kernel | None = None

    @property
    def kernel(self) -> Kernel:
        """The compiled kernel."""
        if self._kernel is None:
            self._kernel = self.module.get_function(self.name)
        return self._kernel

    def __call__(self, grid: Sequence[int], block: Sequence[int], args: Sequence[Any], **keywords: Any) -> None:
        self.kernel(grid, block, args, **keywords)


def _dimensions(
    kernel: str, what: str, values: Sequence[int] | int, limits: tuple[int, int, int]
) -> tuple[int, int, int]:
    given = (values,) if isinstance(values, (int, np.integer)) else tuple(values)
    if not 1 <= len(given) <= 3:
        raise LaunchError(f"{kernel}: {what} has 1 to 3 dimensions, got {given}")
    x, y, z = (*map(int, given), 1, 1)[:3]
    for value, limit in zip((x, y, z), limits, strict=True):
        if not 1 <= value <= limit:
            raise LaunchError(f"{kernel}: {what} {given} is out of range: from 1 to {limits} a dimension")
    return x, y, z


class Kernel:
    """A kernel of a module; call it as CuPy's.

    Attributes
    ----------
    max_dynamic_shared_size_bytes : int
        How much dynamic shared memory a launch may ask for. As on a GPU, more than 48 KiB must be allowed first.
    """

    def __init__(self, module: RawModule, name: str) -> None:
        self.module = module
        self.name = name
        self.max_dynamic_shared_size_bytes = _DEFAULT_SHARED_LIMIT
        self._entries: dict[bool, tuple[_Build, KernelEntry, runtime.Kernel]] = {}

    def _entry(self, checked: bool) -> tuple[_Build, KernelEntry, runtime.Kernel]:
        if checked not in self._entries:
            build = self.module._build(checked)
            self._entries[checked] = (build, *build.entry(self.name))
        return self._entries[checked]

    @property
    def signature(self) -> runtime.Kernel:
        """Sizes and kinds of the parameters."""
        return self._entry(self.module.check)[2]

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """What the source calls the parameters."""
        return self._entry(self.module.check)[1].declaration.parameters

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        seed: int | None = None,
        reachable: Sequence[np.ndarray] = (),
        schedule: Schedule | None = None,
    ) -> None:
        """Runs the kernel to its end.

        Parameters
        ----------
        grid, block : tuple of int
            Up to three dimensions.
        args : sequence
            NumPy arrays and None as pointers, NumPy scalars and ctypes structures by value.
        shared_mem : int
            Bytes of dynamic shared memory.
        seed : int, optional
            The schedule; by default the module's.
        reachable : sequence of arrays
            Arrays that the kernel reaches through pointers stored in other arrays or structs: under check, memory that
            is neither an argument nor reachable is out of bounds.
        schedule : Schedule, optional
            A schedule to replay, instead of a seed.

        Raises
        ------
        LaunchError, ArgumentError
            Before anything runs.
        KernelError
            MemcheckError, RacecheckError, InitcheckError, SynccheckError and others: what the kernel did wrong.
        """
        checked = self.module.check or self.module._traffic is not None
        build, entry, kernel = self._entry(checked)
        packed = pack(kernel, self.name, entry.declaration.parameters, args)
        configuration = self._configuration(grid, block, int(shared_mem), entry)
        configuration.seed = self.module.seed if seed is None else seed
        configuration.check, configuration.count = self.module.check, self.module._traffic is not None
        if schedule is not None:
            schedule.apply(configuration)
        variables = build.shared_variables(kernel, int(shared_mem))
        specs = (runtime.Variable * len(variables))(*[runtime.Variable(v.offset, v.size) for v in variables])
        configuration.variables, configuration.variable_count = specs, len(variables)
        self._check_shared_size(variables)
        self._run(build, kernel, packed, configuration, args, reachable, variables, schedule)

    def _configuration(
        self, grid: Sequence[int], block: Sequence[int], shared: int, entry: KernelEntry
    ) -> runtime.Configuration:
        blocks = _dimensions(self.name, "the grid", grid, (2**31 - 1, 65535, 65535))
        threads = _dimensions(self.name, "the block", block, (1024, 1024, 64))
        count, bound = threads[0] * threads[1] * threads[2], entry.declaration.max_threads
        if count > 1024:
            raise LaunchError(f"{self.name}: a block of {threads} has {count} threads, at most 1024 are possible")
        if bound and count > bound:
            raise LaunchError(
                f"{self.name}: a block of {threads} has {count} threads, but the kernel says __launch_bounds__({bound})"
            )
        if shared > self.max_dynamic_shared_size_bytes:
            raise LaunchError(
                f"{self.name}: shared_mem={shared} is more than max_dynamic_shared_size_bytes="
                f"{self.max_dynamic_shared_size_bytes}; set that of the kernel (at most {DYNAMIC_SHARED_LIMIT})"
            )
        configuration = runtime.Configuration()
        configuration.grid, configuration.block, configuration.dynamic_shared = blocks, threads, shared
        configuration.cooperative = self.module.enable_cooperative_groups
        return configuration

    def _check_shared_size(self, variables: Sequence[SharedVariable]) -> None:
        dynamic = variables[-1].size
        used = sum(v.size for v in variables if v.owner is not None) + dynamic
        limit = (
            DYNAMIC_SHARED_LIMIT
            if self.max_dynamic_shared_size_bytes > _DEFAULT_SHARED_LIMIT
            else _DEFAULT_SHARED_LIMIT
        )
        if used > limit:
            raise LaunchError(
                f"{self.name}: {used - dynamic} bytes of static and {dynamic} of dynamic shared memory "
                f"are more than {limit}"
            )

    def _run(
        self,
        build: _Build,
        kernel: runtime.Kernel,
        packed: PackedArguments,
        configuration: runtime.Configuration,
        args: Sequence[Any],
        reachable: Sequence[np.ndarray],
        variables: Sequence[SharedVariable],
        schedule: Schedule | None,
    ) -> None:
        memory = (
            DeviceMemory(packed.arrays, reachable)
            if configuration.check or configuration.count
            else DeviceMemory((), ())
        )
        if memory.placements:
            for i, argument in enumerate(args):
                if isinstance(argument, np.ndarray) and kernel.parameter[i].is_pointer:
                    packed.set_address(i, memory.address_of(argument))
        module_variables = build.compiled.variables
        regions = [p.region for p in memory.placements]
        regions += [runtime.Region(build.library.base + v.address, v.size, None, 1, 0) for v in module_variables]
        configuration.regions, configuration.region_count = (
            (runtime.Region * max(1, len(regions)))(*regions),
            len(regions),
        )
        report = build.library.launch(kernel, packed.pointers, configuration)
        memory.copy_back()
        if output := build.library.output():
            sys.stdout.write(output)
        if schedule is not None and configuration.recording:
            schedule.record(build.library.choices())
        if report is not None:
            if KINDS[report.kind][0] == "interrupted":
                raise KeyboardInterrupt
            raise make_error(
                report,
                build.compiled.path,
                self.name,
                configuration.seed,
                memory.placements,
                [v.name for v in module_variables],
                variables,
            )
        if self.module._traffic is not None:
            self.module._traffic.add(self.name, build.compiled.path, build.library.traffic())
