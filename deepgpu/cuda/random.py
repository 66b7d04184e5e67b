"""Seeds and states of random numbers for GPUs.

The host draws the numbers of all devices from one stream, so that a seed means the same everywhere. What PyTorch keeps
for each device is therefore the state of that one stream.
"""

from __future__ import annotations

from typing import Any

from deepgpu import random
from deepgpu.backends.cuda import runtime
from deepgpu.cuda.devices import index_of
from deepgpu.tensor import Tensor


def manual_seed(seed: int) -> None:
    """Seed the random numbers; nothing happens without a GPU, as in PyTorch."""
    if runtime.is_available():
        random.manual_seed(seed)


def manual_seed_all(seed: int) -> None:
    """As :func:`manual_seed`."""
    manual_seed(seed)


def seed() -> None:
    """Seed the random numbers with something nobody can foresee."""
    if runtime.is_available():
        random.seed()


def seed_all() -> None:
    """As :func:`seed`."""
    seed()


def initial_seed() -> int:
    """The seed that the stream was started with."""
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The position in the stream, a uint8 tensor on the CPU."""
    index_of(device)
    return random.get_rng_state()


def get_rng_state_all() -> list[Tensor]:
    """:func:`get_rng_state` of every device."""
    return [get_rng_state(i) for i in range(runtime.device_count())]


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Go on from a position that :func:`get_rng_state` gave."""
    index_of(device)
    random.set_rng_state(new_state)


def set_rng_state_all(new_states: list[Tensor]) -> None:
    """Go on from positions that :func:`get_rng_state_all` gave."""
    for i, state in enumerate(new_states):
        set_rng_state(state, i)
