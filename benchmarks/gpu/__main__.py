"""Everything to know of deepgpu on a GPU, in one call of nine minutes: ``python -m benchmarks.gpu``.

The op tests on the real device first, then compute-sanitizer on a sample, then each kernel against cuBLAS and cuDNN
(through PyTorch, if that can use the card) and the roofline, then training steps of whole networks. Each section is
saved as it ends, to ``benchmarks/results/gpu-<card>.md`` and ``.json``. ``--emulate`` runs a tiny version on the
emulated device, which shows that the report works and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHARES = {"tests": 0.3, "sanitizer": 0.08, "kernels": 0.34, "networks": 0.28}
"""Of the time."""


class Clock:
    """How much of the time is left."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes
        self._total = 60 * minutes

    def left(self) -> float:
        """Seconds."""
        return self._end - time.monotonic()

    def until(self, section: str) -> float:
        """When a section must have ended: its share from now, or the end."""
        return time.monotonic() + min(SHARES[section] * self._total, self.left())


def main() -> None:
    """Read the command line, and run all sections."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--minutes", type=float, default=9.0, help="when to stop (default 9)")
    parser.add_argument("--only", nargs="*", choices=SHARES, default=list(SHARES), help="only these sections")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results", help="folder of the report")
    parser.add_argument("--emulate", action="store_true", help="a tiny run on the emulated device")
    options = parser.parse_args()
    if options.emulate:
        os.environ["DEEPGPU_CUDA"] = "emulate"
    import deepgpu as dg

    if not dg.cuda.is_available():
        try:
            dg.zeros(1, device="cuda")
        except dg.errors.DeviceUnavailableError as error:
            sys.exit(f"the GPU report needs a GPU: {error}")
    from benchmarks.gpu.report import Report

    torch = _torch()
    environment = _environment(dg, torch)
    name = re.sub(r"\W+", "-", environment["device"].lower()).strip("-")
    report = Report(options.output / f"gpu-{name}", environment)
    clock = Clock(options.minutes)
    sections: dict[str, Callable[[], None]] = {
        "tests": lambda: tests(report, clock, options.emulate),
        "sanitizer": lambda: sanitizer(report, clock),
        "kernels": lambda: kernels(report, clock, dg, torch, options.emulate),
        "networks": lambda: networks(report, clock, dg, torch, options.emulate),
    }
    for section in options.only:
        print(f"== {section}, {clock.left():.0f} s left", flush=True)
        sections[section]()
    print(f"written: {report.path}.md and .json")


def _torch() -> Any:
    """PyTorch if it can use the card."""
    with contextlib.suppress(ImportError):
        torch = importlib.import_module("torch")
        return torch if torch.cuda.is_available() else None
    return None


def _environment(dg: Any, torch: Any) -> dict[str, Any]:
    from deepgpu.backends.cuda import runtime

    card = dg.cuda.get_device_properties()
    return {
        "device": card.name,
        "compute capability": f"{card.major}.{card.minor}",
        "memory GiB": round(card.total_memory / 2**30, 1),
        "cupy": runtime.cupy().__version__,
        "torch": None if torch is None else torch.__version__,
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
    }


def _output(command: list[str]) -> str:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _run(command: list[str], seconds: float) -> tuple[int | None, str]:
    """The exit status, None if it took too long, and the end of what it printed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=ROOT, check=False)
    except subprocess.TimeoutExpired as error:
        out = error.stdout or b""
        return None, (out.decode(errors="replace") if isinstance(out, bytes) else out)[-2000:]
    return done.returncode, (done.stdout + done.stderr)[-2000:]


