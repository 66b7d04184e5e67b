"""Ops report no infinities or NaN, and leave NumPy's error state as it was: the judge is NumPy's own `geterr`."""

import threading

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.backends import error_state

STRICT = dict.fromkeys(("divide", "over", "under", "invalid"), "raise")
SILENT = dict.fromkeys(("divide", "over", "under", "invalid"), "ignore")


def test_ops_report_nothing_and_restore_the_state():
    with np.errstate(all="raise"):
        assert (dg.zeros(2) / dg.zeros(2)).isnan().all()
        assert dg.zeros(3).log().tolist() == [-np.inf] * 3
        assert np.geterr() == STRICT
        with pytest.raises(FloatingPointError):
            np.zeros(2) / np.zeros(2)


def test_an_error_in_an_op_restores_the_state():
    with np.errstate(all="raise"):
        with pytest.raises(RuntimeError, match="do not broadcast"):
            dg.zeros(2) + dg.zeros(3)
        assert np.geterr() == STRICT


def test_an_op_within_an_op():
    class Twice(dg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x / (x - x)

        @staticmethod
        def backward(ctx, grad):
            return grad

    with np.errstate(all="raise"):
        before = error_state.ignore()
        assert Twice.apply(dg.ones(2)).isinf().all()
        assert np.geterr() == SILENT
        error_state.restore(before)
        assert np.geterr() == STRICT


def test_the_state_belongs_to_a_thread():
    before = error_state.ignore()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(np.geterr()))
    thread.start()
    thread.join()
    error_state.restore(before)
    assert seen == [np.geterr()] != [SILENT]
