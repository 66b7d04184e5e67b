"""What the kernels were tested with: each must see twenty configurations, each of them under two schedules."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from deepgpu.kernels.emulator import module as emulated

from deepgpu.backends.cuda import instances

CONFIGURATIONS, SCHEDULES = 20, 2


def configurations(args: Sequence[Any], reachable: Sequence[np.ndarray]) -> Iterator[Any]:
    """What a launch works on: the shapes of its arrays and its structures, and the shapes in its tables."""
    yield from {x.shape for x in reachable}
    arrays = [a.shape for a in args if isinstance(a, np.ndarray) and a.ndim]
    structures = [
        bytes(a) if hasattr(a, "_fields_") else a.tobytes()
        for a in args
        if hasattr(a, "_fields_") or (np.ndim(a) == 0 and np.asarray(a).dtype.kind == "V")
    ]
    yield (*arrays, *structures)


def too_few(seeds: dict[tuple[str, Any], set[int]], kernels: set[str]) -> dict[str, int]:
    """The kernels with fewer than twenty configurations that ran under two schedules, and with how many."""
    counts = collections.Counter(kernel for (kernel, _), of in seeds.items() if len(of) >= SCHEDULES)
    return {kernel: counts[kernel] for kernel in sorted(kernels) if counts[kernel] < CONFIGURATIONS}


def runs_whole(request: pytest.FixtureRequest) -> bool:
    """Whether all tests of the module run, but for those that a default run, or one without NVRTC, leaves out."""
    ours = [item for item in request.session.items if item.path == request.path]
    names = {getattr(item, "originalname", item.name) for item in ours}
    functions = [f for name, f in vars(request.module).items() if name.startswith("test_") and callable(f)]
    expected = [f for f in functions if not {m.name for m in getattr(f, "pytestmark", ())} & {"full", "kernels"}]
    return not request.session.testsfailed and all(f.__name__ in names for f in expected)


@pytest.fixture(scope="module", autouse=True)
def exercised(request: pytest.FixtureRequest) -> Iterator[None]:
    """Count a test module's launches; for the source that it is named for, and others it has whole, they must do."""
    named = f"{request.path.stem.removeprefix('test_')}.cu"
    whole = {f for f, names in getattr(request.module, "INSTANCES", {}).items() if names == instances.INSTANCES[f]}
    kernels = {
        name.split("<")[0] for file in {named, *whole} & set(instances.INSTANCES) for name in instances.INSTANCES[file]
    }
    seeds: dict[tuple[str, Any], set[int]] = collections.defaultdict(set)
    call = emulated.Kernel.__call__

    def counted(self: emulated.Kernel, grid: Any, block: Any, args: Sequence[Any], **keywords: Any) -> None:
        seed = keywords.get("seed")
        for configuration in configurations(args, keywords.get("reachable", ())):
            of = seeds[self.name.split("<")[0], configuration]
            of.add(self.module.seed if seed is None else seed)
        call(self, grid, block, args, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emulated.Kernel, "__call__", counted)
        yield
    if runs_whole(request):
        few = too_few(seeds, kernels)
        assert not few, f"kernels that ran on fewer than {CONFIGURATIONS} shapes under {SCHEDULES} schedules: {few}"
