"""Mistakes planted in every source: an access out of bounds and a race, which check mode must name; and that no barrier
or wait of any source is left out of the mutation tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from deepgpu.kernels.emulator import MemcheckError, RacecheckError

from deepgpu.backends.cuda import (
    batchnorm,
    conv,
    cross_entropy,
    dropout,
    elementwise,
    embedding,
    gemm,
    layernorm,
    layout,
    optim,
    pool,
    rnn,
    runtime,
    softmax,
)
from tests.kernels.cuda.emulated import assert_noticed, run
from tests.kernels.cuda.test_mutations import SYNCHRONISATION

KINDS: dict[str, type[Exception]] = {"out of bounds": MemcheckError, "race": RacecheckError}


class Planted(NamedTuple):
    """A text behind a mark of a source, replaced; `exercise` runs a kernel over it."""

    file: str
    kind: str
    exercise: Callable[[], Any]
    old: str
    new: str
    behind: str = ""

    def source(self) -> str:
        text = (runtime.kernel_folder() / self.file).read_text()
        start = text.index(self.behind)
        assert self.old in text[start:], f"{self.file} has no {self.old!r}"
        at = text.index(self.old, start)
        return text[:at] + self.new + text[at + len(self.old) :]


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def checked(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[], Any]:
    return lambda: run(function, *args, check=True, **kwargs)


SGD = {
    "lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False,
    "first": False,
}  # fmt: skip
LABELS, ONE = np.array([0, 1, 2]), (1, 1)
NORM = checked(batchnorm.batch_norm_train, numbers(9, 5), None, None, 1e-5)
CONV = checked(conv.fprop, numbers(1, 4, 3, 3), numbers(4, 2, 2, 2), None, ONE, ONE, ONE, 2, allow_tf32=False)
PIXELS = numbers(1, 3, 3, 5).transpose(0, 3, 1, 2)
DEPTHWISE = checked(conv.fprop, PIXELS, numbers(5, 1, 2, 2), None, ONE, ONE, ONE, 5, allow_tf32=False)
LOSS = checked(cross_entropy.cross_entropy, numbers(3, 5), LABELS, None, 0.0)
DROP = checked(dropout.dropout, numbers(7), dropout.PhiloxMask(1, 2**31, (0,)), 2.0)
RELU = checked(elementwise.relu, numbers(7))
ROWS = checked(embedding.embedding, numbers(4, 5), LABELS)
PRODUCT = checked(gemm.matmul, numbers(2, 5, 6), numbers(2, 6, 7), allow_tf32=False)
LAYER = checked(layernorm.layer_norm, numbers(3, 8), None, None, 1e-5, True)
STEP = checked(optim.sgd_step, *[[numbers(5), numbers(7)] for _ in range(3)], **SGD)
POOL = checked(pool.max_pool2d, numbers(1, 3, 5, 5), (2, 2), (2, 2), (0, 0), ONE, (2, 2))
GATES = checked(rnn.lstm_gates, numbers(3, 20), numbers(3, 5))
SOFTMAX = checked(softmax.softmax, numbers(3, 40), 1)
IMAGE = checked(layout.channels_last, numbers(1, 5, 3, 3))
BOUNDS, RACE = KINDS

PLANTED = [
    Planted("batchnorm.cu", BOUNDS, NORM, "p.inside = p.channel < C;", "p.inside = true;"),
    Planted("batchnorm.cu", RACE, NORM, "if (threadIdx.y == 0 && p.inside)", "if (p.inside)"),
    Planted("conv.cu", BOUNDS, CONV, "BN, g.x.rows, g", "BN, g.x.rows + 1, g", "conv_fprop_simt("),
    Planted("conv.cu", RACE, CONV, "(sum, y + first_filter", "(sum, y", "conv_fprop_simt("),
    Planted("cross_entropy.cu", BOUNDS, LOSS, "if (row >= rows) return;", ""),
    Planted("cross_entropy.cu", RACE, LOSS, "loss[row] = ", "loss[0] = "),
    Planted("depthwise.cu", BOUNDS, DEPTHWISE, "if (k >= g.filters) return;", ""),
    Planted("depthwise.cu", RACE, DEPTHWISE, "y + static_cast<long long>(i) * g.filters + k", "y + k"),
    Planted("dropout.cu", BOUNDS, DROP, "GROUP + first; i < n;", "GROUP + first; i <= n;"),
    Planted("dropout.cu", RACE, DROP, "y[i] = kept(", "y[0] = kept("),
    Planted("elementwise.cu", BOUNDS, RELU, "N + first; i < n;", "N + first; i <= n;"),
    Planted("elementwise.cu", RACE, RELU, "y[i] = ", "y[0] = "),
    Planted("embedding.cu", BOUNDS, ROWS, "if (i >= count) return;", ""),
    Planted("embedding.cu", RACE, ROWS, "out + static_cast<long long>(i) * K", "out"),
    Planted("gemm.cu", BOUNDS, PRODUCT, "g.M, g.N, g.epilogue", "g.M + 1, g.N, g.epilogue", "gemm_simt("),
    Planted("gemm.cu", RACE, PRODUCT, "c + out + ", "c + ", "gemm_simt("),
    Planted("layernorm.cu", BOUNDS, LAYER, "if (r.row >= M) return;", ""),
    Planted("layernorm.cu", RACE, LAYER, "invstds[r.row] = invstd", "invstds[0] = invstd"),
    Planted("optim.cu", BOUNDS, STEP, "piece.start + PIECE : t.size;", "piece.start + PIECE : t.size + 1;"),
    Planted("optim.cu", RACE, STEP, "pieces[blockIdx.x]", "pieces[0]"),
    Planted("pool.cu", BOUNDS, POOL, "return p.n < s.N;", "return p.n <= s.N;"),
    Planted("pool.cu", RACE, POOL, "p.at = static_cast<long long>(i) * V;", "p.at = 0;"),
    Planted("rnn.cu", BOUNDS, GATES, "inside = unit < N * H;", "inside = true;"),
    Planted("rnn.cu", RACE, GATES, "store<T, V>(h + u.unit, out);", "store<T, V>(h, out);"),
    Planted("softmax.cu", BOUNDS, SOFTMAX, "if (row >= rows) return;", ""),
    Planted("softmax.cu", RACE, SOFTMAX, "y[start + lane + 32 * i] = ", "y[start + 32 * i] = "),
    Planted("transpose.cu", BOUNDS, IMAGE, "if (row + i < rows && column", "if (column"),
    Planted("transpose.cu", RACE, IMAGE, "rows + row + threadIdx.x] =", "rows + row] ="),
]
QUICK = ("elementwise.cu", "cross_entropy.cu", "gemm.cu")


@pytest.mark.parametrize(
    "planted",
    [pytest.param(p, id=f"{p.file}, {p.kind}", marks=[] if p.file in QUICK else [pytest.mark.full]) for p in PLANTED],
)
def test_what_is_planted_is_found(planted, caught):
    planted.exercise()  # as it is, there is nothing to find
    name = f"{planted.file}: planted {planted.kind}"
    error = assert_noticed(name, planted.file, planted.source(), planted.exercise, caught)
    assert isinstance(error, KINDS[planted.kind]), f"{name}: {error}"
    assert error.kernel


def test_every_source_has_both_mistakes_planted():
    files = {path.name for path in runtime.kernel_folder().glob("*.cu")}
    assert {(p.file, p.kind) for p in PLANTED} == {(file, kind) for file in files for kind in KINDS}


MUTATED = {
    "depthwise.cu": 3,  # test_depthwise.py
    "pool.cu": 2,  # test_pool.py
    "transpose.cu": 1,  # test_elementwise.py
    "include/mma_mainloop.cuh": 6,  # test_mutations.py
    "include/reduce.cuh": 3,  # test_softmax.py, test_cross_entropy.py, test_batchnorm.py, test_layernorm.py
    "include/simt.cuh": 2,  # test_mutations.py
}


def test_no_barrier_or_wait_is_left_out_of_the_mutation_tests():
    folder = runtime.kernel_folder()
    counts = {
        path.relative_to(folder).as_posix(): len(SYNCHRONISATION.findall(path.read_text()))
        for pattern in ("*.cu", "include/*.cuh")
        for path in folder.glob(pattern)
        if path.name != "ptx.cuh"  # it defines them
    }
    assert {file: count for file, count in counts.items() if count} == MUTATED
