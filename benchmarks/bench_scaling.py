"""Cost against batch and against image area: a training step must grow as fast as its work, no faster.

Both sides train a network at several batch sizes, then at several image sizes. The picture shows seconds against
pixels of a step, both logarithmic, where a straight line of slope 1 is linear growth; the table has the slopes, fitted
by least squares.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bench_networks
import numpy as np
from harness import Case, Result, Turns, choose, measure, percentile

NETWORKS = ("ResNet-18 32x32, batch 64", "MobileNetV2 32x32, batch 64")
BATCHES = (4, 8, 16, 32, 64)
SIDES = (16, 24, 32, 48, 64)
BATCH, SIDE = 16, 32
"""What stays where the other one varies."""


def cases() -> list[Case]:
    varied = [("batch", n, SIDE) for n in BATCHES] + [("area", BATCH, side) for side in SIDES]
    return [
        Case(f"{network.split()[0]}, {what}: {n} x {side}x{side}", (network, n, side), quick=network == NETWORKS[0])
        for network in NETWORKS
        for what, n, side in varied
    ]


def ours(network: str, batch: int, side: int) -> Callable[[], Any]:
    return bench_networks.ours("training", network, batch, side)


def theirs(network: str, batch: int, side: int) -> dict[str, Callable[[], Any]]:
    return bench_networks.theirs("training", network, batch, side)


def slope(pixels: Sequence[float], seconds: Sequence[float]) -> float:
    """Of the logarithms: 1 if cost is proportional to size."""
    return float(np.polyfit(np.log(pixels), np.log(seconds), 1)[0])


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
    figure, all_axes = plt.subplots(1, len(panels), figsize=(3.4 * len(panels), 3.4), layout="constrained")
    with open(f"{path}.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["panel", "pixels", "ours_ms", "torch_ms"])
        for axes, (title, (pixels, times)) in zip(np.atleast_1d(all_axes), panels.items(), strict=True):
            writer.writerows(
                [title, p, round(1e3 * o, 4), round(1e3 * t, 4)]
                for p, o, t in zip(pixels, times["ours"], times["PyTorch"], strict=True)
            )
            for side, colour in (("ours", "tab:green"), ("PyTorch", "tab:gray")):
                label = f"{side}, slope {slope(pixels, times[side]):.2f}" if len(pixels) > 1 else side
                axes.loglog(pixels, times[side], "o-", color=colour, label=label)
            axes.loglog(pixels, [times["ours"][-1] * p / pixels[-1] for p in pixels], "k:", label="slope 1")
            axes.set(title=title, xlabel="pixels of a step")
            axes.legend(fontsize=8)
    np.atleast_1d(all_axes)[0].set_ylabel("seconds of a training step")
    figure.suptitle(f"{known['cpu']}, {known['threads']} threads, {known['date'][:10]}", fontsize=9)
    figure.savefig(f"{path}.png", dpi=110)
    plt.close(figure)
    Path(f"{path}.json").write_text(json.dumps(known, indent=1) + "\n")


def main() -> None:
    chosen, options = choose("scaling", cases())
    with Turns("ours", ours, options.threads) as us, Turns("torch", theirs, options.threads) as them:
        known = us.ask("environment") | them.ask("environment") | {"avx2_forced": options.avx2}
        results = []
        for case in chosen:
            results.append(measure(case, us, them, options.rounds or 3))
            times = [percentile(side, 50) for side in (results[-1].ours, results[-1].theirs)]
            print(f"{case.name:36s} ours {1e3 * times[0]:8.1f} ms  torch {1e3 * times[1]:8.1f} ms", flush=True)
    for title, (pixels, times) in lines(results).items():
        if len(pixels) > 1:
            print(f"{title}: slope {slope(pixels, times['ours']):.2f}, PyTorch's {slope(pixels, times['PyTorch']):.2f}")
    write(options.output / "scaling", results, known)


if __name__ == "__main__":
    main()
