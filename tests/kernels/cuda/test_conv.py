"""conv.cu in all three directions against PyTorch in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import conv, instances, runtime, tiles
from deepgpu.backends.cuda.conv import Conv, Image
from deepgpu.backends.cuda.gemm import PLAIN, Finish
from deepgpu.backends.cuda.im2col import phases as dgrad_phases
from deepgpu.backends.cuda.plans import Plan
from tests.kernels.cuda.launcher import KERNELS, SEEDS, Launcher, assert_close, normal, unwritten, values

DIRECTIONS = ("fprop", "dgrad", "wgrad")


@dataclass(frozen=True)
class Case:
    """One convolution in one direction."""

    direction: str
    dtype: str
    mma: bool
    g: Conv
    finish: Finish = PLAIN
    nchw: bool = False  # x as an NCHW-contiguous image
    tile: tiles.Tile | None = None

    def __str__(self) -> str:
        g, how = self.g, "mma" if self.mma else "simt"
        where = "-nchw" if self.nchw else ""
        text = f"{self.direction}-{self.dtype}-{how}{where}-{g.n}x{g.c}x{g.h}x{g.w}-k{g.k}x{g.r}x{g.s}"
        text += "".join(f"-{name}{a}{b}" for name, (a, b) in zip("spd", g[7:10], strict=True)) + f"-g{g.groups}"
        return (
            text
            + (f"-{self.finish.activation}" if self.finish != PLAIN else "")
            + (f"-{self.tile}" if self.tile else "")
        )

    @property
    def image(self) -> Image:
        """Strides of x."""
        g = self.g
        return Image(g.c * g.h * g.w, g.w, 1, g.h * g.w) if self.nchw else conv.channels_last(g.c, g.h, g.w)

    @property
    def plan(self) -> Plan:
        if self.tile is not None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(conv, f"{self.tile.loop}_tile", lambda *_: self.tile)
                return self._plan(lambda plan: plan.__wrapped__)
        return self._plan(lambda plan: plan)

    def _plan(self, uncached) -> Plan:
        if self.direction == "fprop":
            return uncached(conv.fprop_plan)(self.dtype, self.g, self.image, self.finish, self.mma)
        if self.direction == "dgrad":
            return uncached(conv.dgrad_plan)(self.dtype, self.g, None, self.mma)
        return uncached(conv.wgrad_plan)(self.dtype, self.g, self.image, self.mma)

    def run(self, launcher: Launcher, seed: int) -> None:
        g, rng = self.g, np.random.default_rng(self.g.c * 7 + self.g.h * 3 + self.g.k)
        x = normal(rng, self.dtype, g.n, g.h, g.w, g.c)
        w = normal(rng, self.dtype, g.k, g.r, g.s, g.channels)
        dy = normal(rng, self.dtype, g.n, g.p, g.q, g.k)
        bias = normal(rng, self.dtype, g.k) if self.finish.bias else None
        residual = normal(rng, self.dtype, *dy.shape) if self.finish.residual else None
        shapes = {"y": dy.shape, "dx": x.shape, "dw": w.shape}
        out = {name: unwritten(self.dtype, *shape) for name, shape in shapes.items()}
        memory = np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if self.nchw else x
        launcher(self.plan, seed, x=memory, w=w, dy=dy, bias=bias, residual=residual, **out)
        exact = [values(array, self.mma) for array in (x, w, dy)]
        want, magnitude = (reference(self.direction, g, *arrays) for arrays in (exact, map(np.abs, exact)))
        want, magnitude = self.finish.alpha * want, abs(self.finish.alpha) * magnitude
        for added in (bias, residual):
            if added is not None:
                want, magnitude = want + added.astype(float), magnitude + np.abs(added.astype(float))
        want = np.maximum(want, 0) if self.finish.activation == "relu" else want
        assert_close(out[{"fprop": "y", "dgrad": "dx", "wgrad": "dw"}[self.direction]], want, magnitude, self.dtype)


def reference(direction: str, g: Conv, x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """PyTorch's convolution or a gradient of it, channels last."""
    x, w, dy = (torch.tensor(a).permute(0, 3, 1, 2).contiguous() for a in (x, w, dy))
    if direction == "fprop":
        out = torch.nn.functional.conv2d(x, w, None, g.stride, g.padding, g.dilation, g.groups)
    elif direction == "dgrad":
        out = torch.nn.grad.conv2d_input(x.shape, w, dy, g.stride, g.padding, g.dilation, g.groups)
    else:
        out = torch.nn.grad.conv2d_weight(x, w.shape, dy, g.stride, g.padding, g.dilation, g.groups)
    return out.permute(0, 2, 3, 1).numpy()


