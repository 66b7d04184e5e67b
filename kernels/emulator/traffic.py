"""Exact memory traffic of launches: bytes, coalescing and bank conflicts, by line of the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import runtime
from .report import locations

KINDS = (
    "global load", "global store", "global atomic", "shared load", "shared store", "shared atomic",
    "copy read", "copy write", "ldmatrix",
)  # fmt: skip
"""In the order of ``enum class Traffic``. "copy read" and "copy write" are the two sides of cp.async."""
_GLOBAL = frozenset(("global load", "global store", "global atomic", "copy read"))


@dataclass(frozen=True)
class TrafficRow:
    """The requests that warps made at one place of the source.

    Attributes
    ----------
    kernel, file : str
    line : int
    kind : str
        One of KINDS.
    size : int
        Bytes of one lane's access.
    requests : int
        A request is one instruction of one warp.
    bytes : int
        Bytes that the lanes asked for.
    units : int
        32-byte sectors (global memory) or bank wavefronts (shared memory) it took.
    ideal : int
        The fewest units that could have served the same bytes.
    """

    kernel: str
    file: str
    line: int
    kind: str
    size: int
    requests: int
    bytes: int
    units: int
    ideal: int

    @property
    def is_global(self) -> bool:
        """Whether this is traffic to global memory."""
        return self.kind in _GLOBAL

    @property
    def efficiency(self) -> float:
        """``ideal / units``: 1.0 is perfectly coalesced, or free of bank conflicts."""
        return self.ideal / self.units

    @property
    def per_request(self) -> float:
        """Sectors, or wavefronts, of a request."""
        return self.units / self.requests


class Traffic:
    """What the launches inside a ``with module.count() as traffic:`` block asked of memory.

    Iterating gives TrafficRow by place and kind, in the order of the source; ``str()`` gives a table.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int, str, int], list[int]] = {}

    def add(self, kernel: str, module: Path, rows: Iterable[runtime.TrafficRow]) -> None:
        """Adds the counts of one launch."""
        rows = list(rows)
        places = locations(module, tuple(r.pc for r in rows))
        for row, place in zip(rows, places, strict=True):
            file, _, line = (place[0] if place else "?:0").rpartition(":")
            key = (kernel, file, int(line.split()[0]), KINDS[row.kind], row.size)
            total = self._rows.setdefault(key, [0, 0, 0, 0])
            for i, value in enumerate((row.requests, row.bytes, row.units, row.ideal)):
                total[i] += value

    def __iter__(self) -> Iterator[TrafficRow]:
        return (TrafficRow(*key, *values) for key, values in sorted(self._rows.items()))

    def bytes(self, *kinds: str) -> int:
        """Bytes moved by accesses of these kinds; a kind may be cut short, as in ``"global"`` or ``"shared"``."""
        return sum(row.bytes for row in self if row.kind.startswith(kinds))

    @property
    def bank_conflicts(self) -> int:
        """Wavefronts of shared memory beyond the ideal."""
        return sum(row.units - row.ideal for row in self if not row.is_global)

    @property
    def excess_sectors(self) -> int:
        """Sectors of global memory beyond the ideal."""
        return sum(row.units - row.ideal for row in self if row.is_global)

    def __str__(self) -> str:
        lines = [
            f"{'kind':14} {'size':>4} {'requests':>9} {'bytes':>11} {'units/request':>13} {'efficiency':>10}  where"
        ]
        for r in self:
            unit = "sectors" if r.is_global else "waves"
            lines.append(
                f"{r.kind:14} {r.size:4} {r.requests:9} {r.bytes:11} {r.per_request:5.2f} {unit:7} "
                f"{r.efficiency:10.0%}  {Path(r.file).name}:{r.line} ({r.kernel})"
            )
        return "\n".join(lines)
