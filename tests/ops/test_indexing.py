"""deepgpu.ops.indexing against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def gathers(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), 0, make.index(2, 4, high=3))
    yield Sample(make(3, 4), 1, make.index(3, 6, high=4))
    yield Sample(make(3, 4), -1, make.index(2, 2, high=4))
    yield Sample(make(2, 3, 4), 1, make.index(2, 5, 3, high=3))
    yield Sample(make(5), 0, make.index(3, high=5))
    yield Sample(make(5), 0, make.index(3, high=5).astype(np.int32))
    yield Sample(make(), 0, make.index(high=1))
    yield Sample(make(), 0, make.index(3, high=1))
    yield Sample(make(5), 0, make.index(high=5))
    yield Sample(make(3, 4), 0, make.index(0, 4, high=3))
    yield Sample(make(2, 3, 4, 5), 1, make.index(2, 1, 4, 5, high=3))


def gather_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), 0, make.index(2, high=3)), r"`gather`.*`index`.*2.*\(2,\)")
    yield Failure(Sample(make(3, 4), 0, make.index(2, 5, high=3)), r"`gather`.*`index`.*\(3, 4\).*\(2, 5\)")
    yield Failure(Sample(make(3, 4), 0, np.array([[3]])), "`gather`.*`index`.*0..2.*3")
    yield Failure(Sample(make(3, 4), 0, np.array([[-1]])), "`gather`.*`index`.*0..2.*-1")
    yield Failure(Sample(make(3, 4), 0, np.array([[0.0]])), "`gather`.*`index`.*int64.*float64")
    yield Failure(Sample(make(3, 4), 2, np.array([[0]])), "`gather`.*`dim`.*2")


def scatters(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 5), 0, np.array([[0, 1, 2, 0, 1]]), make(1, 5))
    # where `src` is larger than `index`, PyTorch's gradient fails
    yield Sample(make(3, 5), 1, np.array([[0, 4], [1, 2], [3, 0]]), make(3, 5)).forward_only()
    yield Sample(make(3, 5), 1, np.array([[0, 4], [1, 2], [3, 0]]), 2)
    yield (
        Sample(make(3, 5), -1, np.array([[0, 4], [1, 2]]), 1.5)
        if make.is_floating
        else Sample(make(3, 5), -1, np.array([[0, 4], [1, 2]]), 1)
    )
    yield Sample(make(3, 5), 1, np.array([[0, 4], [1, 2], [3, 0]]), value=1)
    yield Sample(make(3, 5), 1, index=np.array([[0, 4]]), src=make(3, 5)).forward_only()
    yield Sample(make(5), 0, np.array([3]), make(2)).forward_only()
    yield Sample(make(), 0, np.array(0), make())
    yield Sample(make(3, 5), 0, np.zeros((0, 5), np.int64), make(3, 5)).forward_only()


def scatter_errors(make: Maker) -> Iterator[Failure]:
    index = np.array([[0, 1]])
    yield Failure(Sample(make(3, 5), 0, np.array([[3, 0]]), make(1, 2)), "`scatter`.*`index`.*0..2.*3")
    yield Failure(Sample(make(3, 5), 0, index, make(1, 1)), r"`scatter`.*`src`.*\(1, 2\).*\(1, 1\)")
    yield Failure(Sample(make(3, 5), 0, index[0], make(1, 2)), r"`scatter`.*`index`.*\(2,\)")
    yield Failure(Sample(make(3, 5), 0, index, make.mask(1, 2)), "`scatter`.*`src`.*float64.*bool")
    yield Failure(Sample(make(3, 5), 0, index), "`scatter`.*`src`.*None")


def scatter_sums(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 5), 0, np.array([[0, 1, 2, 0, 1], [0, 0, 0, 0, 0]]), make(2, 5))
    yield Sample(make(3, 5), 1, np.array([[0, 4], [1, 1], [3, 3]]), make(3, 2))
    yield Sample(make(3, 5), 1, np.array([[0, 4], [1, 1], [3, 3]]), make(3, 5)).forward_only()
    yield Sample(make(5), 0, np.array([3, 3, 3]), make(3))
    yield Sample(make(), 0, np.array(0), make())
    yield Sample(make(3, 5), -1, np.zeros((3, 0), np.int64), make(3, 5)).forward_only()


def selections(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), 0, make.index(5, high=3))
    yield Sample(make(3, 4), 1, make.index(2, high=4))
    yield Sample(make(2, 3, 4), -2, make.index(4, high=3))
    yield Sample(make(5), 0, make.index(3, high=5))
    yield Sample(make(5), 0, make.index(high=5))
    yield Sample(make(), 0, np.array([0]))
    yield Sample(make(3, 4), 0, np.zeros(0, np.int64))
    yield Sample(make(3, 4), 0, make.index(2, high=3).astype(np.int32))
    yield Sample(make(2, 3, 4, 5), 1, np.array([2, 0]))


def selection_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), 0, np.array([3])), "`index_select`.*`index`.*0..2.*3")
    yield Failure(Sample(make(3, 4), 0, np.array([-1])), "`index_select`.*`index`.*0..2.*-1")
    yield Failure(Sample(make(3, 4), 0, np.array([[0]])), r"`index_select`.*`index`.*\(1, 1\)")
    yield Failure(Sample(make(3, 4), 2, np.array([0])), "`index_select`.*`dim`.*2")
    yield Failure(Sample(make(3, 4), 0, np.array([0.5])), "`index_select`.*`index`.*float64")


def additions(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), 0, np.array([0, 2, 0]), make(3, 4))
    yield Sample(make(3, 4), 1, np.array([3, 1]), make(3, 2))
    yield Sample(make(3, 4), -1, np.array([3, 1]), make(3, 2), alpha=2)
    yield Sample(make(5), 0, np.array([1, 1, 1]), make(3))
    yield Sample(make(3, 4), 0, np.zeros(0, np.int64), make(0, 4))


def addition_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), 0, np.array([3]), make(1, 4)), "`index_add`.*`index`.*0..2.*3")
    yield Failure(Sample(make(3, 4), 0, np.array([0]), make(2, 4)), r"`index_add`.*`source`.*\(1, 4\).*\(2, 4\)")
    yield Failure(Sample(make(3, 4), 0, np.array([0]), make.mask(1, 4)), "`index_add`.*`source`.*float64.*bool")


def puts(make: Maker) -> Iterator[Sample]:
    rows, columns = np.array([0, 2, 1]), np.array([3, 0, 1])
    yield Sample(make(3, 4), (rows, columns), make(3))
    yield Sample(make(3, 4), (rows,), make(4))
    yield Sample(make(3, 4), (rows, columns), make())
    yield Sample(make(3, 4), (make.mask(3, 4),), make())
    repeated = np.array([0, 0, 2])
    yield Sample(make(3, 4), (repeated,), make(3, 4), True)
    yield Sample(make(3, 4), (repeated, repeated), make(3), accumulate=True)


def put_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), (np.array([3]),), make(4)), "index 3.*`index_put`|`index_put`.*3")
    yield Failure(Sample(make(3, 4), (np.array([1]),), make(3)), r"`index_put`.*`values`.*\(1, 4\).*\(3,\)")


def masked(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make.mask(3, 4))
    yield Sample(make(3, 4), make.mask(4))
    yield Sample(make(3, 1), make.mask(3, 4))
    yield Sample(make(), np.array(True))
    yield Sample(make(), np.array(False))
    yield Sample(make(3), np.zeros(3, bool))
    yield Sample(make(0, 2), np.zeros((0, 2), bool))


def masked_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3), make.index(3, high=2)), "`masked_select`.*`mask`.*bool.*int64")
    yield Failure(Sample(make(3), make.mask(4)), r"`masked_select`.*\(3,\).*\(4,\)")


def takes_along(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make.index(3, 2, high=4), 1)
    yield Sample(make(3, 4), make.index(1, 2, high=4), 1)
    yield Sample(make(1, 4), make.index(3, 2, high=4), -1)
    yield Sample(make(3, 4), make.index(2, 1, high=3), 0)
    yield Sample(make(2, 3, 4), make.index(2, 1, 4, high=3), dim=1)


def takes_flat(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), make.index(5, high=12))
    yield Sample(make(), make.index(2, high=1))


def positions(make: Maker) -> Iterator[Sample]:
    for shape in ((3, 4), (5,), (2, 3, 4), (0,), (2, 0), ()):
        yield Sample(make(*shape))
        yield Sample(make(*shape), as_tuple=True)
    yield Sample(make.values(0))
    yield Sample(make.values([0, 1, 0, 2]))


ENTRIES = [
    OpEntry("gather", gathers, gather_errors),
    OpEntry("scatter", scatters, scatter_errors),
    OpEntry("scatter_add", scatter_sums),
    OpEntry("index_select", selections, selection_errors),
    OpEntry("index_add", additions, addition_errors),
    OpEntry("index_put", puts, put_errors),
    OpEntry("masked_select", masked, masked_errors),
    OpEntry("take_along_dim", takes_along),
    OpEntry("take_along_dim", takes_flat, variant="flat", layouts=()),  # PyTorch flattens contiguous tensors only
    OpEntry("nonzero", positions, differentiable=False),
]


class TestIndexing(OpTests):
    entries = ENTRIES


T = "tensor of "  # stands for a tensor with these values

INDICES: list[Any] = [
    0,
    -1,
    (1, 2),
    (1, 2, 3),
    slice(None),
    slice(1, None),
    slice(None, -1),
    slice(0, 10, 2),
    slice(5, 2),
    slice(-100, 100),
    (slice(None), 1),
    (..., 0),
    (0, ...),
    (0, ..., slice(1, 3)),
    ...,
    (),
    None,
    (None, 0, None, ..., None),
    (slice(None), None, slice(1, 2)),
    np.int64(1),
    [0, 2],
    ([0, 2], [1, 3]),
    ([0, 2], slice(None), [1, 3]),
    (slice(None), [0, 2], [1, 1]),
    (slice(None), [0, 2]),
    (0, [1, 2]),
    ([1, 2], 0),
    (..., [0, 1]),
    ([0, 1], None),
    ([[0], [1]], [[0, 1, 2]]),
    [],
    [True, False, True],
    True,
    False,
    (slice(None), [True, False, True, False]),
    (T, [0, 2]),
    (T, 1),
    (T, [[0, 1]]),
    (T, [True, False, True]),
    (T, [-1, -3]),
    (slice(None), (T, [0, 1, 0])),
    ((T, [0, 1]), (T, [2, 3])),
    ((T, [0, 1]), 2),
    (0, (T, [[2, 3], [0, 1]])),
    ((T, [True, False, True]), (T, [1, 2])),
]


def resolved(index: Any, tensor: Callable[[Any], Any]) -> Any:
    """``(T, data)`` as a tensor."""
    if isinstance(index, tuple):
        if len(index) == 2 and isinstance(index[0], str):
            return tensor(index[1])
        return tuple([resolved(part, tensor) for part in index])
    return index


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_get_item(index: Any, device: str) -> None:
    data = np.arange(60.0).reshape(3, 4, 5)
    ours = dg.tensor(data, requires_grad=True, device=device)
    theirs = torch.tensor(data, requires_grad=True)
    found, expected = ours[resolved(index, dg.tensor)], theirs[resolved(index, torch.tensor)]
    assert found.shape == tuple(expected.shape)
    np.testing.assert_array_equal(found.detach().cpu().numpy(), expected.detach().numpy())
    weights = np.random.default_rng(0).uniform(size=found.shape)
    (found * dg.tensor(weights, device=device)).sum().backward()
    (expected * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(ours.grad.cpu().numpy(), theirs.grad.numpy())


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_set_item(index: Any, device: str) -> None:
    """Values of the region's shape, broadcast values and a number; with gradients of both sides."""
    data = np.arange(60.0).reshape(3, 4, 5)
    shape = tuple(torch.tensor(data)[resolved(index, torch.tensor)].shape)
    for values in (np.random.default_rng(0).uniform(size=shape), np.array(7.0), np.ones(shape[-1:])):
        pairs = []
        for lib, place in ((dg, device), (torch, "cpu")):
            x, v = (lib.tensor(a, requires_grad=True, device=place) for a in (data, values))
            y = x * 2
            y[resolved(index, lib.tensor)] = v
            (y * lib.tensor(data, device=place)).sum().backward()
            g = np.zeros_like(values) if v.grad is None else v.grad.cpu().numpy()
            pairs.append([y.detach().cpu().numpy(), x.grad.cpu().numpy(), g])
        for found, expected in zip(*pairs, strict=True):
            np.testing.assert_allclose(found, expected)
    ours, theirs = dg.tensor(data, device=device), torch.tensor(data)
    ours[resolved(index, dg.tensor)] = 3
    theirs[resolved(index, torch.tensor)] = 3
    np.testing.assert_array_equal(ours.cpu().numpy(), theirs.numpy())


