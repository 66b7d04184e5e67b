"""deepgpu.ops.normalization against PyTorch."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def layers(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), (4,))
    yield Sample(make(2, 3, 4), (3, 4), make(3, 4), make(3, 4))
    yield Sample(make(2, 3, 4), [4], make(4), eps=0.1)
    yield Sample(make(4), (4,), None, make(4)).forward_only()  # PyTorch has no gradient without weights
    yield Sample(make(0, 4), (4,), make(4), make(4)).forward_only()


def layer_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(3, 4), (3,)), r"`layer_norm`: `input` takes.*3.*\(3, 4\)")
    yield Failure(Sample(make(3, 4), (4,), make(3)), r"`layer_norm`: `weight` takes shape \(4,\).*\(3,\)")
    yield Failure(Sample(np.ones((3, 4), int), (4,)), "`layer_norm`: `input` takes.*int64")


def roots(make: Maker) -> Iterator[Sample]:
    yield Sample(make(3, 4), (4,))
    yield Sample(make(2, 3, 4), (3, 4), make(3, 4))
    yield Sample(make(2, 3, 4), (4,), make(4), 0.1)


def groups(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 4, 3), 2)
    yield Sample(make(2, 6, 2, 2), 3, make(6), make(6), eps=0.1)
    yield Sample(make(3, 4), 1, make(4))
    yield Sample(make(2, 3, 4), 3, None, make(3)).forward_only()


def group_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 4), 3), "`group_norm`: `num_groups` takes.*4 channels.*3")
    yield Failure(Sample(make(2, 4), 2, make(2)), r"`group_norm`: `weight` takes shape \(4,\)")
    yield Failure(Sample(make(4), 2), r"`group_norm`: `input` takes.*\(4,\)")


def instances(make: Maker) -> Iterator[Sample]:
    yield Sample(make(2, 3, 4))
    yield Sample(make(2, 3, 2, 2), None, None, make(3), make(3), eps=0.1)
    yield Sample(make(2, 3, 4), make(3), make(3, low=0.5), make(3), make(3), False)


def unit_errors(make: Maker) -> Iterator[Failure]:
    yield Failure(Sample(make(2, 3, 1)), r"`instance_norm`: `input` takes more than 1 spatial.*\(2, 3, 1\)")


def responses(make: Maker) -> Iterator[Sample]:
    for size in (1, 2, 3, 5):
        yield Sample(make(2, 4, 3), size)
    yield Sample(make(2, 4, 2, 3), 3, 0.5, 0.6, 2.0)
    yield Sample(make(1, 3, 2, 2, 2), 2, alpha=0.1)


PRECISE = ("float64", "float32")
LOOSE = {"float64": (1e-8, 1e-9), "float32": (1e-4, 1e-4)}  # rounded twice over: PyTorch divides by the deviation
FEW = ("transposed",)
FIXED = (1, 2)

ENTRIES = [
    OpEntry("layer_norm", layers, layer_errors, dtypes=PRECISE, layouts=FEW, tolerances=LOOSE),
    OpEntry("rms_norm", roots, dtypes=PRECISE, layouts=FEW),
    OpEntry("group_norm", groups, group_errors, dtypes=PRECISE, layouts=FEW, tolerances=LOOSE),
    OpEntry("instance_norm", instances, unit_errors, dtypes=PRECISE, layouts=FEW, tolerances=LOOSE, constants=FIXED),
    OpEntry("local_response_norm", responses, dtypes=PRECISE, layouts=()),
]


class TestNormalization(OpTests):
    entries = ENTRIES


def test_instance_norm_updates_its_statistics() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3, 5))
    ours, theirs = (dg.zeros(3).double(), dg.ones(3).double()), (torch.zeros(3).double(), torch.ones(3).double())
    F.instance_norm(dg.tensor(x), *ours, momentum=0.3)
    torch.nn.functional.instance_norm(torch.tensor(x), *theirs, momentum=0.3)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_half_numbers_are_normalized_in_float32(name: str) -> None:
    x = np.linspace(-300, 300, 64).astype(np.float16).reshape(2, 32)
    ours = getattr(F, name)(dg.tensor(x), (32,))
    exact = getattr(torch.nn.functional, name)(torch.tensor(x).double(), (32,), eps=1e-5)
    assert ours.dtype is dg.float16
    np.testing.assert_allclose(ours.numpy(), exact.numpy(), rtol=1e-3, atol=1e-3)
