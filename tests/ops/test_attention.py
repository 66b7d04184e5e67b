"""deepgpu.ops.attention against PyTorch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from deepgpu.testing import Failure, Maker, OpEntry, OpTests, Sample


def looks(make: Maker) -> Iterator[Sample]:
    q, k, v = make(2, 3, 4), make(2, 5, 4), make(2, 5, 2)
    yield Sample(q, k, v)
    yield Sample(q, k, v, make(3, 5))
    yield Sample(q, k, v, make.mask(2, 3, 5) | (np.arange(5) == 2), scale=0.3)
    yield Sample(make(2, 2, 4, 3), make(2, 2, 4, 3), make(2, 2, 4, 3), is_causal=True)
    yield Sample(make(3, 4), make(5, 4), make(5, 4))
    yield Sample(make(1, 4, 3, 2), make(1, 2, 3, 2), make(1, 2, 3, 2), enable_gqa=True)
    yield Sample(make(1, 2, 2), make(1, 2, 2), make(1, 2, 2), np.array([[True, False], [False, False]])).forward_only()


def look_errors(make: Maker) -> Iterator[Failure]:
    name = "`scaled_dot_product_attention`"
    x = make(2, 3, 4)
    yield Failure(Sample(x, make(2, 3, 2), x), f"{name}: `key` takes 4 features")
    yield Failure(Sample(x, x, x, make(3, 3), is_causal=True), f"{name}: `attn_mask` takes None")


def composed(*args: Any, **kwargs: Any) -> torch.Tensor:
    """PyTorch's implementation by plain ops: the fused ones have no second derivative."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return torch.nn.functional.scaled_dot_product_attention(*args, **kwargs)


PRECISE = ("float64", "float32")
ENTRIES = [
    OpEntry("scaled_dot_product_attention", looks, look_errors, reference=composed, dtypes=PRECISE, layouts=()),
]


class TestAttention(OpTests):
    entries = ENTRIES
