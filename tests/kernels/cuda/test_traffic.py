"""What the main loops ask of memory, counted by the emulator, against the formulas in the kernels' header comments."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest
from deepgpu.kernels.emulator import Traffic

from deepgpu.backends.cuda import tiles
from deepgpu.backends.cuda.conv import Conv
from deepgpu.backends.cuda.gemm import K_MAJOR, MN_MAJOR
from deepgpu.backends.cuda.plans import Plan, up
from tests.kernels.cuda import test_conv, test_gemm
from tests.kernels.cuda.launcher import Launcher, normal, unwritten


@pytest.fixture(scope="module")
def launcher():
    return Launcher(case.plan for case in PRODUCTS + CONVOLUTIONS)


@pytest.fixture(scope="module")
def full_launcher():
    return Launcher(case.plan for case in MORE_PRODUCTS + MORE_CONVOLUTIONS)


def counted(launcher: Launcher, plan: Plan, **arrays: np.ndarray | None) -> Traffic:
    """The traffic of a plan's launches, which are of one kernel."""
    (name,) = {(launch.file, launch.kernel) for launch in plan.launches}
    with launcher.modules[name].count() as traffic:
        launcher(plan, **arrays)
    return traffic


def tile_of(plan: Plan) -> tuple[int, int]:
    """The block's tile of a plan's kernel: the first numbers among the template's arguments."""
    bm, bn = re.findall(r"\b\d+\b", plan.launches[0].kernel)[:2]
    return int(bm), int(bn)


DTYPES = ("float32", "bfloat16")
PRODUCTS = [
    test_gemm.Case("float32", True, 136, 72, 160, (K_MAJOR, K_MAJOR)),
    test_gemm.Case("float32", True, 136, 72, 160, (MN_MAJOR, MN_MAJOR)),
    test_gemm.Case("bfloat16", True, 136, 72, 160, (K_MAJOR, MN_MAJOR)),
    test_gemm.Case("bfloat16", True, 136, 72, 160, (MN_MAJOR, K_MAJOR)),
    test_gemm.Case("float32", False, 136, 72, 40, (K_MAJOR, MN_MAJOR)),
]
MORE_PRODUCTS = [
    test_gemm.Case(dtype, True, 136, 200, 160, orders, tile=tile)
    for dtype in DTYPES
    for orders in test_gemm.ORDERS
    for tile in (tiles.MMA_LARGE, tiles.MMA_LARGE_8_WARPS, tiles.MMA_NARROW, tiles.MMA_SMALL)
] + [
    test_gemm.Case("float32", False, 136, 200, 40, orders, tile=tile)
    for orders in test_gemm.ORDERS
    for tile in (tiles.SIMT_LARGE, tiles.SIMT_SMALL)
]


@pytest.mark.parametrize("case", PRODUCTS, ids=str)
def test_products_move_what_the_formula_says(launcher, case):
    hold_product_to_the_formula(launcher, case)


@pytest.mark.full
@pytest.mark.parametrize("case", MORE_PRODUCTS, ids=str)
def test_products_of_every_tile_move_what_the_formula_says(full_launcher, case):
    hold_product_to_the_formula(full_launcher, case)


def hold_product_to_the_formula(launcher: Launcher, case: test_gemm.Case) -> None:
    rng = np.random.default_rng(0)
    a, b = (normal(rng, case.dtype, *case.layout(o, s)[1]) for o, s in zip(case.orders, (case.m, case.n), strict=True))
    traffic = counted(launcher, case.plan, a=a, b=b, c=unwritten(case.dtype, case.m, case.n))
    (bm, bn), size = tile_of(case.plan), tiles.itemsize(case.dtype)
    m, n, k = case.m, case.n, case.k
    read = "copy read" if case.mma else "global load"
    assert traffic.bytes(read) == (up(n, bn) * m + up(m, bm) * n) * k * size
    assert traffic.bytes("global store") == m * n * size
    assert traffic.bytes("global", "copy read") == traffic.bytes(read, "global store")
    assert_wide_and_without_conflicts(traffic, case.mma)


