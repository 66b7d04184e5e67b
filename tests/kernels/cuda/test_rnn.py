"""rnn.cu against PyTorch in float64: the point-wise steps of LSTM and GRU cells, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from deepgpu.kernels.emulator import compile_judge

from deepgpu.backends.cuda import instances, rnn
from tests.kernels.cuda.emulated import (
    ROUNDING,
    SEEDS,
    SOME_DTYPES,
    assert_near,
    assert_same,
    counted,
    judged,
    random,
    run,
)

INSTANCES = {"rnn.cu": instances.INSTANCES["rnn.cu"]}
SHAPES = [
    (1, 1), (2, 1), (1, 2), (3, 3), (1, 4), (2, 5), (5, 7), (2, 8), (1, 9), (3, 16), (4, 17), (2, 31), (1, 32),
    (3, 33), (2, 64), (1, 100), (8, 40), (1, 255), (1, 256), (2, 257), (1, 1024), (3, 515),
]  # fmt: skip


def exact(*arrays):
    return [torch.from_numpy(a.astype(float)).requires_grad_() for a in arrays]


def lstm(gates, c):
    i, f, g, o = gates.chunk(4, 1)
    new = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * new.tanh(), new


def gru(x, hidden, h):
    (xr, xz, xn), (hr, hz, hn) = x.chunk(3, 1), hidden.chunk(3, 1)
    z, n = (xz + hz).sigmoid(), (xn + (xr + hr).sigmoid() * hn).tanh()
    return (n + z * (h - n),)


@pytest.mark.parametrize("dtype", SOME_DTYPES)
def test_lstm(dtype, rng):
    for i, (n, h) in enumerate(SHAPES):
        gates, c, gh, gc = (random(rng, dtype, n, width) for width in (4 * h, h, h, h))
        inputs = exact(gates, c)
        want = lstm(*inputs)
        gradients = torch.autograd.grad(want, inputs, exact(gh, gc))
        seed, other = SEEDS[i % 2], SEEDS[1 - i % 2]
        got = run(rnn.lstm_gates, gates, c, seed=seed)
        assert_same(run(rnn.lstm_gates, gates, c, seed=other), got)
        for a, b in zip(got, want, strict=True):
            assert_near(a, b.detach(), dtype, magnitude=8)
        back = run(rnn.lstm_gates_backward, gh, gc, gates, c, got[1], seed=seed)
        assert_same(run(rnn.lstm_gates_backward, gh, gc, gates, c, got[1], seed=other), back)
        for a, b in zip(back, gradients, strict=True):  # the cell that is kept is rounded
            assert_near(a, b, dtype, magnitude=32 + 64 * ROUNDING[dtype] * 2**20)


@pytest.mark.parametrize("dtype", SOME_DTYPES)
def test_gru(dtype, rng):
    for i, (n, h) in enumerate(SHAPES):
        x, hidden, state, g = (random(rng, dtype, n, width) for width in (3 * h, 3 * h, h, h))
        inputs = exact(x, hidden, state)
        want = gru(*inputs)
        gradients = torch.autograd.grad(want, inputs, exact(g))
        seed, other = SEEDS[i % 2], SEEDS[1 - i % 2]
        got = run(rnn.gru_gates, x, hidden, state, seed=seed)
        assert_near(got, want[0].detach(), dtype, magnitude=8)
        assert_same([run(rnn.gru_gates, x, hidden, state, seed=other)], [got])
        back = run(rnn.gru_gates_backward, g, x, hidden, state, seed=seed)
        assert_same(run(rnn.gru_gates_backward, g, x, hidden, state, seed=other), back)
        for a, b in zip(back, gradients, strict=True):
            assert_near(a, b, dtype, magnitude=32)


def test_gates_that_are_shut_and_not_a_number(rng):
    gates, c = np.zeros((3, 8), np.float32), np.ones((3, 2), np.float32)
    gates[0] = 200
    gates[1] = -200
    gates[2] = np.nan
    for a, b in zip(run(rnn.lstm_gates, gates, c), lstm(*exact(gates, c)), strict=True):
        assert_near(a, b.detach(), "float32")


def test_views_are_taken_as_they_are(rng):
    gates, c = random(rng, "float32", 6, 40), random(rng, "float32", 6, 20)
    got = run(lambda xp, gates, c: rnn.lstm_gates(xp, gates[::2], c[::2, ::2]), gates, c)
    for a, b in zip(got, lstm(*exact(gates[::2], c[::2, ::2])), strict=True):
        assert_near(a, b.detach(), "float32", 8)


def test_checked(rng):
    for n, h in ((3, 5), (2, 64)):
        gates, c, gh, gc = (random(rng, "float32", n, width) for width in (4 * h, h, h, h))
        for seed in SEEDS:
            got = run(rnn.lstm_gates, gates, c, check=True, seed=seed)
            for a, b in zip(got, lstm(*exact(gates, c)), strict=True):
                assert_near(a, b.detach(), "float32", 8)
            run(rnn.lstm_gates_backward, gh, gc, gates, c, got[1], check=True, seed=seed)
            run(rnn.gru_gates, gates[:, : 3 * h], gates[:, h:], c, check=True, seed=seed)
            run(rnn.gru_gates_backward, gh, gates[:, : 3 * h], gates[:, h:], c, check=True, seed=seed)


def test_traffic_is_what_the_header_says(rng):
    n, h = 16, 64
    gates, x, c = (random(rng, "float32", n, width) for width in (4 * h, 3 * h, h))
    launches = {
        "lstm<float, 4>": (7, lambda: run(rnn.lstm_gates, gates, c)),
        "lstm_backward<float, 4>": (13, lambda: run(rnn.lstm_gates_backward, c, c, gates, c, c)),
        "gru<float, 4>": (8, lambda: run(rnn.gru_gates, x, x, c)),
        "gru_backward<float, 4>": (15, lambda: run(rnn.gru_gates_backward, c, x, x, c)),
    }
    for name, (passes, launch) in launches.items():
        with counted("rnn.cu", name) as traffic:
            launch()
        assert traffic.bytes("global") == passes * c.nbytes, name
        assert traffic.excess_sectors == 0
        assert {row.size for row in traffic} == {16}


@pytest.mark.kernels
def test_compiles_for_a_gpu():
    judged("rnn.cu", [n for n in INSTANCES["rnn.cu"] if "float, 4" in n], (90,))


@pytest.mark.full
@pytest.mark.kernels
def test_compiles_for_every_architecture():
    judged("rnn.cu", INSTANCES["rnn.cu"], compile_judge.ARCHITECTURES)
