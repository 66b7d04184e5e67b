"""The kernels through the functions of ``deepgpu/backends/cuda`` that launch them, on the emulated device."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from deepgpu.kernels.emulator import KernelError, compile_judge

from deepgpu.backends.cuda import emulator as xp, runtime
from deepgpu.testing import emulated_cuda

SEEDS = (1, 2)
"""Schedules: descending, and a random one."""

DTYPES = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
SOME_DTYPES = [
    pytest.param(name, marks=[] if name in ("float32", "bfloat16") else [pytest.mark.full]) for name in DTYPES
]
"""All of them, for tests that are as long for each."""

ROUNDING = {"float32": 2**-24, "float64": 2**-53, "float16": 2**-11, "bfloat16": 2**-8}
"""Half a unit in the last place, relative."""


@pytest.fixture(scope="module", autouse=True)
def compiled_together(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile a test module's ``INSTANCES``, file -> names, in one run each: it saves reading the headers."""
    made: dict[tuple[str, str], Any] = {}
    compile_one = runtime._kernel
    for file, names in getattr(request.module, "INSTANCES", {}).items():
        code = (runtime.kernel_folder() / file).read_text()
        module = xp.RawModule(code, runtime.compiler_options(), [n for n in names if "<" in n])
        made.update({(file, name): module for name in names})

    def kernel(file: str, name: str, emulate: bool) -> Any:
        module = made.get((file, name))
        return compile_one(file, name, emulate) if module is None else module.get_function(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "_kernel", kernel)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run."""
    return np.random.default_rng(0)


def random(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    """Normal numbers."""
    return rng.standard_normal(shape).astype(DTYPES[dtype])


def run(function: Callable[..., Any], *args: Any, seed: int = 1, check: bool = False, **kwargs: Any) -> Any:
    """A function of the backend called with NumPy arrays, and what it returns as NumPy arrays."""

    def there(x: Any) -> Any:
        if isinstance(x, list):
            return [there(y) for y in x]
        return xp.array(x) if isinstance(x, np.ndarray) else x

    def back(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple([back(y) for y in x])
        return x.get() if isinstance(x, xp.ndarray) else x

    with emulated_cuda(check=check, seed=seed):
        return back(function(xp, *[there(a) for a in args], **{k: there(v) for k, v in kwargs.items()}))


def assert_near(got: np.ndarray, want: Any, dtype: str, magnitude: Any = 0.0, factor: float = 16) -> None:
    """``|got - want| <= factor * eps * (magnitude + |want|) + rounding of the result``; NaN where NaN is wanted.

    `eps` is float32's, for float64 its own.
    """
    want = np.asarray(want, np.float64)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    assert got.dtype == DTYPES[dtype], f"{got.dtype}, expected {dtype}"
    got = got.astype(np.float64)
    eps = 2**-53 if dtype == "float64" else 2**-24
    with np.errstate(invalid="ignore"):
        tolerance = factor * eps * (magnitude + np.abs(want)) + 1.01 * ROUNDING[dtype] * np.abs(want)
        tolerance += 6e-8 if dtype == "float16" else 1e-37
        right = (np.abs(got - want) <= tolerance) | (got == want) | (np.isnan(got) & np.isnan(want))
    assert right.all(), (
        f"{np.count_nonzero(~right)} of {right.size} are wrong, the first at {np.argwhere(~right)[0]}: "
        f"{got[~right][0]} for {want[~right][0]}"
    )


def assert_same(got: Sequence[Any], want: Sequence[Any]) -> None:
    """The same bits: what schedules must not change."""
    for a, b in zip(got, want, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


@pytest.fixture(scope="module")
def caught(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The list of mutants and who caught them, printed in the end."""
    lines: list[str] = []
    yield lines
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("", *lines, sep="\n")


def assert_barriers_matter(
    file: str, exercise: Callable[[], None], caught: list[str], function: str | None = None
) -> None:
    """Delete each barrier of a source in turn: some judge must notice, the values or the checks.

    Parameters
    ----------
    file
        A kernel file, or a header ``include/...``.
    exercise
        Runs the kernels under check and compares their results; must pass with the source as it is.
    caught
        The list of mutants, which gets a line for each.
    function
        Only the barriers of this function.
    """
    barrier = "__syncthreads();"
    source = (runtime.kernel_folder() / file).read_text()
    start = source.index(f" {function}(") if function else 0
    end = source.index("\n}", start) if function else len(source)
    places = [i for i in range(start, end) if source.startswith(barrier, i)]
    assert places, f"{file} has no barrier"
    exercise()
    for place in places:
        name = f"{Path(file).name}: no {barrier} in line {source.count(chr(10), 0, place) + 1}"
        mutant = source[:place] + source[place + len(barrier) :]
        assert_noticed(name, file, mutant, exercise, caught)


def assert_noticed(name: str, file: str, source: str, exercise: Callable[[], None], caught: list[str]) -> KernelError:
    """Run with another source in place of a kernel file's; whoever notices is written down."""
    try:
        exercise_on(file, source, exercise)
    except (KernelError, AssertionError) as error:
        judge = "check" if isinstance(error, KernelError) else "values"
        caught.append(f"{name}: {judge}: {' '.join(str(error).split())[:110]}")
        return error  # type: ignore[return-value]
    caught.append(f"{name}: NOT NOTICED")
    raise AssertionError(f"nobody noticed {name}")


def exercise_on(file: str, source: str, exercise: Callable[[], None]) -> None:
    """Run with another source in place of a kernel file's or a header's, in a copy of the folder."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        copy = Path(folder) / "cuda"
        shutil.copytree(runtime.kernel_folder(), copy, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / file).write_text(source)
        options = (f"-I{copy / 'include'}", *(o for o in runtime.compiler_options() if not o.startswith("-I")))

        @functools.cache
        def kernel(of_file: str, name: str, emulate: bool) -> Any:
            names = [name] if "<" in name else None
            return xp.RawModule((copy / of_file).read_text(), options, names).get_function(name)

        patch.setattr(runtime, "_kernel", kernel)
        exercise()


@contextlib.contextmanager
def counted(file: str, name: str) -> Iterator[Any]:
    """Counts the memory traffic of a kernel's launches."""
    with runtime.emulated():
        module = runtime._kernel(file, name, True)._kernel.module
    with module.count() as traffic:
        yield traffic


def judged(file: str, names: Sequence[str], architectures: Sequence[int]) -> None:
    """NVRTC takes the kernels, and they keep to the bounds declared beside them."""
    path = runtime.kernel_folder() / file
    verdicts = compile_judge.judge(path, name_expressions=[n for n in names if "<" in n], architectures=architectures)
    assert {v.kernel for v in verdicts} == set(names)
    assert [(v.kernel, v.architecture, v.complaints) for v in verdicts if v.complaints] == []
