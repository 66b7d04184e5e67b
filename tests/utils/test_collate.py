"""Collating against PyTorch's default_collate."""

import collections

import numpy as np
import pytest
import torch
import torch.utils.data as torch_data

import deepgpu as dg
from deepgpu.utils import data

Point = collections.namedtuple("Point", "x y")


def _compare(ours, theirs):
    """The same structure, the same dtypes and values."""
    if isinstance(theirs, torch.Tensor):
        assert isinstance(ours, dg.Tensor)
        assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
        assert tuple(ours.shape) == tuple(theirs.shape)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        return
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            _compare(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            _compare(a, b)
    else:
        assert ours == theirs


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2],
        [1.5, 2.5],
        [True, False],
        ["a", "bc"],
        [b"a", b"b"],
        [np.float32(1), np.float32(2)],
        [np.int16(1), np.int16(2)],
        [np.arange(3), np.arange(3) + 1],
        [np.array(1.0), np.array(2.0)],
        [(1, 2.0, "x"), (3, 4.0, "y")],
        [[1, 2], [3, 4]],
        [{"a": 1, "b": [1.0, 2.0]}, {"a": 2, "b": [3.0, 4.0]}],
        [Point(1, np.ones(2)), Point(2, np.zeros(2))],
        [collections.OrderedDict(z=1, a="s"), collections.OrderedDict(z=2, a="t")],
    ],
    ids=str,
)
def test_collate(batch):
    _compare(data.default_collate(batch), torch_data.default_collate(batch))


def test_collate_of_tensors():
    values = np.arange(12.0, dtype=np.float32).reshape(2, 2, 3)
    _compare(
        data.default_collate([(dg.tensor(v), i) for i, v in enumerate(values)]),
        torch_data.default_collate([(torch.tensor(v), i) for i, v in enumerate(values)]),
    )


@pytest.mark.parametrize(
    "value",
    [3, "s", None, np.arange(3), np.float64(2), [np.ones(2), 1], (1, "s"), {"a": np.ones(1)}, Point(np.ones(1), 2)],
    ids=str,
)
def test_convert(value):
    _compare(data.default_convert(value), torch_data.default_convert(value))


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ([object()], TypeError, "must contain tensors, numpy arrays, numbers, dicts or lists; found builtins.object"),
        ([np.array(["a"])], TypeError, "found numpy.ndarray of <U1"),
        ([[1, 2], [3]], RuntimeError, "each element in list of batch should be of equal size"),
        ([np.ones(2), np.ones(3)], RuntimeError, r"equal size.*shapes \(2,\), \(3,\)"),
    ],
)
def test_errors(batch, error, message):
    with pytest.raises(error, match=message):
        data.default_collate(batch)
    with pytest.raises(error):
        torch_data.default_collate(batch)


def test_pil_image_says_what_to_do():
    image = pytest.importorskip("PIL.Image").new("L", (4, 4))
    with pytest.raises(TypeError, match=r"found PIL\.Image\.Image.*transforms\.ToTensor\(\)"):
        data.default_collate([image])
