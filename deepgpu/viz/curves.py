"""The picture of a training: loss, accuracy and learning rate."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from deepgpu.viz.figure import figure

_TRAIN, _VALIDATION = "tab:blue", "tab:orange"


def training_curves(records: Iterable[Mapping[str, Any]], path: str | os.PathLike[str], title: str = "") -> None:
    """Draw the log of a training.

    Parameters
    ----------
    records
        What :func:`deepgpu.train.read_log` gives: records of steps and of epochs.
    path
        Of the picture.
    title
        Above it.

    Raises
    ------
    MissingMatplotlibError
        If there is no matplotlib.
    ValueError
        If there is no record of an epoch.
    """
    found = list(records)
    steps = [r for r in found if r["event"] == "step"]
    epochs = [r for r in found if r["event"] == "epoch"]
    if not epochs:
        raise ValueError("training_curves: `records` has no epoch yet")
    with figure(path, 1, 3, (13, 3.8)) as axes:
        loss, accuracy, rate = axes[0]
        if steps:
            loss.plot([r["step"] for r in steps], [r["loss"] for r in steps], color=_TRAIN, alpha=0.3, lw=0.8)
        ends = [r["step"] for r in epochs]
        _curves(loss, epochs, ends, "loss", 1)
        loss.set(title="loss", xlabel="step")
        _curves(accuracy, epochs, ends, "accuracy", 100)
        accuracy.set(title="accuracy (%)", xlabel="step")
        rates = steps or epochs
        rate.plot([r["step"] for r in rates], [r["lr"] for r in rates], color="tab:green")
        rate.set(title="learning rate", xlabel="step")
        for axis in (loss, accuracy, rate):
            axis.grid(alpha=0.3)
        if title:
            axes[0, 0].figure.suptitle(title)


def _curves(axis: Any, epochs: list[Mapping[str, Any]], ends: list[int], what: str, scale: float) -> None:
    for name, color in (("train", _TRAIN), ("validation", _VALIDATION)):
        if f"{name}_{what}" in epochs[0]:
            values = [scale * r[f"{name}_{what}"] for r in epochs]
            axis.plot(ends, values, marker="o", ms=3, color=color, label=f"{name} {values[-1]:.4g}")
    axis.legend()
