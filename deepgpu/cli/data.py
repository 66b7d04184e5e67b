"""``deepgpu data``."""

from __future__ import annotations

from typing import Annotated

import typer

from deepgpu.cli.options import DataRoot


def data(
    name: Annotated[str | None, typer.Argument(help="A data set to look at; without it, all are listed.")] = None,
    download: Annotated[bool, typer.Option(help="Get it if it is not here.")] = False,
    data_root: DataRoot = None,
) -> None:
    """Which data sets there are, and where they are looked for; with a name and --download, get one."""
    from deepgpu.train.sources import SOURCES, source_of
    from deepgpu.vision.datasets.locate import places

    root = None if data_root is None else str(data_root)
    if name is not None:
        source = source_of(name)
        if source is None:
            raise ValueError("a folder of images needs no preparation: deepgpu train --data folder:PATH")
        train, test = (source.open(part, None, root, download) for part in (True, False))
        print(f"{name}: {len(train):,} training and {len(test):,} test images of {len(train.classes)} classes")
        print(", ".join(train.classes))
        return
    for source in SOURCES.values():
        state = "here" if source.is_here(root) else f"not here; `deepgpu data {source.name}` says how to get it"
        print(f"{source.name:14} {source.about}: {state}")
    print(f"looked for in {', '.join(str(p) for p in places(root))}")
