"""Seconds from a command to the end of its first training step: with nothing compiled yet, and at every later start.

Each start is a process of its own that imports the library, makes a network, and trains on eight images; ours first
with an empty folder for compiled kernels, then with the one that the first start has filled. One start of PyTorch's
beside them.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import Case, Pair, choose
from networks import NETWORKS

BATCH = 8
CHOSEN = ("MLP", "ResNet-18")
"""Networks; neither is quick: all kernels of a ResNet are compiled for tens of seconds."""


def cases() -> list[Case]:
    names = {name.split()[0]: name for name in NETWORKS}
    return [Case(short, (names[short],), quick=False) for short in CHOSEN]


def start(side: str, name: str) -> None:
    """What the process does that is timed; it prints when it is done, for the end of a process takes time too."""
    import bench_networks

    step = bench_networks.ours if side == "ours" else lambda *a: bench_networks.theirs_in("NCHW", *a)
    step("training", name, BATCH)()
    print(time.time())


def seconds(side: str, name: str, cache: str) -> float:
    """Of a start, from outside. Python may keep the bytecode of what it imports, as it does where nobody forbids it."""
    environment = os.environ | {"DEEPGPU_CACHE": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command, begin = [sys.executable, __file__, "--start", side, name], time.time()
    done = subprocess.run(
        command, env=environment, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return float(done.stdout) - begin


def row(name: str, rounds: int) -> dict[str, Any]:
    """The first start of a network, the median of the later ones, and PyTorch's."""
    with tempfile.TemporaryDirectory() as cache:
        first = seconds("ours", name, cache)
        size = sum(f.stat().st_size for f in Path(cache).rglob("*") if f.is_file())
        later = statistics.median([seconds("ours", name, cache) for _ in range(rounds)])
        theirs = seconds("torch", name, cache)
    times = {"first_s": first, "later_s": later, "torch_s": theirs}
    return {k: round(v, 2) for k, v in times.items()} | {"cache_MB": round(size / 2**20, 1)}


def main() -> None:
    chosen, options = choose("startup", cases())
    with Pair(options) as pair:
        known = pair.known
    rows = []
    for case in chosen:
        rows.append({"case": case.name} | row(*case.arguments, options.rounds or 3))
        print(
            "{case:28s} first start {first_s:6.1f} s, later {later_s:5.2f} s, PyTorch {torch_s:5.2f} s; "
            "compiled code {cache_MB:.1f} MB".format(**rows[-1]),
            flush=True,
        )
        with open(options.output / "startup.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    (options.output / "startup.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--start"]:
        start(*sys.argv[2:])
    else:
        main()
