"""deepgpu.ops.shape against PyTorch."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample
from deepgpu.testing.families import calls, failures, joined, unary

reshapes = calls(
    ((3, 4), (4, 3)),
    ((3, 4), (-1,)),
    ((3, 4), (2, -1)),
    ((3, 4), [2, 2, 3]),
    ((), (1, 1)),
    ((1, 1), ()),
    ((0, 3), (3, 0)),
    ((0, 3), (-1, 3)),
    ((2, 3, 4, 5), (6, -1)),
    ((2, 3, 4), (2, 12)),
)


reshape_errors = [
    (r"`shape`.*12.*\[5, 2\]", (3, 4), (5, 2)),
    (r"`shape`.*12.*\[5, -1\]", (3, 4), (5, -1)),
    (r"`shape`.*-1.*\[-1, -1\]", (3, 4), (-1, -1)),
    (r"`shape`.*\[0, -1\]", (0, 3), (0, -1)),
    (r"`shape`.*\[-2, -6\]", (3, 4), (-2, -6)),
]


def views(make: Maker) -> Iterator[Sample]:
    yield from reshapes(make)


def broadcasts(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3), make(3), make())
    yield Sample(make(2, 1), make(1, 3))
    yield Sample(make(2))


def broadcast_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2), make(3)), r"`broadcast_tensors`.*\(2,\).*\(3,\)")


ONE_DIM = (((3,), 0), ((2, 3), 1), ((2, 3, 4), -2), ((2, 0), 1))


PAIRS = (((2, 3), 0, 1), ((2, 3, 4), 0, 2), ((2, 3, 4), -1, 1), ((), 0, -1), ((3,), 0, 0), ((2, 0, 3), 1, 2))


FEW = ("float64", "float32", "int64")

ENTRIES = [
    OpEntry("swapaxes", calls(((2, 3), 0, 1), ((2, 3, 4), -1, 0)), dtypes=FEW),
    OpEntry("swapdims", calls(((2, 3), 0, 1), ((2, 3, 4), -1, 0)), dtypes=FEW),
    OpEntry("ravel", calls(((2, 3),), ((),), ((0, 2),)), dtypes=FEW),
    OpEntry("adjoint", calls(((2, 3),), ((2, 3, 4),)), failures("adjoint", (r"\(3,\)", (3,))), dtypes=FEW),
    OpEntry("reshape", reshapes, failures("reshape", *reshape_errors), reference="reshape"),
    OpEntry(
        "view",
        views,
        failures("view", *[(pattern.replace("`shape`", "`size`"), *rest) for pattern, *rest in reshape_errors]),
        reference=lambda x, shape: x.reshape(shape),  # a view that strides do not permit copies here
    ),
    OpEntry(
        "flatten",
        joined(unary, calls(((2, 3, 4), 1), ((2, 3, 4), 0, 1), ((2, 3, 4), -2, -1), ((2, 0, 4), 1), ((2, 3), 1, 1))),
        failures("flatten", ("`start_dim`.*`end_dim`", (2, 3), 1, 0), ("`start_dim`.*2", (2, 3), 2)),
    ),
    OpEntry(
        "unflatten",
        calls(((6, 2), 0, (2, 3)), ((6, 2), 0, (-1, 2)), ((2, 12), -1, (3, 2, 2)), ((0,), 0, (0, 3))),
        failures("unflatten", ("`sizes`.*6", (6, 2), 0, (4, 2)), ("`dim`.*2", (6, 2), 2, (6,))),
    ),
    OpEntry(
        "squeeze",
        joined(
            calls(((1, 3, 1),), ((2, 3),), ((),), ((1,),), ((1, 0),)),
            calls(((1, 3, 1), 0), ((1, 3, 1), 1), ((1, 3, 1), -1), ((), 0), ((1, 3, 1), (0, 2)), ((1, 3, 1), (0, 1))),
        ),
        failures("squeeze", ("`dim`.*2", (1, 3), 2), ("twice", (1, 3), (0, 0))),
    ),
    OpEntry(
        "unsqueeze",
        calls(((2, 3), 0), ((2, 3), 1), ((2, 3), 2), ((2, 3), -1), ((2, 3), -3), ((), 0), ((0,), 1)),
        failures("unsqueeze", ("`dim`.*3", (2, 3), 3), ("`dim`.*-4", (2, 3), -4)),
    ),
    OpEntry(
        "permute",
        calls(
            ((2, 3, 4), (2, 0, 1)), ((2, 3, 4), (-1, 0, 1)), ((2, 3, 4, 5), [0, 2, 3, 1]), ((), ()), ((0, 2), (1, 0))
        ),
        failures(
            "permute",
            ("`dims`.*3 dimensions", (2, 3, 4), (0, 1)),
            ("`dims`.*once", (2, 3, 4), (0, 1, 1)),
            ("`dims`.*3", (2, 3, 4), (0, 1, 3)),
        ),
    ),
    OpEntry("transpose", calls(*PAIRS), failures("transpose", ("`dim1`.*2", (2, 3), 0, 2))),
    OpEntry("t", calls(((2, 3),), ((3,),), ((),), ((0, 2),)), failures("t", (r"\(2, 3, 4\)", (2, 3, 4)))),
    OpEntry(
        "movedim",
        calls(((2, 3, 4), 0, 2), ((2, 3, 4), -1, 0), ((2, 3, 4), (0, 1), (2, 0)), ((2, 3), 1, 1), ((), 0, 0)),
        failures(
            "movedim",
            ("1 sources.*2 destinations", (2, 3), (0,), (0, 1)),
            ("`source`.*2", (2, 3), 2, 0),
            ("twice", (2, 3, 4), (0, 0), (0, 1)),
        ),
    ),
    OpEntry(
        "expand",
        calls(
            ((3, 1), (3, 4)),
            ((3, 1), (2, 3, 4)),
            ((3, 1), (-1, 4)),
            ((1,), (0,)),
            ((), (2, 3)),
            ((), ()),
            ((2, 3), (2, 3)),
            ((1, 3, 1, 1), (2, -1, 4, 5)),
        ),
        failures(
            "expand",
            (r"`size`.*\[3, 1\].*\[2, 4\]", (3, 1), (2, 4)),
            (r"`size`.*\[3, 1\].*\[4\]", (3, 1), (4,)),
            (r"`size`.*\[-1, 3, 4\]", (3, 1), (-1, 3, 4)),
            (r"`size`.*\[3, -2\]", (3, 1), (3, -2)),
        ),
    ),
    OpEntry("broadcast_to", calls(((3, 1), (2, 3, 4)), ((), (2,)), ((3,), (3,))), reference="broadcast_to"),
    OpEntry("broadcast_tensors", broadcasts, broadcast_errors),
]


class TestShape(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("reshape", (3, 2)),
        ("reshape", (-1,)),
        ("view", (1, 6)),
        ("permute", (1, 0)),
        ("expand", (4, 2, 3)),
        ("repeat", (2, 1)),
        ("flip", (0, 1)),
        ("swapaxes", (0, 1)),
        ("swapdims", (0, 1)),
        ("moveaxis", (0, 1)),
    ],
)
def test_sizes_one_by_one(name: str, args: tuple[int, ...]) -> None:
    data = np.arange(6.0).reshape(2, 3)
    ours, theirs = getattr(dg.tensor(data), name)(*args), getattr(torch.from_numpy(data), name)(*args)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_sizes_may_be_tensors_and_shapes() -> None:
    x = dg.arange(6)
    assert x.reshape(dg.Size([2, 3])).shape == (2, 3)
    assert x.reshape(dg.tensor(2), 3).shape == (2, 3)
    assert x.view(np.int64(3), -1).shape == (3, 2)
    assert x.view_as(dg.zeros(3, 2)).shape == x.reshape_as(dg.zeros(3, 2)).shape == (3, 2)
    assert dg.zeros(3, 1).expand_as(dg.zeros(2, 3, 4)).shape == (2, 3, 4)


VIEWS: list[tuple[str, Callable[[Any], Any]]] = [
    ("reshape", lambda x: x.reshape(3, 4)),
    ("view", lambda x: x.view(-1)),
    ("flatten", lambda x: x.flatten()),
    ("unflatten", lambda x: x.unflatten(1, (3, 2))),
    ("squeeze", lambda x: x.unsqueeze(0).squeeze(0)),
    ("unsqueeze", lambda x: x.unsqueeze(1)),
    ("permute", lambda x: x.permute(1, 0)),
    ("transpose", lambda x: x.transpose(0, 1)),
    ("t", lambda x: x.t()),
    ("T", lambda x: x.T),
    ("mT", lambda x: x.mT),
    ("movedim", lambda x: x.movedim(0, 1)),
    ("narrow", lambda x: x.narrow(1, 2, 3)),
    ("select", lambda x: x.select(1, 2)),
    ("split", lambda x: x.split(4, 1)[1]),
    ("chunk", lambda x: x.chunk(2, 1)[1]),
    ("unbind", lambda x: x.unbind(1)[3]),
    ("diagonal", lambda x: x.diagonal(1)),
    ("detach", lambda x: x.detach()),
    ("row", lambda x: x[1]),
    ("element", lambda x: x[1, 2]),
    ("slice", lambda x: x[:, 1::2]),
    ("new axis", lambda x: x[None, ..., 0]),
    ("chain", lambda x: x[1:].t()[2:4].reshape(2, 1)),
]


@pytest.mark.parametrize(("name", "view"), VIEWS, ids=[name for name, _ in VIEWS])
def test_views_share_memory(name: str, view: Callable[[Any], Any]) -> None:
    """Both ways: what is written to one is read from the other, as in PyTorch."""
    data = np.arange(12.0).reshape(2, 6)
    ours, theirs = dg.tensor(data), torch.tensor(data)
    seen, expected = view(ours), view(theirs)
    assert seen.data_ptr() == ours.data_ptr() + (expected.data_ptr() - theirs.data_ptr())
    steps = [(a, b) for a, b, n in zip(seen.stride(), expected.stride(), expected.shape, strict=True) if n > 1]
    assert all(a == b for a, b in steps)
    seen += 100
    expected += 100
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    ours.mul_(2)
    theirs.mul_(2)
    np.testing.assert_array_equal(seen.numpy(), expected.numpy())


def test_what_is_no_view_is_a_copy() -> None:
    x = dg.arange(12.0).reshape(3, 4)
    for made in (x.t().reshape(-1), x.repeat(1, 1), x.flip(0), x.roll(1), x.tril(), x[[0, 1]], x[x > 3], dg.cat([x])):
        before = x.tolist()
        made.zero_()
        assert x.tolist() == before


def test_views_of_strided_tensors_match_torch() -> None:
    """Which reshapes of a transposed tensor are views is PyTorch's choice too."""
    data = np.arange(24.0).reshape(2, 3, 4)
    for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 0, 2)):
        for shape in ((6, 4), (24,), (2, 12), (4, 6), (3, 8), (2, 3, 2, 2), (1, 24)):
            ours, theirs = dg.tensor(data).permute(*order), torch.tensor(data).permute(*order)
            shared = ours.reshape(shape).data_ptr() == ours.data_ptr()
            assert shared == (theirs.reshape(shape).data_ptr() == theirs.data_ptr()), (order, shape)


def test_in_place_shape_methods_change_the_tensor_itself() -> None:
    for name, args in [
        ("squeeze_", ()),
        ("unsqueeze_", (0,)),
        ("transpose_", (0, 1)),
        ("t_", ()),
        ("swapaxes_", (0, 1)),
    ]:
        data = np.arange(3.0).reshape(1, 3)
        ours, theirs = dg.tensor(data), torch.tensor(data)
        assert getattr(ours, name)(*args) is ours
        getattr(theirs, name)(*args)
        assert ours.shape == tuple(theirs.shape)
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
