"""gemm.cu against float64: every transposition, sizes at the edges of the tiles, splits, batches, epilogues."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import gemm, instances, runtime, tiles
from deepgpu.backends.cuda.gemm import K_MAJOR, MN_MAJOR, Finish, Layout
from deepgpu.backends.cuda.plans import C_TYPES, Plan, fast_div, up
from tests.kernels.cuda.launcher import DTYPES, KERNELS, SEEDS, Launcher, assert_close, normal, unwritten, values

ORDERS = [(a, b) for a in (K_MAJOR, MN_MAJOR) for b in (K_MAJOR, MN_MAJOR)]


@dataclass(frozen=True)
class Case:
    """One product. Rows in memory are longer than they need to be, so that padding is never read as data."""

    dtype: str
    mma: bool
    m: int
    n: int
    k: int
    orders: tuple[int, int] = (K_MAJOR, K_MAJOR)
    batch: int = 1
    finish: Finish = gemm.PLAIN
    tile: tiles.Tile | None = None

    def __str__(self) -> str:
        how = "mma" if self.mma else "simt"
        text = f"{self.dtype}-{how}-{self.batch}x{self.m}x{self.n}x{self.k}-{self.orders[0]}{self.orders[1]}"
        return (
            text
            + (f"-{self.finish.activation}" if self.finish != gemm.PLAIN else "")
            + (f"-{self.tile.bm}x{self.tile.bn}" if self.tile else "")
        )

    def layout(self, order: int, size: int) -> tuple[Layout, tuple[int, int]]:
        """An operand's layout, and the shape of its memory."""
        chunk = 16 // tiles.itemsize(self.dtype) if self.mma else 1
        rows, columns = (size, self.k) if order == K_MAJOR else (self.k, size)
        step = up(columns, chunk) * chunk + chunk
        return Layout(*((step, 1) if order == K_MAJOR else (1, step)), rows * step), (rows, step)

    @property
    def plan(self) -> Plan:
        a, b = self.layout(self.orders[0], self.m)[0], self.layout(self.orders[1], self.n)[0]
        arguments = (self.dtype, self.m, self.n, self.k, a, b, self.batch, self.finish, self.mma)
        if self.tile is None:
            return gemm.plan(*arguments)
        tile, blocks = self.tile, self.tile.blocks(self.m, self.n) * self.batch
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gemm, "simt_tile", lambda *_: tile)
            split = tiles.splits(tile, blocks, self.k, self.dtype)
            patch.setattr(gemm, "mma_schedule", lambda *_: (tile, *split))
            return gemm.plan.__wrapped__(*arguments)

    def run(self, launcher: Launcher, seed: int) -> None:
        rng = np.random.default_rng(self.m * 7 + self.n * 3 + self.k)
        operands = []
        for order, size in zip(self.orders, (self.m, self.n), strict=True):
            rows, step = self.layout(order, size)[1]
            columns = self.k if order == K_MAJOR else size
            memory = unwritten(self.dtype, self.batch, rows, step)
            memory[:, :, :columns] = normal(rng, self.dtype, self.batch, rows, columns)
            exact = values(memory[:, :, :columns], self.mma)
            operands.append((memory, exact if order == K_MAJOR else exact.transpose(0, 2, 1)))
        (a, left), (b, right) = operands
        c = unwritten(self.dtype, self.batch, self.m, self.n)
        bias = normal(rng, self.dtype, self.n) if self.finish.bias else None
        residual = normal(rng, self.dtype, self.batch, self.m, self.n) if self.finish.residual else None
        launcher(self.plan, seed, a=a, b=b, c=c, bias=bias, residual=residual)
        alpha = self.finish.alpha
        want = alpha * (left @ right.transpose(0, 2, 1))
        magnitude = abs(alpha) * (np.abs(left) @ np.abs(right).transpose(0, 2, 1))
        for added in (bias, residual):
            if added is not None:
                want, magnitude = want + added.astype(float), magnitude + np.abs(added.astype(float))
        if self.finish.activation == "relu":
            want = np.maximum(want, 0)
        if self.finish.activation == "gelu":
            want = 0.5 * want * (1 + np.vectorize(math.erf)(want / math.sqrt(2)))
        if np.dtype(DTYPES[self.dtype]).kind == "i":
            want = want.astype(np.int64).astype(DTYPES[self.dtype]).astype(float)  # integers wrap around
        assert_close(c, want, magnitude, self.dtype)