def tests(report: Any, clock: Clock, tiny: bool) -> None:
    """The op tests and those of the kernels, on the device."""
    which = (
        ["tests/ops/test_matmul.py"]
        if tiny
        else ["tests/cuda", "tests/test_cuda.py", "tests/ops", "tests/backends/cuda"]
    )
    marks = [] if tiny else ["-m", "not full"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cuda", *marks, *which]
    code, text = _run(command, clock.until("tests") - time.monotonic())
    result = {None: "cut", 0: "passed"}.get(code, f"failed ({code})")
    summary = next((line for line in reversed(text.splitlines()) if re.search(r"passed|failed|error", line)), "")
    failures = [line for line in text.splitlines() if line.startswith("FAILED")]
    report.add("Op tests on the device", [{"tests": " ".join(which), "result": result, "summary": summary}])
    if failures:
        report.add("Failed tests", [{"test": line} for line in failures])


def sanitizer(report: Any, clock: Clock) -> None:
    """compute-sanitizer, if the machine has it, on one test a tool."""
    tool = shutil.which("compute-sanitizer")
    if tool is None:
        report.add("compute-sanitizer", [], "It is not on this machine.")
        return
    rows: list[dict[str, Any]] = []
    end = clock.until("sanitizer")
    for check in ("memcheck", "racecheck"):
        sample = (
            "import deepgpu as dg; x = dg.randn(2, 8, 9, 9, device='cuda'); w = dg.randn(8, 8, 3, 3, device='cuda');"
        )
        sample += "print(dg.conv2d(x, w, padding=1).relu().sum().item())"
        command = [tool, "--tool", check, sys.executable, "-c", sample]
        code, text = _run(command, max(end - time.monotonic(), 1))
        found = re.findall(r"ERROR SUMMARY: .*|RACECHECK SUMMARY: .*", text)
        rows.append({"tool": check, "exit": "cut" if code is None else code, "summary": found[-1] if found else ""})
        report.add("compute-sanitizer", rows)


def measured_rates(dg: Any, torch: Any, timer: Any, tiny: bool) -> Any:
    """The card's copy rate, and its matrix rate by the vendor's library, or by ours if there is none."""
    from benchmarks.gpu.cases import products
    from benchmarks.gpu.roofline import Rates
    from benchmarks.gpu.timer import median

    library = torch or dg
    elements = 1 << 10 if tiny else 1 << 28
    x = library.zeros(elements, device="cuda")
    y = library.empty_like(x)
    bandwidth = 8 * elements / median(timer.seconds(lambda: y.copy_(x)))
    size = 16 if tiny else 8192
    flops = {}
    for case in products([(size, size, size)], ["float32", "tf32", "bfloat16"]):
        _allow_tf32(library, case.dtype)
        flops[case.dtype] = case.work.flops / median(timer.seconds(case.theirs(library)))
    return Rates(flops, bandwidth)


def _allow_tf32(library: Any, dtype: str) -> None:
    library.backends.cuda.matmul.allow_tf32 = library.backends.cudnn.allow_tf32 = dtype == "tf32"


def kernels(report: Any, clock: Clock, dg: Any, torch: Any, tiny: bool) -> None:
    """Each kernel against PyTorch's and the roofline."""
    from benchmarks.gpu.cases import all_cases, tiny_cases
    from benchmarks.gpu.report import row
    from benchmarks.gpu.timer import Timer, median
    from deepgpu.backends.cuda import runtime

    if torch is not None:
        torch.backends.cudnn.benchmark = True
        torch.set_grad_enabled(False)
    timer = Timer(runtime.cupy(), 1 << 10 if tiny else 256 << 20)
    rates = measured_rates(dg, torch, timer, tiny)
    by_whom = "PyTorch" if torch else "deepgpu, as PyTorch cannot use this card"
    speeds = ", ".join(f"{d} {f / 1e12:.1f} TFLOP/s" for d, f in rates.flops.items())
    note = f"Measured by {by_whom}: copies {rates.bandwidth / 1e9:.0f} GB/s, products {speeds}."
    rows: list[dict[str, Any]] = []
    end = clock.until("kernels")
    limit = 0.01 if tiny else 0.4
    with dg.no_grad():
        for case in tiny_cases() if tiny else all_cases():
            if time.monotonic() > end:
                note += " The time was over before the last cases."
                break
            times: dict[str, float | None] = {"ours": None, "theirs": None}
            error = ""
            for side, library, make in (("ours", dg, case.ours), ("theirs", torch, case.theirs)):
                if library is None:
                    continue
                _allow_tf32(library, case.dtype)
                try:
                    times[side] = median(timer.seconds(make(library), limit))
                except Exception as problem:  # the others are still worth knowing
                    error += f"{side}: {problem!s:.200}"
            rows.append(row(case.name, case.dtype, case.work, rates, times["ours"], times["theirs"], error))
            print(rows[-1], flush=True)
            report.add("Kernels", rows, note)
    if torch is not None:
        torch.set_grad_enabled(True)


def networks(report: Any, clock: Clock, dg: Any, torch: Any, tiny: bool) -> None:
    """Training steps, eager and captured."""
    from benchmarks.gpu import steps
    from benchmarks.gpu.timer import Timer, median
    from deepgpu.backends.cuda import runtime

    timer = Timer(runtime.cupy(), 1)  # a step's own memory is larger than any cache
    chosen: Iterable[steps.Step] = steps.all_steps()
    if tiny:
        chosen = [steps.Step("MLP", 2, "float32", captured) for captured in (False, True)]
    rows: list[dict[str, Any]] = []
    end = clock.until("networks")
    note = "Forward, backward and SGD with momentum; milliseconds a step."
    for step in chosen:
        if time.monotonic() > end:
            note += " The time was over before the last cases."
            break
        made: dict[str, Any] = {"network": step.network, "batch": step.batch, "precision": step.precision}
        made["how"] = "graph" if step.captured else "eager"
        for side, library in (("ours", dg), ("torch", torch)):
            if library is None:
                continue
            try:
                seconds = median(timer.seconds(steps.make(library, step), 0.01 if tiny else 2.0))
                made[f"{side} ms"], made[f"{side} images/s"] = seconds * 1e3, step.batch / seconds
            except Exception as problem:  # the others are still worth knowing
                made["error"] = f"{side}: {problem!s:.200}"
            library.cuda.empty_cache()
        rows.append(made)
        print(made, flush=True)
        report.add("Training steps", rows, note)


if __name__ == "__main__":
    main()