BAD: list[tuple[Any, str]] = [
    (3, "index 3 .*size 3|3.*out of bounds"),
    (-4, "-4"),
    ((0, 0, 0, 0), "too many indices"),
    ((0, 4), "index 4"),
    ([3], "3.*out of bounds"),
    ([-4], "-4.*out of bounds"),
    ((T, [3]), "3.*out of bounds"),
    ((T, [0.5]), "integer or bool.*float"),
    ([True, False], "bool.*2.*3|2.*dimension.*3"),
    ((T, [[True, False]]), "bool|dimension"),
    (([0, 1], [0, 1, 2]), "broadcast"),
]


@pytest.mark.parametrize(("index", "match"), BAD, ids=[str(index) for index, _ in BAD])
def test_bad_index(index: Any, match: str) -> None:
    data = np.zeros((3, 4, 5))
    with pytest.raises(IndexError):
        torch.tensor(data)[resolved(index, torch.tensor)]
    with pytest.raises(IndexError, match=f"(?i){match}") as info:
        dg.tensor(data)[resolved(index, dg.tensor)]
    assert "(3, 4, 5)" in str(info.value)
    with pytest.raises(IndexError):
        dg.tensor(data)[resolved(index, dg.tensor)] = 1


@pytest.mark.parametrize(("index", "kind"), [("a", TypeError), (1.5, TypeError), (slice(None, None, -1), ValueError)])
def test_what_is_no_index(index: Any, kind: type[Exception]) -> None:
    with pytest.raises((IndexError, TypeError, ValueError)):
        torch.zeros(3)[index]
    with pytest.raises((kind, IndexError), match=r"index|step"):
        dg.zeros(3)[index]


