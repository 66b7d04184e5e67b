"""deepgpu.ops.cast against PyTorch: dtypes and devices."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
from deepgpu import dtypes
from deepgpu.testing import Maker, OpEntry, OpTests, Sample, assert_close
from deepgpu.testing.convert import from_torch

NAMES = [d.name for d in dtypes.ALL]
SHORTHANDS = ("half", "bfloat16", "float", "double", "char", "short", "int", "long", "byte", "bool")


def conversions(make: Maker) -> Iterator[Sample]:
    for d in (dg.float64, dg.float32, dg.float16, dg.bfloat16, dg.int64, dg.int8, dg.bool):
        for shape in ((3, 4), (), (0,), (2, 3, 4, 5)):
            yield Sample(make(*shape, low=0.1), d)
    yield Sample(make(3, 4), "cpu")
    yield Sample(make(3, 4), "cpu", dg.float64)
    yield Sample(make(3, 4), dtype=dg.float32)
    yield Sample(make(3, 4), device="cpu", dtype=dg.float64, non_blocking=True)
    yield Sample(make(3, 4), copy=True)
    yield Sample(make(2, 3, 4, 5), memory_format=dg.channels_last)
    yield Sample(make(3, 4), make(1))
    yield Sample(make(3, 4), np.zeros(1)).forward_only()


def plain(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4, low=0.1))
    yield Sample(make(low=0.1))
    yield Sample(make(0, 2))


# finite differences mean nothing through float16 and bfloat16, whose steps are larger than theirs
ROUNDED = {"gradgrad": "finite differences vanish in the rounding of the half types"}

ENTRIES = [
    OpEntry("to", conversions, reference="Tensor.to", keeps_layout=True, skip=ROUNDED),
    *[
        OpEntry(
            name,
            plain,
            reference=f"Tensor.{name}",
            differentiable=name in ("half", "bfloat16", "float", "double"),
            skip=ROUNDED,
        )
        for name in SHORTHANDS
    ],
    OpEntry("type_as", lambda make: iter([Sample(make(3), np.zeros(2)), Sample(make(3), np.zeros(2, np.int32))])),
]


class TestCast(OpTests):
    entries = ENTRIES


@pytest.mark.parametrize("source", NAMES)
@pytest.mark.parametrize("target", NAMES)
def test_every_pair(source: str, target: str) -> None:
    values = [0, 1, 2, 100, 0.6, 1.5, -1, -1.6] if dtypes.named(source).is_signed else [0, 1, 2, 100]
    if source == "bool":
        values = [0, 1]
    data = np.array(values).astype(dtypes.named(source).numpy)
    ours = dg.tensor(data).to(dtypes.named(target))
    theirs = torch.tensor(values, dtype=torch.float64).to(getattr(torch, source)).to(getattr(torch, target))
    assert_close(ours.numpy(), from_torch(theirs), rtol=0, atol=0)


def test_nan_and_infinity_become_bool_true() -> None:
    x = dg.tensor([float("nan"), float("inf"), 0.0])
    assert x.bool().tolist() == torch.tensor([float("nan"), float("inf"), 0.0]).bool().tolist() == [True, True, False]


def test_what_changes_nothing_is_the_tensor_itself() -> None:
    x = dg.ones(2, 3)
    assert x.to(dg.float32) is x
    assert x.to("cpu") is x
    assert x.to(dg.float64) is not x
    assert x.float() is x
    assert x.cpu() is x
    assert x.to(x) is x
    assert x.to(dg.float32, copy=True) is not x
    assert x.type(dg.float32) is x
    assert x.type_as(dg.ones(1, dtype=dg.int64)).dtype is dg.int64


def test_type_names() -> None:
    for name in ("float32", "float64", "int64", "uint8", "bool", "bfloat16"):
        ours = dg.zeros(1, dtype=getattr(dg, name)).type()
        assert ours == torch.zeros(1, dtype=getattr(torch, name)).type().replace("torch", "deepgpu")


def test_what_to_does_not_take() -> None:
    assert dg.ones(1).to(None).tolist() == torch.ones(1).to(None).tolist()
    with pytest.raises(TypeError, match=r"`to`.*list"):
        dg.ones(1).to([1])
    with pytest.raises(RuntimeError):
        torch.ones(1).to("tpu")
    with pytest.raises(RuntimeError, match=r"`device`.*'tpu'"):
        dg.ones(1).to("tpu")


def test_gradient_comes_back_in_the_dtype_of_the_input() -> None:
    x = dg.ones(3, dtype=dg.float16, requires_grad=True)
    (x.double() * 2).sum().backward()
    assert x.grad.dtype is dg.float16
    assert x.grad.tolist() == [2, 2, 2]
