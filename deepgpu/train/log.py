"""The log of a training: a line of JSON a record, and a table of the epochs as CSV."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

from deepgpu.serialization import replacing
from deepgpu.train.position import Position

COLUMNS = (
    "epoch",
    "step",
    "lr",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "images_per_second",
    "seconds",
)


class Log:
    """Appends records to ``log.jsonl``; each epoch's record also becomes a row of ``log.csv``.

    Parameters
    ----------
    folder
        Must exist.
    position
        Where a training goes on: later records, which a killed process may have written, are dropped, so that the log
        is that of a training that was never stopped.
    """

    def __init__(self, folder: str | os.PathLike[str], position: Position) -> None:
        self.path = Path(folder) / "log.jsonl"
        self.table = Path(folder) / "log.csv"
        kept = [
            r
            for r in read_log(self.path)
            if 0 < r["step"] <= position.step and (r["event"] != "epoch" or r["epoch"] <= position.epoch)
        ]
        with replacing(self.path) as temporary:
            temporary.write_text("".join(json.dumps(r) + "\n" for r in kept))
        self._write_table()

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append a record."""
        with open(self.path, "a") as file:
            file.write(json.dumps({"event": event, "step": step, **values}) + "\n")
        if event == "epoch":
            self._write_table()

    def _write_table(self) -> None:
        with replacing(self.table) as temporary, open(temporary, "w", newline="") as file:
            rows = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
            rows.writeheader()
            rows.writerows(r for r in read_log(self.path) if r["event"] == "epoch")


def read_log(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records of a ``log.jsonl``; a line that a kill or a full disk has cut off is left away."""
    lines = Path(path).read_text().splitlines() if Path(path).is_file() else []
    return [record for record in map(_record, lines) if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None
