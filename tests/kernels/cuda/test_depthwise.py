"""depthwise.cu in all three directions against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import conv, instances
from deepgpu.backends.cuda.conv import Conv
from deepgpu.backends.cuda.gemm import PLAIN, Finish
from tests.kernels.cuda.launcher import KERNELS, SEEDS, Launcher, normal, unwritten
from tests.kernels.cuda.test_conv import DIRECTIONS, Case, reference
from tests.kernels.cuda.test_mutations import caught_by, deletions
from tests.kernels.cuda.test_traffic import counted, taps_inside

SHAPES = [
    Conv(1, 4, 1, 1, 4, 1, 1, groups=4),
    Conv(2, 8, 7, 5, 8, 3, 3, padding=(1, 1), groups=8),
    Conv(1, 3, 9, 9, 3, 3, 3, (2, 2), (1, 1), groups=3),
    Conv(2, 24, 8, 10, 24, 3, 3, padding=(2, 2), dilation=(2, 2), groups=24),
    Conv(1, 40, 1, 1, 40, 3, 3, padding=(1, 1), groups=40),
    Conv(3, 5, 6, 6, 10, 1, 1, groups=5),
    Conv(1, 8, 12, 11, 8, 7, 7, (2, 2), (3, 3), groups=8),
    Conv(2, 16, 6, 7, 16, 1, 1, (2, 2), groups=16),
    Conv(1, 8, 5, 6, 8, 3, 3, padding=(4, 3), groups=8),
    Conv(1, 8, 10, 13, 24, 5, 3, (2, 1), (2, 0), (1, 2), 8),
    Conv(1, 16, 11, 12, 16, 3, 3, (2, 2), (2, 2), (2, 2), 16),
    Conv(2, 7, 10, 9, 14, 2, 4, (3, 2), (1, 2), (2, 1), 7),
    Conv(1, 33, 9, 9, 33, 3, 3, padding=(1, 1), groups=33),
    Conv(1, 136, 5, 7, 136, 3, 3, (1, 2), (1, 0), groups=136),
    Conv(2, 2, 6, 5, 6, 3, 2, (2, 1), (1, 1), groups=2),
    Conv(1, 130, 3, 3, 130, 3, 3, groups=130),
    Conv(1, 8, 9, 9, 8, 2, 2, (4, 3), groups=8),  # the stride is larger than the filter
    Conv(1, 12, 4, 4, 12, 2, 2, (5, 5), (3, 3), groups=12),  # windows that see nothing but padding
    Conv(2, 8, 20, 20, 8, 3, 3, padding=(1, 1), groups=8),
    Conv(1, 64, 8, 8, 64, 5, 5, padding=(2, 2), groups=64),
    Conv(1, 2, 30, 30, 2, 20, 3, groups=2),
]
DTYPES = ("float32", "bfloat16", "float16", "float64")


def cases(dtypes: tuple[str, ...], direction: str) -> list[Case]:
    finish = [PLAIN, Finish(bias=True)] if direction == "fprop" else [PLAIN]
    return [
        Case(direction, dtypes[i % len(dtypes)], False, g, finish[i % len(finish)])
        for i, g in enumerate(SHAPES * len(dtypes))
    ]


CASES = [case for direction in DIRECTIONS for case in cases(("float32",), direction)]
CASES += [Case(direction, "bfloat16", False, g) for direction in DIRECTIONS for g in (SHAPES[1], SHAPES[14])]
FULL = [case for direction in DIRECTIONS for case in cases(DTYPES, direction)]
CHECKED = [Case(d, "float32", False, g) for d in DIRECTIONS for g in (SHAPES[2], SHAPES[3], SHAPES[11], SHAPES[13])]


@pytest.fixture(scope="module")
def launcher():
    return Launcher(case.plan for case in CASES)


@pytest.fixture(scope="module")
def full_launcher():
    return Launcher(case.plan for case in FULL)


@pytest.fixture(scope="module")
def checker():
    return Launcher((case.plan for case in CHECKED), check=True)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions(launcher, case):
    assert case.plan.launches[0].file == "depthwise.cu"
    for seed in SEEDS:
        case.run(launcher, seed)


@pytest.mark.full
@pytest.mark.parametrize("case", FULL, ids=str)
def test_convolutions_of_every_type(full_launcher, case):
    for seed in SEEDS:
        case.run(full_launcher, seed)


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_no_races_and_nothing_out_of_bounds(checker, case):
    for seed in SEEDS:
        case.run(checker, seed)


def test_nan_stays_in_its_channel_and_in_the_windows_that_see_it(launcher):
    g = SHAPES[1]
    rng = np.random.default_rng(0)
    x, w, y = normal(rng, "float32", 2, 7, 5, 8), normal(rng, "float32", 8, 3, 3, 1), unwritten("float32", 2, 7, 5, 8)
    x[1, 0, 4, 3], x[0, 3, 2, 7] = np.nan, np.inf
    launcher(Case("fprop", "float32", False, g).plan, x=x, w=w, y=y)
    want = reference("fprop", g, x.astype(float), w.astype(float), np.zeros(y.shape))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
    assert np.isnan(want).sum() == 4
    assert np.isinf(want).sum() == 9


def test_which_convolutions_are_depthwise():
    def file(g, dtype="float32"):
        return conv.fprop_plan(dtype, g, conv.channels_last(g.c, g.h, g.w)).launches[0].file

    assert file(Conv(1, 8, 5, 5, 16, 3, 3, groups=8)) == "depthwise.cu"
    assert file(Conv(1, 8, 5, 5, 16, 3, 3, groups=4)) == "conv.cu"
    assert file(Conv(1, 1, 5, 5, 16, 3, 3)) == "conv.cu"  # one channel is no group
    assert file(Conv(1, 8, 70, 70, 8, 60, 60, groups=8)) == "conv.cu"  # the filters do not fit into shared memory


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_traffic_is_wide_and_what_the_formula_says(direction, launcher):
    """Inputs of every tap that lies inside the image, filters once a block, outputs once; no conflicts in the loop."""
    g = SHAPES[19]
    rng = np.random.default_rng(0)
    x, w, dy = (
        normal(rng, "float32", 1, 8, 8, 64),
        normal(rng, "float32", 64, 5, 5, 1),
        normal(rng, "float32", 1, 8, 8, 64),
    )
    plan = Case(direction, "float32", False, g).plan
    first = plan._replace(launches=plan.launches[:1])
    out = {name: unwritten("float32", *like.shape) for name, like in (("y", dy), ("dx", x), ("dw", w))}
    traffic = counted(launcher, first, x=x, w=w, dy=dy, **out)
    splits = plan.launches[0].grid[1]
    filters = 4 * w.size * (1 if direction == "wgrad" else splits)
    inputs = 4 * taps_inside(g) * g.c
    if direction == "wgrad":
        assert traffic.bytes("global load") == 2 * inputs
        assert traffic.bytes("global store") == filters * splits
    else:
        assert traffic.bytes("global load") == inputs + filters
        assert traffic.bytes("global store") == 4 * x.size
    loads = {row.size for row in traffic if row.kind == "global load" and row.bytes >= inputs}
    assert loads == {16}
    in_loop = [row for row in traffic if row.kind in ("global load", "shared load")]
    assert all(row.units == row.ideal for row in in_loop), str(traffic)
    assert traffic.bytes("global atomic") == 0


MUTANTS = deletions("depthwise.cu")


def test_the_source_has_barriers():
    assert len(MUTANTS) == 3


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_a_deleted_barrier_is_noticed(mutant, tmp_path, caught):
    cases = [Case(direction, "float32", False, SHAPES[13]) for direction in DIRECTIONS]
    verdict = caught_by(mutant, cases, tmp_path)
    caught.append(f"{mutant}: {verdict or 'NOT NOTICED'}")
    assert verdict


def complaints(names, architectures):
    verdicts = compile_judge.judge(KERNELS / "depthwise.cu", name_expressions=names, architectures=architectures)
    assert len(verdicts) == len(names) * len(architectures)
    return [(v.kernel, v.architecture, v.complaints) for v in verdicts if v.complaints]


@pytest.mark.kernels
def test_registers_spills_and_instructions():
    assert complaints([n for n in instances.INSTANCES["depthwise.cu"] if "float" in n], (90,)) == []


@pytest.mark.kernels
@pytest.mark.full
def test_registers_spills_and_instructions_of_every_instance():
    assert complaints(instances.INSTANCES["depthwise.cu"], compile_judge.ARCHITECTURES) == []
