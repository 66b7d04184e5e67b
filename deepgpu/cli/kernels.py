"""``deepgpu kernels``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Check CUDA kernels without a GPU.", no_args_is_help=True)


@app.callback()
def _kernels() -> None:
    """Check CUDA kernels without a GPU."""


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(help="A .cu file; lines `// launch: name<<<grid, block>>>(...)` say what to run.")
    ],
    launch: Annotated[
        list[str] | None, typer.Option(metavar="LINE", help="Another launch: 'f<<<4, 256>>>(random(1000), 1000)'.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Schedules for each launch.")] = 8,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Only this schedule, which a report named.")] = None,
    cooperative: Annotated[bool, typer.Option(help="Launch cooperatively, for grid.sync().")] = False,
    traffic: Annotated[bool, typer.Option(help="Count bytes, sectors and bank conflicts by source line.")] = False,
    arch: Annotated[list[int] | None, typer.Option(metavar="NN", help="Compile with NVRTC for sm_NN, too.")] = None,
    define: Annotated[list[str] | None, typer.Option("-D", metavar="NAME=VALUE", help="Define a macro.")] = None,
    include: Annotated[list[Path] | None, typer.Option("-I", metavar="FOLDER", help="Where headers are.")] = None,
) -> None:
    """Run CUDA kernels on the CPU under many schedules and report races, accesses out of bounds and bad barriers.

    Needs no GPU. The exit status is 0 if all is well, 1 if a launch failed, 2 if the source could not be checked.
    """
    emulator = importlib.import_module("deepgpu.kernels.emulator")
    checker = importlib.import_module("deepgpu.kernels.emulator.check")
    options = [*(f"-D{name}" for name in define or ()), *(f"-I{folder}" for folder in include or ())]
    try:
        report = checker.check(
            path,
            launch or (),
            seeds=seeds,
            seed=seed,
            options=options,
            cooperative=cooperative,
            traffic=traffic,
            architectures=arch or (),
        )
    except (emulator.EmulatorError, ValueError, OSError) as error:
        typer.echo(f"deepgpu: error: {path}: {error}", err=True)
        raise typer.Exit(2) from error
    typer.echo(report)
    if not report.ok:
        raise typer.Exit(1)
