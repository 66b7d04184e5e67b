"""The gates of LSTM and GRU, the kernels and the composed reference alike, against PyTorch in float64."""

import numpy as np
import pytest
import torch

SHAPES = [(1, 1), (3, 5), (20, 256), (64, 33)]
SIZES = [1e-3, 1.0, 30.0]


def double(x):
    return torch.from_numpy(np.ascontiguousarray(x, np.float64)).requires_grad_()


def lstm(gates, c):
    i, f, g, o = gates.chunk(4, 1)
    new = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * new.tanh(), new


def gru(x, hidden, h):
    (a, b, c), (d, e, f) = x.chunk(3, 1), hidden.chunk(3, 1)
    new = (c + (a + d).sigmoid() * f).tanh()
    return new + (b + e).sigmoid() * (h - new)


def check(found, expected, dtype, tolerance):
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == dtype
        exact = theirs.detach().numpy()
        atol = tolerance * abs(exact).max()
        np.testing.assert_allclose(mine.astype(np.float64), exact, rtol=4 * tolerance, atol=atol)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_lstm(backend, shape, size, dtype, tolerance, laid_out, rng):
    n, width = shape
    gates, c, gh, gc = (
        laid_out((size * rng.standard_normal((n, w))).astype(dtype)) for w in (4 * width, width, width, width)
    )
    tgates, tc = double(gates), double(c)
    expected = lstm(tgates, tc)
    h, new = backend.lstm_gates(gates, c)
    check((h, new), expected, dtype, tolerance)
    found = backend.lstm_gates_backward(gh, gc, gates, c, expected[1].detach().numpy().astype(dtype))
    exact = torch.autograd.grad(expected, (tgates, tc), (double(gh), double(gc)))
    check(found, exact, dtype, 20 * tolerance)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gru(backend, shape, size, dtype, tolerance, laid_out, rng):
    n, width = shape
    x, hidden, h, g = (
        laid_out((size * rng.standard_normal((n, w))).astype(dtype)) for w in (3 * width, 3 * width, width, width)
    )
    inputs = double(x), double(hidden), double(h)
    expected = gru(*inputs)
    check((backend.gru_gates(x, hidden, h),), (expected,), dtype, 4 * tolerance)
    exact = torch.autograd.grad(expected, inputs, double(g))
    check(backend.gru_gates_backward(g, x, hidden, h), exact, dtype, 20 * tolerance)


def test_tanh_and_sigmoid_keep_their_digits():
    """Relative to the value, from the smallest to the largest arguments, with infinities and NaN."""
    from deepgpu.kernels.jit import rnn

    x = np.concatenate([np.logspace(-30, 2, 20001), [0, np.inf, np.nan]]).astype(np.float32)
    x = np.concatenate([x, -x])
    zero, large = np.zeros_like(x), np.full_like(x, 100)
    h, new = np.empty((2, 1, len(x)), np.float32)
    # c' = sigmoid(100) * 0 + sigmoid(100) * tanh(x) = tanh(x)
    rnn.lstm_gates(1, np.concatenate([large, zero, x, zero])[None], zero[None], h, new, 1)
    np.testing.assert_allclose(new[0], np.tanh(np.float64(x)), rtol=4e-7, atol=1e-37)
    # c' = sigmoid(x) * 1
    rnn.lstm_gates(1, np.concatenate([zero, x, zero, zero])[None], zero[None] + 1, h, new, 1)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(new[0], 1 / (1 + np.exp(-np.float64(x))), rtol=1e-6, atol=2e-38)
