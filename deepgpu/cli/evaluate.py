"""``deepgpu eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from deepgpu.cli.options import DataRoot, Device, Workers, newest_run


def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of a training. Default: the newest in runs/.")] = None,
    part: Annotated[str, typer.Option(help="test, validation or train.")] = "test",
    device: Device = "auto",
    workers: Workers = 0,
    data_root: DataRoot = None,
) -> None:
    """Loss and accuracy of a training's best weights."""
    from deepgpu.train.experiment import judge
    from deepgpu.train.run import Run

    chosen = Run(run or newest_run())
    found = judge(chosen, part, device, workers, None if data_root is None else str(data_root))
    recipe = chosen.recipe
    print(f"{recipe.model} of {chosen.folder} on {recipe.data}, {part}: {found.samples:,} images")
    print(f"accuracy {100 * found.accuracy:.2f} %  loss {found.mean_loss:.4f}")
