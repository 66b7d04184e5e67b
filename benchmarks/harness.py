"""Time deepgpu against PyTorch, fairly: the harness of every file here.

Each side lives in a process of its own with the same number of threads, and they work in turns: a few calls of ours, a
few of PyTorch's, and so on for some rounds. A ratio is taken within a round, so that a machine that slows down for a
while slows both. PyTorch may have several variants of a case (memory formats); its best counts, and one that was a
tenth slower in a round is not timed again. Between two turns there is a pause, because idle OpenMP threads go on
spinning for about 15 ms and would take the other side's cores. A turn during which the host of a virtual machine gave
its cores to others (Linux counts that as stolen time) is taken again, on both sides alike.

A benchmark file names its cases and says how each side runs one::

    def ours(n, c):                      # runs in our process; imports belong inside
        import deepgpu
        x = deepgpu.randn(n, c)
        return lambda: deepgpu.relu(x)

    def theirs(n, c):                    # runs in PyTorch's; a dict if there are variants
        import torch
        x = torch.randn(n, c)
        return lambda: torch.relu(x)

    if __name__ == "__main__":
        main("relu", [Case("small", (64, 64)), Case("large", (4096, 4096))], ours, theirs)

``python benchmarks/bench_relu.py`` prints a table and writes it to ``benchmarks/results/`` as CSV, with a picture and
the environment. ``--quick`` times only the cases that are marked so.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
PAUSE = 0.025
"""Seconds between two turns."""

TURN = 0.04
"""Seconds that a turn takes, about; at least three calls, or a single one that takes longer."""

ROUNDS = range(3, 10)
"""Turns of each side: the least, and as many more as fit into SECONDS."""

SECONDS = 0.35
"""Of a case, about."""

SLOWER = 1.1
"""Times as long as the best that a variant may take to be timed again."""

STOLEN, TRIES = 0.02, 3
"""Share of the cores' time in a turn that may be stolen before it is taken again, and how often it is taken at most."""

Side = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One thing to time."""

    name: str
    arguments: tuple
    """Given to both sides."""
    flops: float = 0.0
    """Multiplications and additions of the direct algorithm, whatever the kernel does; 0: not shown."""
    quick: bool = True
    """Whether ``--quick`` times it too."""


@dataclass
class Result:
    """The times of one case, in seconds, one of each round."""

    case: Case
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """PyTorch's time / ours, round by round."""
        return [t / o for o, t in zip(self.ours, self.theirs, strict=True)]

    def row(self, peak: float) -> dict[str, Any]:
        gflops = self.case.flops / percentile(self.ours, 50) / 1e9
        row: dict[str, Any] = {"case": self.case.name}
        for name, values in (("ours_ms", self.ours), ("torch_ms", self.theirs)):
            row |= {f"{name}_p{p}": round(1e3 * percentile(values, p), 4) for p in (20, 50, 80)}
        row |= {f"ratio_p{p}": round(percentile(self.ratios, p), 3) for p in (20, 50, 80)}
        return row | {"gflops": round(gflops, 1), "share_of_peak": round(gflops / peak, 3)}


def percentile(values: Sequence[float], p: float) -> float:
    """The value below which ``p`` percent lie, interpolated."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * p / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def main(name: str, cases: Sequence[Case], ours: Side, theirs: Side) -> None:
    """Read the command line, time the cases, and write ``results/<name>.csv``, ``.png`` and ``.json``."""
    chosen, options = choose(name, cases)
    with Pair(options) as pair:
        pair.run(name, chosen, ours, theirs)


class Pair:
    """The processes of both sides. One pair can serve many benchmarks: to start it takes as long as some cases."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.us, self.them = Turns("ours", options.threads), Turns("torch", options.threads)
        self.known = _environments(self.us, self.them) | {"avx2_forced": options.avx2}

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self.us.close()
        self.them.close()

    def measure(self, case: Case, ours: Side, theirs: Side) -> Result:
        """Time one case in turns: so many, by default what :data:`ROUNDS` and :data:`SECONDS` say."""
        rounds, result = self.options.rounds, Result(case)
        self.us.send("prepare", ours, case.arguments)
        self.them.send("prepare", theirs, case.arguments)
        for side in (self.us, self.them):
            side.answer()
        begin = time.monotonic()
        for done in range(rounds or ROUNDS.stop - 1):
            if rounds is None and done >= ROUNDS.start and time.monotonic() - begin > SECONDS:
                break
            for side, times in ((self.us, result.ours), (self.them, result.theirs)):
                time.sleep(PAUSE)
                times.append(side.ask("turn"))
        return result

    def run(self, name: str, cases: Sequence[Case], ours: Side, theirs: Side) -> None:
        """Time the cases, and write the results."""
        path, peak = self.options.output / name, self.us.ask("peak")
        known = self.known | {"date": _now(), "peak_gflops": round(peak, 1)}
        print(json.dumps(known, indent=1), flush=True)
        results = []
        for case in cases:
            results.append(self.measure(case, ours, theirs))
            print(_line(results[-1], peak), flush=True)
            write(path, results, known, peak)  # if it is cut
        peak = max(peak, self.us.ask("peak"))  # of two, in case something else ran during one
        known |= {"peak_gflops": round(peak, 1)}
        _summarise(path, results, known, peak)