def test_set_item_checks_the_shape() -> None:
    x = dg.zeros(3, 4)
    for index in (0, slice(0, 2), [0, 1], x > 1):
        with pytest.raises(RuntimeError, match=r"`__setitem__`.*\(7,\)"):
            x[index] = dg.zeros(7)
    assert x.version == 0 or x.sum().item() == 0


def test_set_item_takes_arrays_lists_and_other_dtypes() -> None:
    x = dg.zeros(2, 3)
    x[0] = np.array([1, 2, 3])
    x[1] = dg.tensor([4, 5, 6])
    assert x.tolist() == [[1, 2, 3], [4, 5, 6]]
    x[:, 0] = np.float64(9)
    assert x[:, 0].tolist() == [9, 9]
    y = dg.zeros(3, dtype=dg.int64)
    y[1] = 2.7
    theirs = torch.zeros(3, dtype=torch.int64)
    theirs[1] = 2.7
    assert y.tolist() == theirs.tolist()
    x[0] = dg.ones(1, 1, 3)  # leading ones are dropped, as in PyTorch
    assert x[0].tolist() == [1, 1, 1]


def test_set_item_refuses_what_the_dtype_cannot_hold() -> None:
    for index in (0, [0]):
        with pytest.raises(RuntimeError):
            torch.zeros(2, dtype=torch.uint8)[index] = 300
        with pytest.raises(RuntimeError, match=r"`__setitem__`.*`value`.*uint8.*300"):
            dg.zeros(2, dtype=dg.uint8)[index] = 300


def test_overlapping_assignment_reads_before_it_writes() -> None:
    for library in (dg, torch):
        x = library.arange(6)
        x[1:] = x[:-1].clone()
        assert x.tolist() == [0, 0, 1, 2, 3, 4]
    x = dg.arange(6)
    x[1:] = x[:-1]
    assert x.tolist() == [0, 0, 1, 2, 3, 4]


def test_uint8_mask_counts_as_bool() -> None:
    x = dg.arange(3.0)
    assert x[dg.tensor([1, 0, 1], dtype=dg.uint8) != 0].tolist() == [0, 2]


def test_labels_by_index_take_gradient_of_repeats() -> None:
    x = dg.zeros(3, requires_grad=True)
    x[dg.tensor([0, 0, 2])].sum().backward()
    assert x.grad.tolist() == [2, 0, 1]
