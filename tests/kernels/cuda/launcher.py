"""Runs launch plans on the emulator with NumPy arrays, and compares the results with float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

import ml_dtypes
import numpy as np
from deepgpu.kernels.emulator.toolchain import KERNEL_INCLUDE

from deepgpu.backends.cuda.plans import Plan, bound
from deepgpu.kernels import emulator

KERNELS = KERNEL_INCLUDE.parent
SEEDS = (1, 2)
"""Schedules: descending, and a random one."""

TOGETHER = 24
"""Kernels in one run of the compiler: most of a small one's time goes into the headers."""

DTYPES = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "int32": np.dtype(np.int32),
    "int8": np.dtype(np.int8),
}
ROUNDING = {"float32": 2**-24, "float64": 2**-53, "float16": 2**-11, "bfloat16": 2**-8, "int32": 0.0, "int8": 0.0}
"""Half a unit in the last place, relative."""


class Launcher:
    """The kernels of some plans, compiled together.

    Parameters
    ----------
    plans
        What is to be run.
    check
        Whether races, bounds and uninitialised memory are checked.
    folder
        Where the kernels are; a copy of `kernels/cuda` for mutants.
    """

    def __init__(self, plans: Iterable[Plan], check: bool = False, folder: Path = KERNELS) -> None:
        names = sorted({(launch.file, launch.kernel) for plan in plans for launch in plan.launches})
        self.modules = {}
        for file, group in itertools.groupby(names, key=lambda name: name[0]):
            kernels = [kernel for _, kernel in group]
            for i in range(0, len(kernels), TOGETHER):
                some = kernels[i : i + TOGETHER]
                module = emulator.RawModule(
                    path=folder / file, name_expressions=some, options=(f"-I{folder / 'include'}",), check=check
                )
                self.modules.update({(file, kernel): module for kernel in some})

    def remove_compiled(self) -> None:
        """Delete what was compiled from the cache: nobody will ask for a mutant again."""
        for module in set(self.modules.values()):
            for build in module._builds.values():
                build.compiled.path.unlink(missing_ok=True)

    def __call__(self, plan: Plan, seed: int = 1, **arrays: np.ndarray | None) -> None:
        """Run a plan's launches in order."""
        if plan.workspace:
            arrays["workspace"] = np.full(plan.workspace, np.nan, plan.workspace_dtype)
        for launch in plan.launches:
            kernel = self.modules[launch.file, launch.kernel].get_function(launch.kernel)
            kernel.max_dynamic_shared_size_bytes = 227 << 10
            arguments = bound(launch.arguments, arrays)
            kernel(launch.grid, (launch.threads,), arguments, shared_mem=launch.shared_bytes, seed=seed)


def normal(rng: np.random.Generator, dtype: str, *shape: int) -> np.ndarray:
    """Random numbers; small ones if they are to be integers."""
    x = rng.standard_normal(shape)
    return (x * 4).astype(DTYPES[dtype]) if dtype.startswith("int") else x.astype(DTYPES[dtype])


def unwritten(dtype: str, *shape: int) -> np.ndarray:
    """An output: NaN where nothing is written."""
    return np.full(shape, 99 if dtype.startswith("int") else np.nan, DTYPES[dtype])


def values(x: np.ndarray, tensor_cores: bool) -> np.ndarray:
    """What a kernel computes with, in float64: tensor cores round float32 to TF32 (`round_tf32` in ptx.cuh)."""
    if tensor_cores and x.dtype == np.float32:
        bits = (x * np.float32(1.000338)).view(np.uint32) & np.uint32(0xFFFFE000)
        return bits.view(np.float32).astype(np.float64)
    return x.astype(np.float64)


def assert_close(got: np.ndarray, want: np.ndarray, magnitude: np.ndarray, dtype: str) -> None:
    """Hold a sum to float32's accuracy (float64's for float64).

    ``|got - want| <= 32 eps * magnitude + rounding of the result``, where `magnitude` is the sum of the terms' absolute
    values. Everything must be finite.
    """
    assert got.shape == want.shape
    got = got.astype(np.float64)
    assert np.isfinite(got).all(), f"{np.count_nonzero(~np.isfinite(got))} of {got.size} are not finite"
    eps = 2**-53 if dtype == "float64" else 2**-24
    tolerance = 32 * eps * magnitude + 1.01 * ROUNDING[dtype] * np.abs(want) + (6e-8 if dtype == "float16" else 1e-30)
    wrong = ~(np.abs(got - want) <= tolerance)
    assert not wrong.any(), (
        f"{np.count_nonzero(wrong)} of {got.size} are wrong, the first at {np.argwhere(wrong)[0]}: "
        f"{got[wrong][0]} for {want[wrong][0]}"
    )
