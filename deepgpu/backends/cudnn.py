"""PyTorch's switches in ``torch.backends.cudnn``. There is no cuDNN: they are about our own convolutions.

``benchmark``, ``deterministic`` and ``enabled`` are accepted and change nothing: algorithms are chosen by shape, and
every convolution kernel is deterministic.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

allow_tf32 = True
"""Whether convolutions of float32 may round to TF32, 10 bits of mantissa, for tensor cores."""

benchmark = False
"""Without effect."""

deterministic = False
"""Without effect: the convolutions always are."""

enabled = True
"""Without effect."""


def is_available() -> bool:
    """Never: there is no cuDNN, and no need of it."""
    return False


def version() -> None:
    """None, as there is no cuDNN."""


@contextlib.contextmanager
def flags(
    enabled: bool = True,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool = True,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """Inside, the switches are set so; only ``allow_tf32`` has an effect."""
    given = {"enabled": enabled, "benchmark": benchmark, "deterministic": deterministic, "allow_tf32": allow_tf32}
    module = globals()
    before = {name: module[name] for name in given}
    module.update(given)
    try:
        yield
    finally:
        module.update(before)
