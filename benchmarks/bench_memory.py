"""Peak memory of a training step of whole networks, against PyTorch's better memory format.

A process of its own trains a network for some steps and is asked how much memory it had at most (``VmHWM`` of Linux);
those of a network run at the same time.
What it has after a step with two images is taken away: the libraries and their compiled code; not what the C library
keeps of memory that was freed, which the step would use and nobody count. So these are parameters, their gradients and
momenta, activations, workspaces, and what an allocator keeps.
"""

from __future__ import annotations

import csv
import ctypes
import gc
import json
import multiprocessing
import os
import statistics
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import bench_networks
from harness import Case, choose, environment
from networks import NETWORKS

STEPS = 1
"""Whose peak is taken, after a first one. More make no difference: what one step needs, the next uses again."""

SIDES = ("ours", *bench_networks.LAYOUTS)


def cases() -> list[Case]:
    return [Case(name, (name,), quick=False) for name in NETWORKS]


def peak(side: str, name: str, threads: int) -> float:
    """Megabytes of a side's training steps; to be called in a fresh process."""
    if side != "ours":
        import torch

        torch.set_num_threads(threads)
    _make(side, name, 2)()
    gc.collect()
    if side == "ours":
        from deepgpu.backends.cpu import memory

        memory.release()
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    step = _make(side, name, None)
    step()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
    for _ in range(STEPS):
        step()
    return _status("VmHWM") - before


def _make(side: str, name: str, batch: int | None) -> Any:
    if side == "ours":
        return bench_networks.ours("training", name, batch)
    return bench_networks.theirs_in(side, "training", name, batch)


def _status(key: str) -> float:
    """Megabytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[key].split()[0]) / 1024


def _fresh(*calls: tuple[Any, ...]) -> list[Any]:
    """The results of some calls ``(function, arguments...)``, all at once, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(calls), context, max_tasks_per_child=1) as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]


def main() -> None:
    chosen, options = choose("memory", cases())
    os.environ["OMP_WAIT_POLICY"] = "passive"  # idle threads leave the cores to the other processes
    ours, theirs = _fresh(*[(environment, side, options.threads) for side in ("ours", "torch")])
    known = ours | theirs
    rows: list[dict[str, Any]] = []
    for case in chosen:
        (name,) = case.arguments
        used = dict(zip(SIDES, _fresh(*[(peak, side, name, options.threads) for side in SIDES]), strict=True))
        ratio = min(used[side] for side in bench_networks.LAYOUTS) / used["ours"]
        rows.append(
            {"case": name} | {f"{side}_MB": round(used[side], 1) for side in SIDES} | {"ratio": round(ratio, 3)}
        )
        figures = "  ".join(f"{side} {used[side]:8.1f} MB" for side in SIDES)
        print(f"{name:32s} {figures}  ratio {ratio:5.2f}", flush=True)
        with open(options.output / "memory.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    ratios = [row["ratio"] for row in rows]
    print(f"geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}, of {len(ratios)} networks")
    (options.output / "memory.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
