"""Checks a CUDA source in one call: compiles it, runs its launches under many schedules, reports what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import compile_judge, launch_line
from .launch_line import LaunchLine
from .module import RawModule
from .schedule import Failure, explore
from .traffic import Traffic


@dataclass(frozen=True)
class LaunchResult:
    """What came of one launch line: `failure` is None if every schedule was fine."""

    line: LaunchLine
    schedules: int
    failure: Failure | None
    traffic: Traffic | None


@dataclass(frozen=True)
class CheckReport:
    """The outcome of check().

    Attributes
    ----------
    path : str
    launches : list of LaunchResult
    not_launched : list of str
        Kernels of the source that no launch runs.
    verdicts : list of compile_judge.Verdict
        Of the compile judge, if it was asked for.
    """

    path: str
    launches: list[LaunchResult]
    not_launched: list[str]
    verdicts: list[compile_judge.Verdict] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether something was run and nothing is wrong."""
        complaints = any(v.complaints for v in self.verdicts)
        return bool(self.launches) and not complaints and all(r.failure is None for r in self.launches)

    def __str__(self) -> str:
        lines = []
        for result in self.launches:
            lines.append(f"{result.line.text}")
            if result.failure is None:
                schedules = f"{result.schedules} schedule{'s' * (result.schedules != 1)}"
                lines.append(f"  memcheck, racecheck, initcheck, synccheck: no errors under {schedules}")
            else:
                lines += [f"  {line}" for line in str(result.failure).splitlines()]
            if result.traffic is not None:
                lines += [f"  {line}" for line in str(result.traffic).splitlines()]
        if self.not_launched:
            lines.append(f"not launched: {', '.join(self.not_launched)}")
        if not self.launches:
            lines.append(
                "nothing was run: say how in a comment of the source, "
                "`// launch: saxpy<<<4, 256>>>(2.0, random(1000), zeros(1000), 1000)`, or with --launch"
            )
        if self.verdicts:
            lines.append(compile_judge.table(self.verdicts))
        bad = sum(r.failure is not None for r in self.launches)
        lines.append(f"{self.path}: {len(self.launches)} launches, {bad} failed")
        return "\n".join(lines)


def check(
    path: str | Path,
    launches: Sequence[str] = (),
    *,
    seeds: int = 8,
    seed: int | None = None,
    options: Sequence[str] = (),
    cooperative: bool = False,
    traffic: bool = False,
    architectures: Sequence[int] = (),
) -> CheckReport:
    """Checks the kernels of a ``.cu`` file.

    Parameters
    ----------
    path : str or Path
    launches : sequence of str
        Launches as in ``saxpy<<<4, 256>>>(2.0, random(1000), zeros(1000), 1000)`` (see launch_line.py), beside those in
        the source's ``// launch:`` comments.
    seeds : int
        How many schedules each launch runs under.
    seed : int, optional
        Run under this schedule only, to see again what a report names.
    options : sequence of str
        NVRTC's options.
    cooperative : bool
        Launch cooperatively, for kernels that call ``grid.sync()``.
    traffic : bool
        Count the memory traffic of each launch, too.
    architectures : sequence of int
        Also compile with NVRTC for these, such as 90 for sm_90, and hold the kernels to their declared bounds.

    Returns
    -------
    CheckReport
        Print it; `ok` says whether all is well.

    Raises
    ------
    CompileError, ToolchainError
    ValueError
        A launch line that makes no sense.
    """
    code = Path(path).read_text()
    schedules = range(seeds) if seed is None else (seed,)
    lines = [*launch_line.in_comments(code), *map(launch_line.parse, launches)]
    names = tuple(dict.fromkeys(line.kernel for line in lines))
    module = RawModule(
        path=path, options=options, name_expressions=names, check=True, enable_cooperative_groups=cooperative
    )
    module.compile()
    results = []
    for line in lines:
        kernel = module.get_function(line.kernel)
        kernel.max_dynamic_shared_size_bytes = max(kernel.max_dynamic_shared_size_bytes, line.shared_mem)
        arguments = launch_line.make_arguments(line, kernel.signature, kernel.parameter_names)
        failure = explore(kernel, line.grid, line.block, arguments, shared_mem=line.shared_mem, seeds=schedules)
        counted = None
        if traffic and failure is None:
            with module.count() as counted:
                kernel(line.grid, line.block, arguments, shared_mem=line.shared_mem)
        results.append(LaunchResult(line, len(schedules), failure, counted))
    launched = {line.kernel.split("<")[0] for line in lines}
    idle = [name for name in module.declared_kernels if name not in launched and name.split("::")[-1] not in launched]
    verdicts = []
    if architectures:
        verdicts = compile_judge.judge(
            path, name_expressions=[n for n in names if "<" in n], architectures=architectures, options=options
        )
    return CheckReport(str(path), results, idle, verdicts)