ALIGNED = [  # what tensor cores take
    Conv(1, 8, 1, 1, 8, 1, 1),
    Conv(2, 16, 7, 5, 24, 3, 3, padding=(1, 1)),
    Conv(1, 8, 9, 9, 16, 3, 3, (2, 2), (1, 1)),
    Conv(2, 24, 8, 10, 8, 3, 3, padding=(2, 2), dilation=(2, 2)),
    Conv(1, 16, 1, 1, 40, 3, 3, padding=(1, 1)),
    Conv(3, 40, 6, 6, 72, 1, 1),
    Conv(1, 8, 12, 11, 8, 7, 7, (2, 2), (3, 3)),
    Conv(2, 16, 6, 7, 8, 1, 1, (2, 2)),
    Conv(1, 8, 5, 6, 16, 3, 3, padding=(4, 3)),
    Conv(1, 8, 10, 13, 24, 5, 3, (2, 1), (2, 0), (1, 2)),
    Conv(1, 16, 11, 12, 16, 3, 3, (2, 2), (2, 2), (2, 2)),
    Conv(2, 8, 10, 9, 16, 2, 4, (3, 2), (1, 2), (2, 1)),
    Conv(1, 64, 5, 5, 72, 3, 3, padding=(1, 1)),
    Conv(1, 72, 6, 7, 136, 3, 3, (1, 2), (1, 0)),
    Conv(2, 24, 6, 5, 96, 3, 2, (2, 1), (1, 1)),
    Conv(1, 16, 7, 5, 64, 3, 3, (2, 2), (2, 2), (1, 2)),
    Conv(2, 32, 5, 6, 48, 3, 3, padding=(1, 1), groups=2),
    Conv(1, 24, 9, 8, 24, 3, 2, (2, 3), (1, 0), groups=3),
    Conv(1, 16, 9, 9, 32, 2, 2, (4, 3)),  # the stride is larger than the filter
    Conv(1, 8, 23, 23, 8, 3, 3, padding=(1, 1)),  # wgrad is split
    Conv(1, 32, 8, 8, 32, 3, 3, padding=(1, 1), groups=4),
]
DEEP = [  # for tensor cores too, with at least four k-tiles in every direction
    Conv(1, 16, 10, 11, 16, 3, 3, padding=(1, 1)),
    Conv(2, 16, 9, 8, 24, 3, 3, padding=(1, 1)),
    Conv(1, 24, 12, 11, 16, 3, 3),
    Conv(1, 32, 10, 10, 32, 2, 2, padding=(1, 1)),
    Conv(3, 16, 7, 7, 16, 3, 3, padding=(1, 1)),
    Conv(1, 40, 11, 10, 16, 1, 3, padding=(0, 1)),
    Conv(1, 16, 10, 12, 40, 3, 1, padding=(1, 0)),
    Conv(2, 16, 8, 8, 16, 3, 3, padding=(2, 2), dilation=(2, 2)),
    Conv(4, 24, 5, 6, 24, 3, 3, padding=(1, 1)),
    Conv(1, 16, 22, 20, 56, 3, 3, (2, 2), (1, 1)),
    Conv(2, 16, 15, 14, 64, 5, 5, (2, 2), (2, 2)),
    Conv(1, 32, 11, 10, 32, 3, 3, padding=(1, 1), groups=2),
    Conv(5, 16, 6, 4, 24, 3, 3, padding=(1, 1)),
    Conv(1, 16, 10, 10, 16, 5, 3, padding=(2, 1)),
    Conv(1, 24, 14, 9, 32, 3, 3, padding=(0, 1)),
    Conv(2, 16, 20, 9, 56, 3, 3, (2, 1), (1, 1)),
    Conv(1, 48, 12, 9, 16, 3, 3, padding=(1, 1)),
    Conv(2, 16, 7, 9, 72, 3, 3, padding=(1, 1)),
    Conv(9, 16, 4, 3, 16, 3, 3, padding=(1, 1)),
    Conv(1, 16, 33, 3, 24, 3, 3, padding=(1, 1)),
]
RAGGED = [  # what only the general kernels take
    Conv(1, 1, 1, 1, 1, 1, 1),
    Conv(2, 3, 9, 7, 6, 3, 3, (2, 2), (1, 1)),
    Conv(1, 3, 13, 14, 8, 7, 7, (2, 2), (3, 3)),  # a first layer
    Conv(2, 6, 9, 8, 4, 3, 2, (2, 3), (1, 0), (2, 1), 2),
    Conv(1, 2, 20, 20, 3, 18, 3, (3, 3), (3, 2)),  # more taps than the masks have bits
    Conv(1, 5, 6, 6, 7, 1, 1),
    Conv(2, 1, 8, 8, 70, 3, 3, padding=(1, 1)),
    Conv(2, 6, 8, 8, 1, 3, 3, padding=(1, 1)),
    Conv(1, 9, 7, 7, 9, 3, 3, padding=(1, 1), groups=9),
    Conv(1, 6, 4, 4, 12, 2, 2, (5, 5), (3, 3), groups=3),  # windows that see nothing but padding
    Conv(1, 66, 5, 5, 65, 3, 3, dilation=(2, 1)),
    Conv(3, 10, 3, 3, 12, 3, 3),
]
FINISHES = [PLAIN, Finish(bias=True), Finish(0.5, True, True, "relu")]
MMA_DTYPES = ("float32", "bfloat16")