GROUPED = Conv(1, 24, 9, 10, 40, 3, 2, (2, 3), (1, 1), groups=2)
CONVOLUTIONS = [
    *(test_conv.Case(d, "bfloat16", True, Conv(2, 40, 7, 6, 64, 3, 3, padding=(1, 1))) for d in test_conv.DIRECTIONS),
    test_conv.Case("dgrad", "float32", True, GROUPED),
    *(test_conv.Case(d, "float32", False, GROUPED) for d in test_conv.DIRECTIONS),
]
MORE_CONVOLUTIONS = [test_conv.Case(d, "float32", True, GROUPED) for d in ("fprop", "wgrad")]


def taps_inside(g: Conv) -> int:
    """Pairs of a window and a tap of it that lies inside the image."""

    def of_axis(axis: int) -> Iterator[int]:
        size, taps, outputs = (g.h, g.w)[axis], (g.r, g.s)[axis], (g.p, g.q)[axis]
        for p in range(outputs):
            first = p * g.stride[axis] - g.padding[axis]
            yield sum(0 <= first + t * g.dilation[axis] < size for t in range(taps))

    return g.n * sum(of_axis(0)) * sum(of_axis(1))


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_move_what_the_formula_says(launcher, case):
    hold_convolution_to_the_formula(launcher, case)


@pytest.mark.full
@pytest.mark.parametrize("case", MORE_CONVOLUTIONS, ids=str)
def test_more_convolutions_move_what_the_formula_says(full_launcher, case):
    hold_convolution_to_the_formula(full_launcher, case)


def hold_convolution_to_the_formula(launcher: Launcher, case: test_conv.Case) -> None:
    g, rng = case.g, np.random.default_rng(0)
    x, w, dy = (
        normal(rng, case.dtype, *shape)
        for shape in ((g.n, g.h, g.w, g.c), (g.k, g.r, g.s, g.channels), (g.n, g.p, g.q, g.k))
    )
    out = {name: unwritten(case.dtype, *like.shape) for name, like in (("y", dy), ("dx", x), ("dw", w))}
    traffic = counted(launcher, case.plan, x=x, w=w, dy=dy, **out)
    (bm, bn), size, pairs = tile_of(case.plan), tiles.itemsize(case.dtype), taps_inside(g)
    c, k = g.channels, g.filters
    if case.direction == "fprop":
        read = up(k, bn) * pairs * c + up(g.rows, bm) * k * g.depth
        written = g.rows * g.k
    elif case.direction == "dgrad":
        read = up(c, bn) * pairs * k + sum(up(rows, bm) * taps for rows, taps in phases_of(g)) * k * c
        written = g.n * g.h * g.w * g.c
    else:
        read = up(g.depth, bn) * g.rows * k + up(k, bm) * pairs * c
        written = g.k * g.depth
    loads = ("copy read", "global load") if case.mma else ("global load", "copy read")
    assert traffic.bytes(loads[0]) == g.groups * read * size
    assert traffic.bytes("global store") == written * size
    assert traffic.bytes(loads[1], "global atomic") == 0
    assert_wide_and_without_conflicts(traffic, case.mma)


def phases_of(g: Conv) -> list[tuple[int, int]]:
    """Pixels and taps of each phase of dgrad, found by trying."""
    phases = []
    for a in range(min(g.stride[0], g.h)):
        for b in range(min(g.stride[1], g.w)):
            rows = g.n * len(range(a, g.h, g.stride[0])) * len(range(b, g.w, g.stride[1]))
            down = sum((a + g.padding[0] - r * g.dilation[0]) % g.stride[0] == 0 for r in range(g.r))
            right = sum((b + g.padding[1] - s * g.dilation[1]) % g.stride[1] == 0 for s in range(g.s))
            phases.append((rows, down * right))
    return phases


def assert_wide_and_without_conflicts(traffic: Traffic, mma: bool) -> None:
    """No bank conflicts; 128-bit accesses, but for the scalar kernel's loads."""
    assert traffic.bank_conflicts == 0, str(traffic)
    narrow = [
        row for row in traffic if row.size != 16 and not (not mma and row.kind in ("global load", "shared store"))
    ]
    assert not narrow, str(traffic)
