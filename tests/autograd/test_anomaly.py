"""Anomaly mode: where an op was created, and the first NaN."""

import pytest

import deepgpu as dg


def where_it_goes_wrong(x):
    return x.sqrt()


def test_first_nan_is_named_with_the_place_of_its_creation():
    x = dg.zeros(2, requires_grad=True)
    with dg.autograd.detect_anomaly():
        y = where_it_goes_wrong(x) * 0  # the gradient 0 * inf is NaN
        with pytest.raises(RuntimeError, match=r"(?s)`SqrtBackward` returned NaN .* where_it_goes_wrong"):
            y.sum().backward()


def test_without_anomaly_mode_nan_passes():
    x = dg.zeros(2, requires_grad=True)
    (where_it_goes_wrong(x) * 0).sum().backward()
    assert bool(x.grad.isnan().all())


def test_check_nan_can_be_off():
    x = dg.zeros(2, requires_grad=True)
    with dg.autograd.detect_anomaly(check_nan=False):
        (x.sqrt() * 0).sum().backward()
    assert bool(x.grad.isnan().all())


def test_error_in_backward_says_where_the_op_was_created():
    x = dg.ones(2, requires_grad=True)
    with dg.autograd.detect_anomaly():
        y = x * 1
        z = where_it_goes_wrong(y).exp()
        z.add_(1)
        with pytest.raises(RuntimeError, match=r"(?s)modified in place.*test_anomaly"):
            z.sum().backward()


def test_switch():
    dg.autograd.set_detect_anomaly(True)
    assert dg.is_anomaly_enabled()
    dg.autograd.set_detect_anomaly(False)
    assert not dg.is_anomaly_enabled()
