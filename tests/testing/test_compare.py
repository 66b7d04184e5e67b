"""deepgpu.testing.assert_close: it must pass what is close, and above all fail what is not."""

from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import assert_close

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, 2.0 + 1e-6]),
        ([1.0, INF, -INF], [1.0, INF, -INF]),
        ([0.0], [-0.0]),
        ([1, 2], [1, 2]),
        ([True, False], [True, False]),
        ([], []),
    ],
)
def test_close(actual: Any, expected: Any) -> None:
    assert_close(dg.tensor(actual), dg.tensor(expected))
    torch.testing.assert_close(torch.tensor(actual), torch.tensor(expected))


@pytest.mark.parametrize(
    ("actual", "expected", "match"),
    [
        ([1.0, 2.0], [1.0, 2.1], r"1 of 2 elements.*\(2,\)(.|\n)*index \(1,\): 2.0, expected 2.0999"),
        ([1.0, NAN], [1.0, NAN], r"index \(1,\): nan, expected nan"),
        ([1.0, NAN], [1.0, 2.0], "index .*: nan, expected 2"),
        ([1.0, 2.0], [1.0, NAN], "index .*: 2.0, expected nan"),
        ([INF], [-INF], "index .*: inf, expected -inf"),
        ([INF], [1e30], "inf"),
        ([1e30], [INF], "expected inf"),
        ([1, 2], [1, 3], "1 of 2"),
        ([2**62], [2**62 + 1], "1 of 1"),
        ([True], [False], "1 of 1"),
        ([1.0], [[1.0]], r"shapes differ: \(1,\), expected \(1, 1\)"),
        ([1.0, 2.0], [1.0], "shapes differ"),
        ([1.0], [1], "dtypes differ: float32, expected int64"),
    ],
)
def test_not_close(actual: Any, expected: Any, match: str) -> None:
    with pytest.raises(AssertionError, match=match):
        assert_close(dg.tensor(actual), dg.tensor(expected))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(torch.tensor(actual), torch.tensor(expected))


def test_nan_only_where_allowed() -> None:
    assert_close(dg.tensor([1.0, NAN]), dg.tensor([1.0, NAN]), equal_nan=True)
    with pytest.raises(AssertionError):
        assert_close(dg.tensor([NAN, 1.0]), dg.tensor([1.0, NAN]), equal_nan=True)


def test_tolerances() -> None:
    one = dg.tensor([1.0])
    assert_close(one, dg.tensor([1.05]), rtol=0.1, atol=0)
    with pytest.raises(AssertionError, match=r"allowed 0.01"):
        assert_close(one, dg.tensor([1.05]), rtol=0, atol=0.01)
    with pytest.raises(ValueError, match=r"`rtol` and `atol`"):
        assert_close(one, one, rtol=0.1)
    for name in ("float16", "bfloat16", "float32", "float64"):
        for factor, same in ((0.5, True), (2.0, False)):
            rtol, _ = {"float16": (1e-3, 0), "bfloat16": (1.6e-2, 0), "float32": (1.3e-6, 0), "float64": (1e-7, 0)}[
                name
            ]
            a = np.array([1000.0])
            b = a * (1 + factor * rtol)
            try:
                assert_close(dg.tensor(a).to(getattr(dg, name)), dg.tensor(b).to(getattr(dg, name)))
                passed = True
            except AssertionError:
                passed = False
            theirs = torch.isclose(
                torch.tensor(a).to(getattr(torch, name)), torch.tensor(b).to(getattr(torch, name)), rtol=rtol, atol=1e-5
            )
            assert passed == bool(theirs) == same


def test_attributes() -> None:
    x = dg.zeros(2, 3)
    assert_close(x, x.double(), check_dtype=False)
    assert_close(x, dg.zeros(3, 2).t())
    with pytest.raises(AssertionError, match="strides differ"):
        assert_close(x, dg.zeros(3, 2).t(), check_stride=True)


def test_containers_and_numbers() -> None:
    assert_close([1.0, (2, dg.ones(2))], [1.0, (2, dg.ones(2))])
    assert_close({"a": dg.ones(2)}, {"a": dg.ones(2)})
    assert_close(np.ones(2), np.ones(2))
    assert_close(1.0, 1.0 + 1e-9)
    for actual, expected, match in [
        ([1.0], [1.0, 2.0], "lengths differ"),
        ([1.0, (2, dg.ones(2))], [1.0, (2, dg.zeros(2))], r"at \[1\]: at \[1\]: 2 of 2"),
        ({"a": 1}, {"b": 1}, "keys differ"),
        (dg.ones(2), np.ones(2), "one is a tensor"),
        ([1], 1, "differ"),
    ]:
        with pytest.raises(AssertionError, match=match):
            assert_close(actual, expected)


def test_message() -> None:
    with pytest.raises(AssertionError, match=r"^the loss\n1 of 1"):
        assert_close(dg.ones(1), dg.zeros(1), msg="the loss")
