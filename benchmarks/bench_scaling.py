"""Cost against batch and against image area: a training step must grow as fast as its work, no faster.

Both sides train a ResNet-18 at several batch sizes, then at several image sizes. The picture shows seconds against
pixels of a step with the straight line that fits them best: what a step costs whatever its size (weights, optimizer),
and what each pixel adds. R² says how much of the spread the line explains: 1 is linear growth.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bench_networks
import numpy as np
from harness import Case, Pair, Result, choose, percentile

NETWORK = "ResNet-18 32x32, batch 64"
BATCHES = (2, 4, 8, 12, 16)
SIDES = (16, 24, 32, 40, 48)
BATCH, SIDE = 8, 32
"""What stays where the other one varies."""


def cases() -> list[Case]:
    varied = [("batch", n, SIDE) for n in BATCHES] + [("area", BATCH, side) for side in SIDES]
    return [
        Case(f"{NETWORK.split()[0]}, {what}: {n} x {side}x{side}", (NETWORK, n, side), quick=False)
        for what, n, side in varied
    ]


def ours(network: str, batch: int, side: int) -> Callable[[], Any]:
    return bench_networks.ours("training", network, batch, side)


def theirs(network: str, batch: int, side: int) -> dict[str, Callable[[], Any]]:
    return bench_networks.theirs("training", network, batch, side)


def line_through(pixels: Sequence[float], seconds: Sequence[float]) -> tuple[np.ndarray, str]:
    """The straight line's values at the pixels, and its figures in words."""
    each, fixed = np.polyfit(pixels, seconds, 1)
    fitted = fixed + each * np.array(pixels)
    r2 = 1 - np.sum((np.array(seconds) - fitted) ** 2) / np.sum((seconds - np.mean(seconds)) ** 2)
    return fitted, f"{1e3 * fixed:.0f} ms + {1e6 * each:.1f} µs a pixel, R² = {r2:.3f}"


def lines(results: Sequence[Result]) -> dict[str, tuple[list[int], dict[str, list[float]]]]:
    """Title of a panel -> pixels of its steps, and the medians of both sides."""
    panels: dict[str, tuple[list[int], dict[str, list[float]]]] = {}
    for result in results:
        _, batch, side = result.case.arguments
        pixels, times = panels.setdefault(result.case.name.partition(":")[0], ([], {"ours": [], "PyTorch": []}))
        pixels.append(batch * side**2)
        times["ours"].append(percentile(result.ours, 50))
        times["PyTorch"].append(percentile(result.theirs, 50))
    return panels


def write(path: Path, results: Sequence[Result], known: dict[str, Any]) -> None:
    """``path.csv``, ``path.json`` (the environment) and ``path.png``."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    panels = lines(results)
    figure, all_axes = plt.subplots(1, len(panels), figsize=(4.5 * len(panels), 3.6), layout="constrained")
    with open(f"{path}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["panel", "pixels", "ours_ms", "torch_ms"])
        for axes, (title, (pixels, times)) in zip(np.atleast_1d(all_axes), panels.items(), strict=True):
            writer.writerows(
                [title, p, round(1e3 * o, 4), round(1e3 * t, 4)]
                for p, o, t in zip(pixels, times["ours"], times["PyTorch"], strict=True)
            )
            for side, colour in (("ours", "tab:green"), ("PyTorch", "tab:gray")):
                fitted, label = line_through(pixels, times[side])
                axes.plot(pixels, times[side], "o", color=colour)
                axes.plot(pixels, fitted, color=colour, label=f"{side}: {label}")
            axes.set(title=title, xlabel="pixels of a step", ylim=0)
            axes.legend(fontsize=7)
    np.atleast_1d(all_axes)[0].set_ylabel("seconds of a training step")
    figure.suptitle(f"{known['cpu']}, {known['threads']} threads, {known['date'][:10]}", fontsize=9)
    figure.savefig(f"{path}.png", dpi=110)
    plt.close(figure)
    Path(f"{path}.json").write_text(json.dumps(known, indent=1) + "\n")


def main() -> None:
    chosen, options = choose("scaling", cases())
    with Pair(options) as pair:
        known, results = pair.known, []
        for case in chosen:
            results.append(pair.measure(case, ours, theirs))
            times = [percentile(side, 50) for side in (results[-1].ours, results[-1].theirs)]
            print(f"{case.name:36s} ours {1e3 * times[0]:8.1f} ms  torch {1e3 * times[1]:8.1f} ms", flush=True)
    for title, (pixels, times) in lines(results).items():
        print(title, *(f"{side}: {line_through(pixels, times[side])[1]}" for side in times), sep="; ")
    write(options.output / "scaling", results, known)


if __name__ == "__main__":
    main()
