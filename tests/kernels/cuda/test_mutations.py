"""Can the judges fail? Each barrier and wait is deleted in turn, other lines are falsified, and some judge must notice.

The judges, in the order asked: `values` (float64, two schedules), `check` (races, bounds, uninitialised memory) and
`traffic` (bank conflicts). What each mutant was caught by is printed.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from deepgpu.kernels.emulator import KernelError

from deepgpu.backends.cuda.conv import Conv
from deepgpu.backends.cuda.gemm import K_MAJOR, MN_MAJOR
from tests.kernels.cuda import test_conv, test_gemm
from tests.kernels.cuda.launcher import KERNELS, SEEDS, Launcher

SYNCHRONISATION = re.compile(r"__sync(?:threads|warp)\(\);|cp_async_(?:wait<[^;]*>|wait_all|commit)\(\);")


@dataclass(frozen=True)
class Mutant:
    """A source with one change: `old`, which begins at the character `at`, is replaced by `new`.

    `wild`: it writes where it must not; without checks that could be the tests' own memory.
    """

    name: str
    file: str
    at: int
    old: str
    new: str
    wild: bool = False

    def __str__(self) -> str:
        return f"{Path(self.file).name}: {self.name}"

    def write(self, folder: Path) -> Path:
        """A copy of the kernels with the change."""
        copy = folder / "cuda"
        shutil.copytree(KERNELS, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (copy / self.file).read_text()
        assert text[self.at :].startswith(self.old)
        (copy / self.file).write_text(text[: self.at] + self.new + text[self.at + len(self.old) :])
        return copy


def deletions(file: str) -> list[Mutant]:
    """Every barrier, wait and commit of a source, deleted."""
    text = (KERNELS / file).read_text()
    return [
        Mutant(f"no {m[0]} in line {text.count(chr(10), 0, m.start()) + 1}", file, m.start(), m[0], ";")
        for m in SYNCHRONISATION.finditer(text)
    ]


def changed(name: str, file: str, old: str, new: str, wild: bool = False) -> Mutant:
    """A text that stands once in a source, replaced."""
    text = (KERNELS / file).read_text()
    assert text.count(old) == 1, f"{name}: {old!r} stands {text.count(old)} times in {file}"
    return Mutant(name, file, text.index(old), old, new, wild)


Case = test_gemm.Case | test_conv.Case
LOOP, SIMT = "include/mma_mainloop.cuh", "include/simt.cuh"
PRODUCTS: dict[str, list[Case]] = {
    LOOP: [
        test_gemm.Case("bfloat16", True, 72, 72, 264, (K_MAJOR, MN_MAJOR)),
        test_gemm.Case("float32", True, 65, 33, 132, (MN_MAJOR, K_MAJOR)),
    ],
    SIMT: [test_gemm.Case("float32", False, 72, 72, 45, (K_MAJOR, MN_MAJOR))],
}
WINDOWS = Conv(2, 40, 9, 9, 72, 3, 3, (1, 1), (1, 1))
CONVOLUTIONS: dict[str, list[Case]] = {
    LOOP: [test_conv.Case(d, "bfloat16", True, WINDOWS) for d in test_conv.DIRECTIONS],
    SIMT: [test_conv.Case(d, "float32", False, WINDOWS) for d in test_conv.DIRECTIONS],
}
SYNCHRONISATIONS = [mutant for file in PRODUCTS for mutant in deletions(file)]


def caught_by(mutant: Mutant | None, cases: list[Case], folder: Path) -> str:
    """The first judge to notice, and what it says; empty if none does."""
    kernels = mutant.write(folder) if mutant else KERNELS
    launchers: list[Launcher] = []
    try:
        for judge in ("check",) if mutant and mutant.wild else ("values", "check", "traffic"):
            launcher = Launcher((case.plan for case in cases), check=judge == "check", folder=kernels)
            launchers.append(launcher)
            for case in cases:
                for seed in SEEDS:
                    try:
                        conflicts = run(launcher, case, seed, judge == "traffic")
                    except (AssertionError, KernelError) as error:
                        return f"{judge}: {' '.join(str(error).split())[:110]}"
                    if conflicts:
                        return f"traffic: {conflicts} bank conflicts"
        return ""
    finally:
        for launcher in launchers if mutant else ():
            launcher.remove_compiled()


def run(launcher: Launcher, case: Case, seed: int, counting: bool) -> int:
    """Run a case; the bank conflicts if they are to be counted."""
    if not counting:
        case.run(launcher, seed)
        return 0
    total = 0
    for launch in case.plan.launches[:1]:
        with launcher.modules[launch.file, launch.kernel].count() as traffic:
            case.run(launcher, seed)
        total += traffic.bank_conflicts
    return total


def hold(mutant: Mutant, cases: list[Case], folder: Path, caught: list[str]) -> None:
    verdict = caught_by(mutant, cases, folder)
    caught.append(f"{mutant}: {verdict or 'NOT NOTICED'}")
    assert verdict, f"nobody noticed {mutant}"


def test_the_sources_have_synchronisation():
    assert {file: len(deletions(file)) for file in PRODUCTS} == {LOOP: 6, SIMT: 2}


@pytest.mark.parametrize("mutant", SYNCHRONISATIONS, ids=str)
def test_a_deleted_barrier_or_wait_is_noticed(mutant, tmp_path, caught):
    hold(mutant, PRODUCTS[mutant.file], tmp_path, caught)


@pytest.mark.full
@pytest.mark.parametrize("direction", test_conv.DIRECTIONS)
@pytest.mark.parametrize("mutant", SYNCHRONISATIONS, ids=str)
def test_a_deleted_barrier_or_wait_is_noticed_in_convolutions(mutant, direction, tmp_path, caught):
    cases = [case for case in CONVOLUTIONS[mutant.file] if case.direction == direction]
    hold(mutant, cases, tmp_path, caught)


@pytest.mark.full
def test_the_sources_as_they_are_pass(tmp_path):
    for file in PRODUCTS:
        assert caught_by(None, PRODUCTS[file] + CONVOLUTIONS[file], tmp_path) == ""


TILE, DENSE, WINDOW, STORE = (f"include/{f}.cuh" for f in ("mma_tile", "dense", "im2col", "mma_store"))
FALSIFIED = [
    changed("the first wait is for one group too few", LOOP, "STAGES - 2>();\n  __sync", "STAGES - 1>();\n  __sync"),
    changed("the loop waits for one group too few", LOOP, "STAGES - 2>();  // this", "STAGES - 1>();  // this"),
    changed("one tile too many in flight", LOOP, "s < C::STAGES - 1; s++", "s < C::STAGES; s++"),
    changed("the stage to write does not wrap", LOOP, "if (write == end) write = shared;", ""),
    changed("the stage to read does not wrap", LOOP, "if (read == end) read = shared;", ""),
    changed("the scalar loop writes the buffer it reads", SIMT, "shared.a[now ^ 1]", "shared.a[now]"),
    changed("the scalar loop's lines are not padded", SIMT, "PAD = 4;", "PAD = 0;"),
    changed("a row past the end is copied", DENSE, "STEP < rows_left && bytes > 0", "STEP <= rows_left && bytes > 0"),
    changed("K_MAJOR tables are not swizzled", TILE, "position(row) >> 1 :", "0 :"),
    changed("K_MAJOR tables are swizzled for other rows", TILE, "position(row) >> 1 :", "(row >> 1 & 3) :"),
    changed("16-bit MN_MAJOR tables are not swizzled", TILE, "? row & 7 :", "? 0 :"),
    changed("TF32 MN_MAJOR tables are not swizzled", TILE, ": row & 3;", ": 0;"),
    changed("a column past N is stored", STORE, "if (m < M && n < N)", "if (m < M)", wild=True),
    changed("a row past M is stored", STORE, "if (m < M && n < N)", "if (n < N)", wild=True),
    changed("the exchange in the epilogue is turned", STORE, "q & b ? low : high, b);", "q & b ? high : low, b);"),
    changed("TF32 is not rounded", "include/mma_fragments.cuh", "if (C::TF32) round();", ""),
    changed("a line past the image is read", WINDOW, "step_h) < unsigned(g.height)", "step_h) <= unsigned(g.height)"),
    changed("a window past the last is read", WINDOW, "m < end && unsigned(h)", "m <= end && unsigned(h)"),
]  # fmt: skip
SMALL = [
    *PRODUCTS[LOOP],
    *PRODUCTS[SIMT],
    test_gemm.Case("bfloat16", True, 70, 80, 136, (MN_MAJOR, K_MAJOR)),
    test_gemm.Case("float32", True, 70, 36, 132, (K_MAJOR, MN_MAJOR)),
    *(test_conv.Case(d, "float32", True, WINDOWS._replace(n=1, c=24)) for d in test_conv.DIRECTIONS),
]


@pytest.mark.full
@pytest.mark.parametrize("mutant", FALSIFIED, ids=str)
def test_a_falsified_line_is_noticed(mutant, tmp_path, caught):
    hold(mutant, SMALL, tmp_path, caught)
