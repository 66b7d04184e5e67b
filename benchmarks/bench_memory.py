"""Peak memory of a training step of whole networks, against PyTorch's better memory format.

A process of its own trains a network for some steps and is asked how much memory it had at most (``VmHWM`` of Linux).
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


def _fresh(function: Any, *arguments: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    chosen, options = choose("memory", cases())
    known = _fresh(environment, "ours", options.threads) | _fresh(environment, "torch", options.threads)
    rows: list[dict[str, Any]] = []
    for case in chosen:
        (name,) = case.arguments
        used = {side: _fresh(peak, side, name, options.threads) for side in SIDES}
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