SHAPES = [
    (1, 1, 1), (1, 8, 8), (64, 64, 64), (65, 72, 40), (33, 100, 129), (3, 260, 64), (64, 33, 17), (127, 1, 300),
    (96, 64, 128), (129, 129, 161), (40, 24, 500), (70, 130, 96), (17, 65, 256), (63, 63, 63), (1, 200, 33),
    (200, 1, 65), (5, 7, 0), (128, 72, 260), (2, 2, 2000), (66, 40, 31),
]  # fmt: skip
KINDS = [("float32", True), ("bfloat16", True), ("float16", True), ("float32", False)]
KINDS_ORDERS = [
    ((0, 0), (1, 1)),
    ((0, 1), (1, 0)),
    ((0, 1),),
    ((0, 1),),
]  # of each kind; every instance is compiled
EPILOGUES = [
    gemm.PLAIN,
    Finish(-0.5, bias=True),
    Finish(residual=True),
    Finish(2.0, True, True, "relu"),
    gemm.PLAIN,
]


def default_case(i: int, shape: tuple[int, int, int]) -> Case:
    kind = i % 4
    orders = KINDS_ORDERS[kind][i // 4 % len(KINDS_ORDERS[kind])]
    finish = EPILOGUES[i % 3] if i else EPILOGUES[3]
    return Case(*KINDS[kind], *shape, orders, 1 + (i % 7 == 3), finish)


CASES = [default_case(i, shape) for i, shape in enumerate(SHAPES * 2)]
DEEP = [  # at least four k-tiles
    (9, 5, 133), (64, 65, 140), (66, 3, 135), (20, 70, 164), (1, 9, 100), (130, 2, 147), (31, 66, 156), (65, 65, 132),
    (4, 64, 177), (12, 11, 190), (70, 33, 128), (17, 16, 224), (100, 8, 99), (8, 100, 200),
]  # fmt: skip
CASES += [
    Case(*KINDS[kind], *shape, KINDS_ORDERS[kind][0], 1, EPILOGUES[i % 3])
    for i, shape in enumerate(DEEP)
    for kind in (i % 3, 3)
]
CASES += [
    Case("float64", False, 65, 33, 40, (MN_MAJOR, K_MAJOR)),
    Case("bfloat16", False, 33, 65, 70),
    Case("int32", False, 20, 30, 300, (K_MAJOR, MN_MAJOR)),
    Case("int8", False, 20, 30, 300, (K_MAJOR, MN_MAJOR)),
    Case("float32", False, 40, 30, 20, finish=Finish(bias=True, activation="gelu")),
]
FULL = [
    Case(dtype, mma, *shape, orders, 1 + i % 2, finish)
    for i, shape in enumerate(SHAPES)
    for dtype, mma in (*KINDS, ("float64", False), ("bfloat16", False))
    for orders in ORDERS
    for finish in (EPILOGUES[(i + sum(orders)) % 5],)
] + [
    Case(dtype, True, *shape, orders, tile=tile)
    for dtype in ("float32", "bfloat16")
    for tile in (tiles.MMA_LARGE, tiles.MMA_LARGE_8_WARPS, tiles.MMA_NARROW)
    for orders in ORDERS
    for shape in ((128, 128, 264), (130, 140, 520), (257, 60, 100))
] + [
    Case("float32", False, *shape, orders, tile=tiles.SIMT_LARGE)
    for orders in ORDERS
    for shape in ((128, 64, 64), (130, 140, 41))
]  # fmt: skip
CHECKED = [
    Case("bfloat16", True, 70, 72, 200, (K_MAJOR, MN_MAJOR), finish=Finish(1.5, True, True, "relu")),
    Case("float32", True, 33, 65, 100, (MN_MAJOR, K_MAJOR)),
    Case("float32", True, 33, 34, 1040, (MN_MAJOR, K_MAJOR), finish=Finish(bias=True)),  # split
    Case("float32", False, 65, 70, 45, (K_MAJOR, MN_MAJOR), 2, Finish(residual=True)),
    Case("float32", False, 9, 10, 600, (K_MAJOR, MN_MAJOR)),  # split
]


SPECIAL = [replace(case, m=33, n=34, k=40, batch=1, finish=gemm.PLAIN) for case in (CASES[0], CASES[1], CASES[3])]


@pytest.fixture(scope="module")
def launcher():
    return Launcher(case.plan for case in CASES + SPECIAL)


@pytest.fixture(scope="module")
def full_launcher():
    return Launcher(case.plan for case in FULL)


@pytest.fixture(scope="module")
def checker():
    return Launcher((case.plan for case in CHECKED), check=True)


def test_a_main_loop_sees_twenty_shapes_of_four_k_tiles():
    for mma, bytes_of_a_tile in ((False, 32), (True, 64)):
        deep = [c for c in CASES if c.mma == mma and c.k * tiles.itemsize(c.dtype) > 3 * bytes_of_a_tile]
        assert len({(c.m, c.n, c.k) for c in deep}) >= 20


@pytest.mark.parametrize("case", CASES, ids=str)
def test_products(launcher, case):
    for seed in SEEDS:
        case.run(launcher, seed)


@pytest.mark.full
@pytest.mark.parametrize("case", FULL, ids=str)
def test_products_on_the_whole_grid(full_launcher, case):
    for seed in SEEDS:
        case.run(full_launcher, seed)


@pytest.mark.parametrize("case", CHECKED, ids=str)
def test_no_races_and_nothing_out_of_bounds(checker, case):
    for seed in SEEDS:
        case.run(checker, seed)


@pytest.mark.parametrize("case", SPECIAL, ids=str)
def test_nan_and_infinity_go_where_they_should_and_nowhere_else(launcher, case):
    rng = np.random.default_rng(1)
    a, b = (normal(rng, case.dtype, *case.layout(o, s)[1]) for o, s in zip(case.orders, (33, 34), strict=True))
    left, right = (
        x[:, :40] if o == K_MAJOR else x[:, :s].T for x, o, s in zip((a, b), case.orders, (33, 34), strict=True)
    )
    left[3, 5] = left[32, 39] = np.nan
    right[33, 0] = np.inf
    c = unwritten(case.dtype, 33, 34)
    launcher(case.plan, a=a, b=b, c=c)
    with np.errstate(invalid="ignore"):
        want = left.astype(float) @ right.astype(float).T
    np.testing.assert_array_equal(np.isnan(c.astype(float)), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(c.astype(float)), np.isinf(want))
    assert np.isnan(want).sum() == 2 * 34
    assert np.isinf(want).sum() == 31


def test_a_split_sum_has_the_same_bits_on_every_schedule(launcher):
    case = next(c for c in CASES if c.plan.workspace)
    rng = np.random.default_rng(0)
    a, b = (normal(rng, case.dtype, *case.layout(o, s)[1]) for o, s in zip(case.orders, (case.m, case.n), strict=True))
    results = []
    for seed in range(4):
        c = unwritten(case.dtype, case.batch, case.m, case.n)
        launcher(case.plan, seed, a=a, b=b, c=c, bias=np.zeros(case.n, c.dtype), residual=np.zeros_like(c))
        results.append(c.tobytes())
    assert len(set(results)) == 1


REDUCTIONS = [  # size, columns, how many are added up
    (1, 1, 2), (4, 4, 3), (5, 5, 2), (12, 3, 5), (64, 8, 2), (63, 7, 4), (1020, 4, 2), (1024, 32, 3), (1028, 4, 2),
    (1023, 33, 2), (1025, 25, 6), (2048, 1, 2), (2047, 2047, 3), (300, 100, 17), (4096, 64, 2), (81, 9, 33),
    (500, 20, 9), (999, 27, 2), (3000, 1000, 4), (130, 130, 8), (16, 2, 64),
]  # fmt: skip


@pytest.fixture(scope="module")
def reducer():
    return Launcher([Plan((reduction_of(i),)) for i in range(len(REDUCTIONS))])


def reduction_of(i):
    size, columns, count = REDUCTIONS[i]
    return gemm.reduction("bfloat16" if i % 2 else "float32", "c", size, columns, count, EPILOGUES[i % 3])


def test_partial_sums_are_added_up(reducer, rng):
    for i, (size, columns, count) in enumerate(REDUCTIONS):
        dtype, finish = "bfloat16" if i % 2 else "float32", EPILOGUES[i % 3]
        partial, c = normal(rng, "float32", count, size), unwritten(dtype, size)
        bias, residual = normal(rng, dtype, columns), normal(rng, dtype, size)
        want, magnitude = finish.alpha * partial.sum(0, float), np.abs(partial).sum(0, float)
        for used, added in ((finish.bias, np.tile(bias, size // columns)), (finish.residual, residual)):
            want = want + used * added.astype(float)
            magnitude = magnitude + used * np.abs(added.astype(float))
        for seed in SEEDS:
            reducer(Plan((reduction_of(i),)), seed, workspace=partial, c=c, bias=bias, residual=residual)
            assert_close(c, want, magnitude, dtype)


def test_fast_division_is_exact():
    rng = np.random.default_rng(3)
    n = np.unique(np.concatenate([rng.integers(0, 2**31, 5000), np.arange(2000), 2**31 - 1 - np.arange(2000)]))
    for divisor in [*range(1, 200), 3136, 12544, 65535, 65536, 65537, 2**20 + 7, 2**30 - 1, 2**30, 2**31 - 1]:
        f = fast_div(divisor)
        multiples = n // divisor * divisor
        for numbers in (n, multiples, np.maximum(multiples - 1, 0)):
            numbers = numbers.astype(np.uint64)
            got = numbers if divisor == 1 else numbers * np.uint64(f.multiplier) >> np.uint64(32) >> np.uint64(f.shift)
            np.testing.assert_array_equal(got, numbers // np.uint64(divisor))


# --- which kernel -----------------------------------------------------------------------------------------------------


def kernel_of(*arguments, **keywords):
    return gemm.plan("bfloat16", *arguments, tensor_cores=True, **keywords).launches[0].kernel


def test_tensor_cores_take_what_is_aligned():
    aligned = Layout(64, 1)
    assert kernel_of(40, 50, 60, aligned, Layout(1, 56)).startswith("gemm_mma")
    assert kernel_of(40, 50, 60, Layout(60, 1), aligned).startswith("gemm_simt")  # rows not at multiples of 16 bytes
    assert kernel_of(40, 50, 60, Layout(64, 1, aligned=False), aligned).startswith("gemm_simt")
    assert kernel_of(40, 50, 60, Layout(128, 2), aligned).startswith("gemm_simt")
    assert kernel_of(40, 50, 60, Layout(64, 1, 3), aligned, batch=2).startswith("gemm_simt")
    assert kernel_of(1, 50, 60, Layout(60, 1), aligned).startswith("gemm_mma")  # the stride of one row means nothing
    assert (
        gemm.plan("float64", 40, 50, 60, aligned, aligned, tensor_cores=True).launches[0].kernel.startswith("gemm_simt")
    )


def test_nothing_is_launched_for_an_empty_product():
    assert gemm.plan("float32", 0, 5, 6, Layout(6, 1), Layout(6, 1)).launches == ()


def test_large_products_get_large_tiles_and_small_ones_are_split():
    k_major = Layout(8192, 1)
    assert "128, 128, 64, 64" in kernel_of(8192, 8192, 8192, k_major, k_major)
    assert "128, 64, 64, 32" in kernel_of(80000, 64, 8192, k_major, k_major)
    assert "64, 64, 32, 32" in kernel_of(100, 100, 8192, k_major, k_major)
    assert gemm.plan("bfloat16", 8192, 8192, 8192, k_major, k_major, tensor_cores=True).workspace == 0
    assert gemm.plan("bfloat16", 100, 100, 8192, k_major, k_major, tensor_cores=True).workspace == 32 * 100 * 100


@pytest.mark.parametrize(
    ("tile", "dtype", "expected"),
    [
        (tiles.MMA_LARGE, "bfloat16", 768),  # by L2: 24 bytes a clock for 2 (1 / 128 + 1 / 128) a multiply-add
        (tiles.MMA_LARGE, "float32", 384),
        (tiles.MMA_NARROW, "float16", 512),
        (tiles.MMA_SMALL, "bfloat16", 384),
    ],
)
def test_the_model_s_rates(tile, dtype, expected):
    assert tiles.rate(tile, dtype) == pytest.approx(expected)


def test_the_model_counts_the_blocks_of_the_busiest_multiprocessor():
    def clocks(m, n, **more):
        return tiles.clocks(tiles.MMA_LARGE, m, n, 768, 1, "bfloat16", **more)

    one = 128 * 128
    assert clocks(128, 128) == clocks(128, 132 * 128) == clocks(1, 1) == one
    assert clocks(128, 133 * 128) == clocks(11 * 128, 24 * 128) == 2 * one
    assert clocks(128, 128, count=3) == one / 3 + 3500 + 2 * 4 * 3 * 128 * 128 / (24 * 132)


def test_a_schedule_is_whole_and_no_simpler_one_is_faster():
    rng = np.random.default_rng(0)
    for _ in range(300):
        m, n, k = (int(2 ** rng.uniform(0, 14)) for _ in range(3))
        batch, dtype = int(rng.integers(1, 5)), str(rng.choice(tiles.MMA_TYPES))
        tile, count, k_tiles = tiles.mma_schedule(m, n, k, batch, dtype)
        whole = tiles.up(k, tile.depth(dtype))
        assert (count - 1) * k_tiles < whole <= count * k_tiles
        assert count == 1 or k_tiles * tile.depth(dtype) >= 256
        best = tiles.clocks(tile, m, n, k, batch, dtype, count)
        assert best <= min(tiles.clocks(other, m, n, k, batch, dtype) for other in tiles.MMA_TILES)


def test_most_of_a_wave_is_enough_for_large_tiles():
    def chosen(*shape):
        tile, count, _ = tiles.mma_schedule(*shape, 1, "bfloat16")
        return tile, count

    assert chosen(1280, 1280, 1280) == (tiles.MMA_LARGE, 1)  # 100 blocks; of the small tiles one would get 4
    assert chosen(512, 512, 512) == (tiles.MMA_SMALL, 1)  # 16 large blocks leave the others idle
    assert chosen(256, 1000, 2048) == (tiles.MMA_LARGE, 8)
    assert chosen(50176, 64, 576) == (tiles.MMA_NARROW, 1)
    assert tiles.mma_tile(1280, 1280, 1, "bfloat16") == tiles.MMA_LARGE


# --- matmul on the emulated device ------------------------------------------------------------------------------------


BROADCASTS = [
    *[((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4))],
    *[((2, 1, 2, 3), (5, 3, 4)), ((1, 5, 2, 3), (6, 1, 3, 4)), ((0, 3), (3, 4)), ((3, 0), (0, 4))],
    *[((4, 2, 0), (4, 0, 3)), ((0, 2, 3), (3, 4))],
]


@pytest.mark.parametrize(("a", "b"), BROADCASTS)
def test_matmul_broadcasts_as_numpy_does(a, b):
    rng = np.random.default_rng(0)
    x, y = normal(rng, "float32", *a), normal(rng, "float32", *b)
    with runtime.emulated():
        xp = runtime.cupy()
        got = gemm.matmul(xp, xp.asarray(x), xp.asarray(y)).get()
    want = np.matmul(x.astype(float), y.astype(float))
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, 1e-5, 1e-6)


def test_matmul_takes_any_strides():
    x = normal(np.random.default_rng(0), "float32", 4, 6, 8)
    with runtime.emulated():
        xp = runtime.cupy()
        d = xp.asarray(x)
        got = gemm.matmul(xp, d.transpose(2, 1, 0)[::2], d[:, ::-1, 0]).get()
        aligned = gemm.matmul(xp, d[0], d[1].T, allow_tf32=True).get()
    np.testing.assert_allclose(got, x.transpose(2, 1, 0)[::2] @ x[:, ::-1, 0], 1e-5, 1e-6)
    np.testing.assert_allclose(aligned, x[0] @ x[1].T, 3e-3, 3e-3)
    with pytest.raises(ValueError, match=r"matmul.*\(6, 8\).*\(6, 8\).*do not fit"), runtime.emulated():
        gemm.matmul(xp, d[0], d[1])


# --- the compile judge ------------------------------------------------------------------------------------------------

JUDGED = [
    tiles.template("gemm", tiles.MMA_SMALL, "bfloat16", "bfloat16", 0, 1, False, 0),
    tiles.template("gemm", tiles.SIMT_LARGE, "float32", "float32", 0, 1, 0),
    f"reduce_splits<float, {C_TYPES['bfloat16']}>",
]


def complaints(names, architectures):
    # The tensor-core kernels are never chosen below sm_80, where they would be scalar copies and a trap.
    verdicts = compile_judge.judge(KERNELS / "gemm.cu", name_expressions=names, architectures=architectures)
    assert len(verdicts) == len(names) * len(architectures)
    return [(v.kernel, v.architecture, v.complaints) for v in verdicts if v.complaints]


@pytest.mark.kernels
def test_registers_spills_and_instructions():
    assert complaints(JUDGED, (90,)) == []


@pytest.mark.kernels
@pytest.mark.full
@pytest.mark.parametrize("architecture", compile_judge.ARCHITECTURES)
def test_registers_spills_and_instructions_of_every_instance(architecture):
    assert complaints(instances.served("gemm.cu", architecture), (architecture,)) == []