def _summarise(path: Path, results: Sequence[Result], known: dict[str, Any], peak: float) -> None:
    ratios = [percentile(r.ratios, 50) for r in results]
    print(f"geometric mean {statistics.geometric_mean(ratios):.2f}, least {min(ratios):.2f}, of {len(ratios)} cases")
    draw(path, write(path, results, known, peak), known)


def choose(name: str, cases: Sequence[Case]) -> tuple[list[Case], argparse.Namespace]:
    """Read the command line of a benchmark; exit if it chooses no case."""
    parser = argument_parser(f"deepgpu against PyTorch: {name}")
    options = parser.parse_args()
    chosen = of(cases, options)
    if not chosen and options.quick and any(options.filter in c.name for c in cases):
        print(f"{name}: no quick case")
        sys.exit()
    if not chosen:
        parser.error(f"--filter {options.filter!r} matches none of: {', '.join(c.name for c in cases)}")
    prepare(options)
    return chosen, options


def argument_parser(
    description: str | None, parents: Sequence[argparse.ArgumentParser] = ()
) -> argparse.ArgumentParser:
    """What every benchmark is told."""
    parser = argparse.ArgumentParser(description=description, parents=parents)
    parser.add_argument("--quick", action="store_true", help="only the quick cases")
    parser.add_argument("--filter", default="", help="only cases whose name contains this")
    parser.add_argument("--rounds", type=int, help="turns of each side (default 3 to 9, by their time)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of each side (default: all cores)")
    parser.add_argument("--avx2", action="store_true", help="let both sides use AVX2 code on an AVX-512 machine")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the results")
    return parser


def of(cases: Sequence[Case], options: argparse.Namespace) -> list[Case]:
    """Those that the options choose."""
    return [c for c in cases if options.filter in c.name and (c.quick or not options.quick)]


def prepare(options: argparse.Namespace) -> None:
    """Set what the options say for the processes to come."""
    _set_environment(options.threads, options.avx2)
    options.output.mkdir(parents=True, exist_ok=True)


class Turns:
    """A process of one side, which waits until it is asked for something."""

    def __init__(self, name: str, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, threads, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, what: str, *arguments: Any) -> Any:
        self.send(what, *arguments)
        return self.answer()

    def send(self, what: str, *arguments: Any) -> None:
        self._pipe.send((what, arguments))

    def answer(self) -> Any:
        return self._pipe.recv()

    def close(self) -> None:
        self._pipe.close()
        self._process.join()


def _environments(us: Turns, them: Turns) -> dict[str, Any]:
    """What the results depend on; both sides import their libraries meanwhile."""
    for side in (us, them):
        side.send("environment")
    return us.answer() | them.answer()


def _serve(name: str, threads: int, pipe: Any) -> None:
    """The loop of a side's process: answer until the pipe is closed."""
    if name == "torch":
        import torch

        torch.set_num_threads(threads)
    variants: list[Callable[[], Any]] = []
    while True:
        try:
            what, arguments = pipe.recv()
        except EOFError:
            return
        answer: Any = None
        if what == "environment":
            answer = environment(name, threads)
        elif what == "peak":
            from peak import peak

            answer = peak(threads)
        elif what == "prepare":
            variants = []  # what they hold is free for the next
            if name == "torch":
                torch.set_grad_enabled(True)  # a case may turn it off for itself
            side, of_case = arguments
            made = side(*of_case)
            variants = list(made.values()) if isinstance(made, dict) else [made]
            for call in variants:
                call()
        elif what == "turn":
            times = [_undisturbed(call) for call in variants]
            answer = min(times)
            variants = [call for call, taken in zip(variants, times, strict=True) if taken <= SLOWER * answer]
        pipe.send(answer)


