"""The report: sections that are saved as they end, as Markdown and JSON, so that a cut run leaves what it has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gpu.roofline import Rates, Work


class Report:
    """What was measured so far.

    Parameters
    ----------
    path
        Of the files, without their endings.
    environment
        The card, the driver, versions.
    """

    def __init__(self, path: Path, environment: dict[str, Any]) -> None:
        self.path = path
        self.content: dict[str, Any] = {"environment": environment, "sections": {}}

    def add(self, name: str, rows: Sequence[dict[str, Any]], note: str = "") -> None:
        """Add or replace a section, and write both files."""
        self.content["sections"][name] = {"note": note, "rows": list(rows)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.with_suffix(".json").write_text(json.dumps(self.content, indent=1) + "\n")
        self.path.with_suffix(".md").write_text(self.markdown())

    def markdown(self) -> str:
        """The whole report."""
        environment = self.content["environment"]
        lines = [f"# GPU report: {environment.get('device', 'unknown')}", ""]
        lines += [f"- {key}: {value}" for key, value in environment.items()]
        for name, section in self.content["sections"].items():
            lines += ["", f"## {name}", ""]
            if section["note"]:
                lines += [section["note"], ""]
            lines += table(section["rows"])
        return "\n".join(lines) + "\n"


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A Markdown table with the keys of all rows as columns; what a row lacks is a dash."""
    if not rows:
        return ["Nothing was measured."]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    return lines + ["| " + " | ".join(shown(row.get(key)) for key in keys) + " |" for row in rows]


def shown(value: Any) -> str:
    """A cell."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def row(
    name: str, dtype: str, work: Work, rates: Rates, ours: float | None, theirs: float | None, error: str = ""
) -> dict[str, Any]:
    """A kernel's line: times in microseconds, speed, share of the roofline, PyTorch's time over ours."""
    made: dict[str, Any] = {"case": name, "dtype": dtype}
    made["ours us"] = None if ours is None else ours * 1e6
    made["torch us"] = None if theirs is None else theirs * 1e6
    made["torch/ours"] = theirs / ours if ours and theirs else None
    if ours:
        made["TFLOP/s"] = work.flops / ours / 1e12 if work.flops else None
        made["GB/s"] = work.bytes / ours / 1e9
        made["% of roofline"] = 100 * rates.least_seconds(work, dtype) / ours
    if error:
        made["error"] = error
    return made
