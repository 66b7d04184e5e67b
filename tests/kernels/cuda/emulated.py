"""The kernels through the functions of ``deepgpu/backends/cuda`` that launch them, on the emulated device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
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


def assert_barriers_matter(file: str, exercise: Callable[[], None]) -> None:
    """Delete each barrier of a source in turn: some judge must notice, the values or the checks.

    Parameters
    ----------
    exercise
        Runs the kernels under check and compares their results; must pass with the source as it is.
    """
    barrier = "__syncthreads();"
    source = (runtime.kernel_folder() / file).read_text()
    places = [i for i in range(len(source)) if source.startswith(barrier, i)]
    assert places, f"{file} has no barrier"
    exercise()
    for place in places:
        line = source[:place].count("\n") + 1
        try:
            exercise_on(file, source[:place] + source[place + len(barrier) :], exercise)
        except (KernelError, AssertionError) as error:
            print(f"{file}:{line} without its barrier: {type(error).__name__}")
            continue
        raise AssertionError(f"{file}:{line}: nobody noticed that the barrier was gone")


def exercise_on(file: str, source: str, exercise: Callable[[], None]) -> None:
    """Run with another source in place of a kernel file's."""
    original = runtime._kernel

    def kernel(of_file: str, name: str, emulate: bool) -> Any:
        if of_file != file:
            return original(of_file, name, emulate)
        names = [name] if "<" in name else None
        return xp.RawModule(source, runtime.compiler_options(), names).get_function(name)

    with pytest.MonkeyPatch.context() as patch:
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
