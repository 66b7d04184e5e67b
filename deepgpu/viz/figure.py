"""Figures that are drawn into files, without a screen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deepgpu.serialization import replacing


class MissingMatplotlibError(ImportError):
    """matplotlib is not installed; the message has the command that installs it."""


@contextmanager
def figure(
    path: str | os.PathLike[str], rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 4)
) -> Iterator:
    """Axes to draw on; the picture is written when the block ends.

    Parameters
    ----------
    path
        Of the picture; its ending tells the format (.png, .svg, .pdf).
    rows, columns
        How many axes.
    size
        Of the whole picture, in inches.

    Yields
    ------
    numpy.ndarray
        The axes, of shape (rows, columns).

    Raises
    ------
    MissingMatplotlibError
        If there is no matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingMatplotlibError(
            "pictures need matplotlib, which is not installed: pip install 'deepgpu[plots]'"
        ) from None
    drawn = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(drawn)
    axes: Any = drawn.subplots(rows, columns, squeeze=False)
    yield axes
    with replacing(path) as temporary:
        drawn.savefig(temporary, format=os.path.splitext(path)[1][1:] or "png", dpi=120)