def default_cases(direction: str) -> list[Case]:
    finishes = FINISHES[:2] if direction == "fprop" else [PLAIN]
    dtypes = MMA_DTYPES if direction == "fprop" else MMA_DTYPES[1:]  # every instance is compiled
    cases = [
        Case(direction, dtypes[i % len(dtypes)], True, g, finishes[i // 2 % len(finishes)])
        for i, g in enumerate(ALIGNED + DEEP)
    ]
    cases += [
        Case(direction, "float32", False, g, finishes[i % len(finishes)], nchw=i % 3 == 1 and direction != "dgrad")
        for i, g in enumerate(RAGGED + ALIGNED[2:11] + DEEP)
    ]
    return cases


CASES = [case for direction in DIRECTIONS for case in default_cases(direction)]
CASES += [Case("fprop", "float32", True, ALIGNED[3], FINISHES[2])]
CHECKED = [
    *(Case(d, "bfloat16", True, ALIGNED[9]) for d in DIRECTIONS),
    *(Case(d, "float32", True, ALIGNED[17]) for d in DIRECTIONS),
    *(Case(d, "float32", False, g) for d in DIRECTIONS for g in (RAGGED[3], RAGGED[9])),
    Case("fprop", "float32", False, RAGGED[1], nchw=True),
]
FULL = [
    Case(d, dtype, mma, g, FINISHES[(i + mma) % 3] if d == "fprop" else PLAIN, nchw=nchw)
    for d in DIRECTIONS
    for dtype, mma in (("float32", True), ("bfloat16", True), ("float16", True), ("float32", False), ("float64", False))
    for i, g in enumerate(ALIGNED + ([] if mma else RAGGED))
    for nchw in ((False,) if mma or d == "dgrad" else (False, True))
] + [
    Case(d, dtype, True, g, tile=tile)
    for d in DIRECTIONS[:2]
    for dtype in MMA_DTYPES
    for tile in (tiles.MMA_LARGE, tiles.MMA_LARGE_8_WARPS, tiles.MMA_NARROW)
    for g in (ALIGNED[12], ALIGNED[13], ALIGNED[16], ALIGNED[10])
]  # fmt: skip


@pytest.fixture(scope="module")
def launcher():
    return Launcher(case.plan for case in CASES)


@pytest.fixture(scope="module")
def full_launcher():
    return Launcher(case.plan for case in FULL)


@pytest.fixture(scope="module")
def checker():
    return Launcher((case.plan for case in CHECKED), check=True)


def k_tiles(case: Case) -> int:
    """Of the block that sums up most."""
    g, depth = case.g, 64 // tiles.itemsize(case.dtype) if case.mma else 8
    if case.direction == "dgrad":
        size = max(phase.dy.depth for phase in dgrad_phases(g, conv.channels_last(g.k, g.p, g.q)))
    else:
        size = g.depth if case.direction == "fprop" else g.rows
    return -(-size // depth)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_main_loop_sees_twenty_shapes_of_four_k_tiles(direction):
    for loop in ("mma", "simt"):
        name = f"conv_{direction}_{loop}<"
        cases = [c for c in CASES if c.direction == direction and c.plan.launches[0].kernel.startswith(name)]
        assert len({c.g for c in cases if k_tiles(c) >= 4}) >= 20


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions(launcher, case):
    for seed in SEEDS:
        case.run(launcher, seed)


@pytest.mark.full
@pytest.mark.parametrize("case", FULL, ids=str)
def test_convolutions_on_the_whole_grid(full_launcher, case):
    for seed in SEEDS:
        case.run(full_launcher, seed)


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_no_races_and_nothing_out_of_bounds(checker, case):
    for seed in SEEDS:
        case.run(checker, seed)


@pytest.mark.parametrize("mma", [False, True], ids=["simt", "mma"])
def test_nan_reaches_the_windows_that_see_it(launcher, mma):
    g = ALIGNED[2]
    rng = np.random.default_rng(0)
    x, w, y = normal(rng, "float32", 1, 9, 9, 8), normal(rng, "float32", 16, 3, 3, 8), unwritten("float32", 1, 5, 5, 16)
    x[0, 0, 8, 3], x[0, 4, 4, 7] = np.nan, np.inf
    plan = Case("fprop", "float32", mma, g).plan
    launcher(plan, x=x, w=w, y=y)
    want = reference("fprop", g, x.astype(float), w.astype(float), np.zeros(y.shape))
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
    assert np.isnan(want).sum() == 16
    assert np.isinf(want).sum() == 16


# --- which kernel -----------------------------------------------------------------------------------------------------


def kernels_of(dtype, g):
    image = conv.channels_last(g.c, g.h, g.w)
    plans = [conv.fprop_plan(dtype, g, image, PLAIN, True), conv.dgrad_plan(dtype, g, None, True)]
    plans.append(conv.wgrad_plan(dtype, g, image, True))
    return [plan.launches[0].kernel.split("<")[0] for plan in plans]


def test_tensor_cores_take_whole_chunks_of_channels():
    mma, simt = ([f"conv_{d}_{loop}" for d in DIRECTIONS] for loop in ("mma", "simt"))
    g = ALIGNED[1]
    assert kernels_of("bfloat16", g) == mma
    assert kernels_of("float64", g) == simt
    assert kernels_of("bfloat16", g._replace(c=20)) == simt
    assert kernels_of("float32", g._replace(c=20)) == mma
    assert kernels_of("bfloat16", g._replace(k=9)) == [mma[0], *simt[1:]]


def test_other_reasons_to_leave_the_tensor_cores():
    assert kernels_of("bfloat16", ALIGNED[5]) == ["gemm_mma"] * 3  # one tap: a product
    assert kernels_of("bfloat16", Conv(1, 8, 40, 40, 8, 16, 3))[0] == "conv_fprop_simt"  # more taps than mask bits
    assert kernels_of("bfloat16", Conv(1, 8, 20000, 20000, 8, 3, 3))[0] == "conv_fprop_simt"  # 64-bit offsets


def test_nothing_is_launched_for_an_empty_batch():
    g = Conv(0, 8, 5, 5, 8, 3, 3)
    assert conv.fprop_plan("float32", g, conv.channels_last(8, 5, 5)).launches == ()
    assert conv.dgrad_plan("float32", g).launches == ()


# --- the three directions on the emulated device ----------------------------------------------------------------------


@pytest.mark.parametrize("allow_tf32", [pytest.param(False, marks=pytest.mark.full), True])
def test_directions_on_device_arrays(allow_tf32):
    g = Conv(2, 8, 7, 6, 8, 3, 3, (2, 2), (1, 1), (1, 1), 2)
    rng = np.random.default_rng(0)
    x, w, dy = (normal(rng, "float32", *shape) for shape in ((2, 8, 7, 6), (8, 4, 3, 3), (2, 8, 4, 3)))
    bias, where = normal(rng, "float32", 8), (g.stride, g.padding, g.dilation, g.groups)
    with runtime.emulated():
        xp = runtime.cupy()
        dx, dw, ddy = (xp.asarray(a) for a in (x, w, dy))
        got = {
            "fprop": conv.fprop(xp, dx, dw, xp.asarray(bias), *where, allow_tf32=allow_tf32).get(),
            "dgrad": conv.dgrad(xp, ddy, dw, (7, 6), *where, allow_tf32=allow_tf32).get(),
            "wgrad": conv.wgrad(xp, ddy, dx, (3, 3), *where, allow_tf32=allow_tf32).get(),
        }
    exact = [values(a.transpose(0, 2, 3, 1).copy(), allow_tf32) for a in (x, w, dy)]
    for direction, result in got.items():
        want = reference(direction, g, *exact).transpose(0, 3, 1, 2)
        want = want + bias[:, None, None] if direction == "fprop" else want
        np.testing.assert_allclose(result, want, 1e-4, 2e-5)


RAGGED_CHANNELS = [
    Conv(2, 3, 13, 14, 8, 7, 7, (2, 2), (3, 3)),  # a first layer
    Conv(2, 1, 9, 8, 16, 3, 3, padding=(1, 1)),
    Conv(1, 9, 7, 6, 24, 3, 2, padding=(1, 0), dilation=(1, 2)),
    Conv(1, 3, 8, 8, 8, 1, 1, (2, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("g", RAGGED_CHANNELS, ids=str)
def test_channels_that_are_no_whole_chunks_are_padded_for_tensor_cores(g, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    launched, launch = [], runtime.launch
    monkeypatch.setattr(runtime, "launch", lambda *args, **more: launched.append(args[1]) or launch(*args, **more))
    x, w, dy = (
        normal(rng, dtype, *shape) for shape in ((g.n, g.c, g.h, g.w), (g.k, g.c, g.r, g.s), (g.n, g.k, g.p, g.q))
    )
    where = (g.stride, g.padding, g.dilation, 1)
    with runtime.emulated():
        xp = runtime.cupy()
        dx, dw, ddy = (xp.asarray(a) for a in (x, w, dy))
        got = {"fprop": conv.fprop(xp, dx, dw, None, *where), "wgrad": conv.wgrad(xp, ddy, dx, (g.r, g.s), *where)}
        got = {direction: result.get() for direction, result in got.items()}
    assert [name.split("<")[0] for name in launched if name.startswith("conv")] == ["conv_fprop_mma", "conv_wgrad_mma"]
    exact = [values(np.ascontiguousarray(a.transpose(0, 2, 3, 1)), True) for a in (x, w, dy)]
    for direction, result in got.items():
        want, magnitude = (reference(direction, g, *arrays) for arrays in (exact, map(np.abs, exact)))
        assert_close(result, want.transpose(0, 3, 1, 2), magnitude.transpose(0, 3, 1, 2), dtype)


# --- the compile judge ------------------------------------------------------------------------------------------------

JUDGED = [
    tiles.template("conv_fprop", tiles.MMA_NARROW, "bfloat16", 0),
    tiles.template("conv_fprop", tiles.SIMT_LARGE, "float32", 0, 0),
]


def complaints(names, architectures):
    verdicts = compile_judge.judge(KERNELS / "conv.cu", name_expressions=names, architectures=architectures)
    assert len(verdicts) == len(names) * len(architectures)
    return [(v.kernel, v.architecture, v.complaints) for v in verdicts if v.complaints]


@pytest.mark.kernels
def test_registers_spills_and_instructions():
    assert complaints(JUDGED, (90,)) == []


@pytest.mark.kernels
@pytest.mark.full
@pytest.mark.parametrize("architecture", compile_judge.ARCHITECTURES)
def test_registers_spills_and_instructions_of_every_instance(architecture):
    assert complaints(instances.served("conv.cu", architecture), (architecture,)) == []
