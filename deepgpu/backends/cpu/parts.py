"""Into how many tasks a kernel's work is split, and how long the rows are that it goes over."""

from __future__ import annotations

MOST = 64
"""Tasks that feed any number of threads well enough."""


def parts(work: int, worth: int, most: int = MOST) -> int:
    """How many tasks, each of at least `worth`, to make of some work; at least one.

    One task runs on the calling thread, without waking the others (3 us while they spin, 20 us and more once they
    sleep). The number depends on shapes only, and with it the order of sums: any number of threads gives the same bits.
    """
    tasks = work // worth
    return 1 if tasks <= 1 else max(min(tasks, most), 1)


def folded(rows: int, width: int, least: int) -> tuple[int, int]:
    """The shape of the same rows, some of them joined, if their number allows it, until they have so many elements."""
    while rows % 2 == 0 and width < least:
        rows, width = rows // 2, 2 * width
    return rows, width