def _undisturbed(call: Callable[[], Any]) -> float:
    """The seconds of a turn; of several tries, if time was stolen, those of the one that lost the smallest share."""
    tries: list[tuple[float, float]] = []
    while len(tries) < TRIES and (not tries or tries[-1][0] > STOLEN):
        begin, before = time.perf_counter(), _stolen()
        seconds = _seconds(call)
        share = (_stolen() - before) / (time.perf_counter() - begin) / (os.cpu_count() or 1)
        tries.append((share, seconds))
    return min(tries)[1]


def _stolen() -> float:
    """Seconds that a host has taken from this machine's cores since it started; 0 where nobody counts them."""
    try:
        times = Path("/proc/stat").read_text().split(maxsplit=9)
    except OSError:
        return 0.0
    return int(times[8]) / os.sysconf("SC_CLK_TCK")


def _seconds(call: Callable[[], Any]) -> float:
    """The median of a turn's calls, after one to warm up; a call longer than a turn warms itself up."""
    times: list[float] = []
    end = time.perf_counter() + TURN
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
        if times[0] > TURN:
            return times[0]
    return statistics.median(times[1:])


def _set_environment(threads: int, avx2: bool) -> None:
    """Set what the libraries of both processes read when they are loaded."""
    for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ.pop("OPENBLAS_CORETYPE", None)  # a setting that makes NumPy's BLAS slower
    if avx2:
        os.environ["NUMBA_CPU_NAME"] = "haswell"
        os.environ["NUMBA_CPU_FEATURES"] = (
            "+avx2,+avx,+fma,+f16c,+bmi,+bmi2,+lzcnt,+popcnt,+sse4.2,+sse4.1,+ssse3,+sse3"
        )
        os.environ["OPENBLAS_CORETYPE"] = "Haswell"
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
        os.environ["ATEN_CPU_CAPABILITY"] = "avx2"
        os.environ["MKL_ENABLE_INSTRUCTIONS"] = "AVX2"
    repository = str(Path(__file__).resolve().parents[1])
    sys.path.insert(0, repository)  # the processes to come are given this path: not what is installed is measured
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [repository, os.environ.get("PYTHONPATH")]))


def environment(name: str, threads: int) -> dict[str, Any]:
    """What a side's results depend on."""
    if name == "torch":
        import torch

        return {"torch": torch.__version__, "torch_capability": torch.backends.cpu.get_cpu_capability()}
    import llvmlite
    import numba
    import numpy
    from deepgpu.kernels.jit.vector import LANES

    return {
        "date": _now(),
        "cpu": _cpu(),
        "lanes": LANES,
        "threads": threads,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
    }


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    keys = ("model name", "cpu family", "model")
    return ", ".join(f"{k} {fields[k]}" if i else fields[k] for i, k in enumerate(keys) if k in fields)


def _line(result: Result, peak: float) -> str:
    row = result.row(peak)
    speed = f"{row['gflops']:7.1f} GFLOP/s {100 * row['share_of_peak']:4.0f} %" if result.case.flops else ""
    times = f"ours {row['ours_ms_p50']:8.3f} ms  torch {row['torch_ms_p50']:8.3f} ms"
    ratio = f"ratio {row['ratio_p50']:5.2f} ({row['ratio_p20']:.2f}-{row['ratio_p80']:.2f})"
    return f"{result.case.name:44s} {times}  {ratio} {speed}"


def write(path: Path, results: Sequence[Result], environment: dict[str, Any], peak: float) -> list[dict[str, Any]]:
    """Write ``path.csv`` and ``path.json`` (the environment); the rows of the table."""
    rows = [r.row(peak) for r in results]
    with open(f"{path}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    Path(f"{path}.json").write_text(json.dumps(environment, indent=1) + "\n")
    return rows


def draw(path: Path, rows: Sequence[dict[str, Any]], environment: dict[str, Any]) -> None:
    """Write ``path.png``: bars of the ratio with whiskers from p20 to p80. It takes as long as to time a case."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 1 + 0.24 * len(rows)), layout="constrained")
    middle = [row["ratio_p50"] for row in rows]
    whiskers = [[m - row["ratio_p20"] for m, row in zip(middle, rows, strict=True)]]
    whiskers.append([row["ratio_p80"] - m for m, row in zip(middle, rows, strict=True)])
    colours = ["tab:green" if m >= 1 else "tab:red" for m in middle]
    axes.barh(range(len(rows)), middle, xerr=whiskers, color=colours, ecolor="black", height=0.7)
    axes.set_yticks(range(len(rows)), [row["case"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel(f"PyTorch {environment['torch']}'s time / ours, {environment['threads']} threads")
    axes.set_title(f"{path.name}: {environment['cpu']}, {environment['date'][:10]}", fontsize=9)
    figure.savefig(f"{path}.png", dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit("this is the library; run a benchmark, for example: python benchmarks/bench_conv.py")
