"""deepgpu.ops.creation against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample, assert_close
from deepgpu.testing.convert import from_torch


def fixed(*samples: Sample) -> Callable[[Maker], Iterator[Sample]]:
    return lambda make: iter(samples)


def typed(*shapes: tuple[int, ...]) -> Callable[[Maker], Iterator[Sample]]:
    """Sizes one by one and as a sequence, with and without a dtype."""

    def samples(make: Maker) -> Iterator[Sample]:
        d = dg.promote_types(getattr(dg, make.dtype), getattr(dg, make.dtype))
        for shape in shapes:
            yield Sample(*shape, dtype=d)
            yield Sample(shape, dtype=d)
            yield Sample(list(shape), dtype=d)
            yield Sample(*shape)

    return samples


def likes(*rest: Any) -> Callable[[Maker], Iterator[Sample]]:
    def samples(make: Maker) -> Iterator[Sample]:
        for shape in ((2, 3), (), (0, 2), (2, 3, 4, 5)):
            yield Sample(make(*shape), *rest)
        yield Sample(make(2, 3), *rest, dtype=dg.float32)
        yield Sample(make(2, 3), *rest, dtype=dg.int64)

    return samples


def filled(make: Maker) -> Iterator[Sample]:
    d = getattr(dg, make.dtype)
    for value in (1, 2.5, True):
        yield Sample((2, 3), value)
        yield Sample((2, 3), value, dtype=d)
        yield Sample((), value)
        yield Sample([0, 2], value)


def fill_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample((2,), 300, dtype=dg.uint8), "`full`.*`fill_value`.*uint8.*300")
    yield Failure(Sample((2, -1), 3.0), "`full`.*`size`.*-1")


def size_errors(name: str) -> Callable[[Maker], Iterator[Failure]]:
    def errors(make: Maker) -> Iterator[Failure]:
        yield Failure(Sample(2, -1), f"`{name}`.*`size`.*-1")
        yield Failure(Sample("a"), f"`{name}`.*`size`.*str")
        yield Failure(Sample(2.5), f"`{name}`.*`size`.*float")

    return errors


def ranges(make: Maker) -> Iterator[Sample]:
    d = getattr(dg, make.dtype)
    for args in ((5,), (0,), (2, 7), (1, 8, 3), (5, 0, -2), (0.0, 1.0, 0.1), (2.5,), (1, 2.0), (0, 10, 0.25), (3, 3)):
        yield Sample(*args)
    if make.dtype != "bool":
        yield Sample(5, dtype=d)
        yield Sample(1, 8, 3, dtype=d)
    yield Sample(start=1, end=4)
    yield Sample(end=4)
    yield Sample(1, 4, step=2)


def range_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(0, 5, 0), "`arange`.*`step`.*0")
    yield Failure(Sample(0, 5, -1), "`arange`.*0 to 5.*-1")
    yield Failure(Sample(0, float("inf")), "`arange`.*inf")


def spaces(make: Maker) -> Iterator[Sample]:
    for args in ((0, 1, 5), (1.5, -2.5, 7), (3, 3, 2), (0, 10, 1), (0, 1, 0)):
        yield Sample(*args)
        yield Sample(*args, dtype=dg.float64)
    yield Sample(start=0, end=1, steps=3)


def space_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(0, 1, -1), "`linspace`.*`steps`.*-1")


def eyes(make: Maker) -> Iterator[Sample]:
    d = getattr(dg, make.dtype)
    for args in ((3,), (2, 4), (4, 2), (0,), (0, 3)):
        yield Sample(*args)
        yield Sample(*args, dtype=d)


ALL_ONCE = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
LIKE = {"differentiable": False, "keeps_layout": True}

ENTRIES = [
    OpEntry("zeros", typed((2, 3), (0,), (4,)), size_errors("zeros"), differentiable=False),
    OpEntry("ones", typed((2, 3), (0,), (4,)), size_errors("ones"), differentiable=False),
    OpEntry("full", filled, fill_errors, differentiable=False),
    OpEntry("arange", ranges, range_errors, differentiable=False),
    OpEntry("linspace", spaces, space_errors, differentiable=False, dtypes=("float32",)),
    OpEntry("eye", eyes, differentiable=False),
    OpEntry("zeros_like", likes(), **LIKE),
    OpEntry("ones_like", likes(), **LIKE),
    OpEntry("full_like", likes(2), **LIKE),
    *[
        OpEntry(name, fixed(), differentiable=False, dtypes=("float32",), skip={"forward": reason})
        for name, reason in [
            ("tensor", "takes Python's data, not tensors: tested below"),
            ("as_tensor", "takes Python's data, not tensors: tested below"),
            ("from_numpy", "takes NumPy's arrays, not tensors: tested below"),
            ("from_dlpack", "takes other libraries' arrays: tested below"),
            ("empty", "the values are undefined: tested below"),
            ("empty_like", "the values are undefined: tested below"),
        ]
    ],
]


class TestCreation(OpTests):
    entries = ENTRIES


def same(ours: dg.Tensor, theirs: torch.Tensor) -> None:
    assert_close(ours.numpy(), from_torch(theirs), rtol=0, atol=0, equal_nan=True)


DATA: list[Any] = [
    1,
    2.5,
    True,
    [],
    [[]],
    [[], []],
    [1, 2, 3],
    [1, 2.5],
    [True, False],
    [True, 2],
    [True, 2.5],
    [[1, 2], [3, 4]],
    ((1, 2), (3, 4)),
    [1e300, float("nan"), float("inf")],
    range(3),
    np.arange(3),
    np.arange(3.0),
    np.ones((2, 0), np.float16),
    np.float32(2.5),
    np.int64(3),
    np.uint8(200),
    np.array(True),
    np.array([[1, 2], [3, 4]], np.int8)[:, ::-1],
    np.array([1, 2], ">i4").astype("=i4"),
    [np.float32(1), np.float32(2)],
    [np.arange(2), np.arange(2)],
    2**62,
    -(2**63),
]


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list of numpy.ndarrays")
@pytest.mark.parametrize("data", DATA, ids=repr)
def test_tensor(data: Any) -> None:
    source = data.copy() if isinstance(data, np.ndarray) else data
    same(dg.tensor(data), torch.tensor(source))
    same(dg.as_tensor(data), torch.as_tensor(source))
    if not np.isfinite(np.asarray(data, float)).all():
        return  # as integers these are undefined
    for name in ("float32", "int64", "float16", "uint8", "bool", "bfloat16"):
        try:
            expected = torch.tensor(source, dtype=getattr(torch, name))
        except (RuntimeError, TypeError):
            continue  # out of range, or lists of NumPy's scalars, which only PyTorch refuses
        same(dg.tensor(data, dtype=getattr(dg, name)), expected)


def test_tensor_of_tensors() -> None:
    parts = [dg.tensor([1.0, 2.0]), dg.tensor([3.0, 4.0])]
    assert dg.tensor([p[0] for p in parts]).tolist() == [1, 3]
    x = dg.tensor([1.0, 2.0], requires_grad=True)
    y = dg.tensor(x.detach())
    assert y.data_ptr() != x.data_ptr()
    assert not y.requires_grad
    assert dg.as_tensor(x) is x
    assert dg.tensor([1, 2], dtype=dg.float64, requires_grad=True).requires_grad


@pytest.mark.parametrize(
    ("data", "kind", "match"),
    [
        ([[1, 2], [3]], ValueError, "`tensor`.*sequences.*length"),
        ([1, "a"], (TypeError, ValueError), "`tensor`.*str"),
        ("abc", TypeError, "`tensor`.*str"),
        (None, (TypeError, RuntimeError), "`tensor`.*NoneType"),
        ([None], (TypeError, RuntimeError), "`tensor`"),
        ({"a": 1}, (TypeError, RuntimeError), "`tensor`.*dict"),
        (1j, TypeError, "complex"),
        (2**70, (RuntimeError, OverflowError), "`tensor`.*int64|large"),
        (object(), (TypeError, RuntimeError), "`tensor`.*object"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_tensor_of_what_is_no_data(data: Any, kind: Any, match: str) -> None:
    with pytest.raises(kind, match=match):
        dg.tensor(data)


def test_tensor_refuses_what_the_dtype_cannot_hold() -> None:
    for value, name in ((300, "uint8"), (2**40, "int32"), (-129, "int8")):
        with pytest.raises(RuntimeError):
            torch.tensor([value], dtype=getattr(torch, name))
        with pytest.raises(RuntimeError, match=f"`tensor`.*{name}.*{value}"):
            dg.tensor([value], dtype=getattr(dg, name))


def test_from_numpy_shares_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    for made in (dg.from_numpy(array), dg.as_tensor(array), dg.from_numpy(array.T).t()):
        made[0, 0] = 7
        assert array[0, 0] == 7
        array[0, 0] = 0
        assert made[0, 0].item() == 0
    assert dg.tensor(array).data_ptr() != dg.from_numpy(array).data_ptr()
    with pytest.raises(TypeError, match=r"`from_numpy`.*list"):
        dg.from_numpy([1, 2])
    with pytest.raises(TypeError, match="complex128"):
        dg.from_numpy(np.ones(2, complex))


def test_in_place_ops_see_the_shared_array() -> None:
    """Even an op that could take over its result's memory writes into the array's."""
    array = np.ones(3)
    dg.from_numpy(array).mul_(2).add_(1)
    np.testing.assert_array_equal(array, [3, 3, 3])


def test_from_dlpack() -> None:
    source = np.arange(6.0).reshape(2, 3)
    ours = dg.from_dlpack(source)
    ours[0, 0] = 5
    assert source[0, 0] == 5
    theirs = torch.arange(4)
    dg.from_dlpack(theirs).add_(1)
    assert theirs.tolist() == [1, 2, 3, 4]
    back = torch.from_dlpack(dg.arange(3))
    assert back.tolist() == [0, 1, 2]
    assert np.from_dlpack(dg.ones(2)).tolist() == [1, 1]


def test_empty() -> None:
    assert dg.empty(2, 3).shape == (2, 3)
    assert dg.empty((2, 3), dtype=dg.int8).dtype is dg.int8
    assert dg.empty(2, 3, 4, 5, memory_format=dg.channels_last).is_contiguous(memory_format=dg.channels_last)
    x = dg.zeros(2, 3, 4, 5).contiguous(memory_format=dg.channels_last)
    assert dg.empty_like(x).stride() == x.stride()
    assert dg.empty_like(x, dtype=dg.float64).dtype is dg.float64
    assert dg.empty_like(x, memory_format=dg.contiguous_format).is_contiguous()
    assert x.new_empty(3).dtype is dg.float32
    assert dg.empty(2, requires_grad=True).requires_grad


def test_new_tensors_take_dtype_and_device() -> None:
    x = dg.zeros(2, dtype=dg.float64)
    for made, values in [
        (x.new_zeros(2, 1), [[0], [0]]),
        (x.new_zeros((2, 1)), [[0], [0]]),
        (x.new_ones(2), [1, 1]),
        (x.new_full((2,), 3), [3, 3]),
        (x.new_tensor([1, 2]), [1, 2]),
    ]:
        assert made.dtype is dg.float64
        assert made.tolist() == values
    assert x.new_zeros(2, dtype=dg.int32).dtype is dg.int32


def test_default_dtype() -> None:
    dg.set_default_dtype(dg.float64)
    try:
        assert dg.tensor(1.5).dtype is dg.zeros(1).dtype is dg.arange(0.5).dtype is dg.randn(1).dtype is dg.float64
        assert (dg.tensor(1) / 2).dtype is dg.float64
    finally:
        dg.set_default_dtype(dg.float32)
