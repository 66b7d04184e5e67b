"""Options that several commands have, and how their values are read."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Any

import typer

Device = Annotated[str, typer.Option(help="auto (the GPU if there is one), cpu, cuda or cuda:1.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that load images; 0 loads in this one.")]
DataRoot = Annotated[Path | None, typer.Option(help="Folder with the data's files; by default where they are found.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An argument of the model, such as width=32; may be repeated."),
]

RUNS = Path("runs")
"""Where trainings go unless told otherwise."""


def arguments(settings: list[str] | None) -> dict[str, Any]:
    """``["width=32", "shortcut=B"]`` as a dict: numbers, True, False and None as such, anything else as text."""
    found: dict[str, Any] = {}
    for setting in settings or []:
        key, equals, text = setting.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"`--set` takes KEY=VALUE, such as width=32, but got {setting!r}")
        try:
            found[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            found[key] = text
    return found


def image_size(text: str) -> tuple[int, ...]:
    """``"3x224x224"`` as (3, 224, 224)."""
    parts = text.lower().split("x")
    if not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"`--input` takes sizes such as 3x224x224, but got {text!r}")
    return tuple(int(part) for part in parts)


def newest_run() -> Path:
    """The folder in ``runs`` whose weights were written last.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    found = [p.parent for p in RUNS.glob("*/config.json")]
    if not found:
        raise FileNotFoundError(f"there is no training in {RUNS}/ here; begin one with `deepgpu train`, or say which")
    return max(found, key=lambda folder: max(p.stat().st_mtime for p in folder.iterdir()))
