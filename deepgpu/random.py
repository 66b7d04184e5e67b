"""Random numbers: one seed, one stream a device, states that can be saved.

The CPU's numbers come from NumPy's PCG64. The same seed gives the same numbers on a given device, in every version of
NumPy that keeps its stream (NEP 19 keeps the bit generators' streams fixed).
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from deepgpu.backends.cuda import graphs
from deepgpu.device import CPU, device as as_device


class Generator:
    """A stream of random numbers.

    Parameters
    ----------
    device
        Where the numbers are used. They are drawn on the host and copied, so that a seed means the same everywhere; but
        dropout on a GPU draws a key here, and its mask there.
    """

    numpy: np.random.Generator
    _seed: int

    def __init__(self, device: Any = "cpu") -> None:
        self.device = as_device(device)
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to ``seed`` (any integer)."""
        self._seed = int(seed)
        self.numpy = np.random.Generator(np.random.PCG64(self._seed % 2**64))
        return self

    def seed(self) -> int:
        """Start a stream nobody can foresee; its seed is returned."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1)
        return self._seed

    def initial_seed(self) -> int:
        """The seed the stream was started with."""
        return self._seed

    def get_state(self) -> Any:
        """The position in the stream, a uint8 tensor."""
        from deepgpu.tensor import wrap

        state = json.dumps({"seed": self._seed, "state": self.numpy.bit_generator.state}).encode()
        return wrap(np.frombuffer(state, np.uint8).copy(), CPU.backend)

    def set_state(self, state: Any) -> Generator:
        """Go on from a position that :meth:`get_state` gave."""
        saved = json.loads(bytes(np.asarray(state)))
        self._seed = saved["seed"]
        self.numpy.bit_generator.state = saved["state"]
        return self


class _StandIn(threading.local):
    generator: Generator | None = None


class _DefaultGenerator(Generator):
    """The stream of draws that name no generator. In one thread, another can stand in for it: see :func:`draw_from`."""

    def __init__(self) -> None:
        self._stand_in = _StandIn()
        super().__init__()

    def __reduce__(self) -> str:
        return "default_generator"  # a copy, or one in another process, is the default generator there

    @property
    def numpy(self) -> np.random.Generator:
        graphs.refuse(
            "random numbers", "the host draws them, so every replay would have the same", "draw them before the replay"
        )
        stand_in = self._stand_in.generator
        return self._own_numpy if stand_in is None else stand_in.numpy

    @numpy.setter
    def numpy(self, stream: np.random.Generator) -> None:
        stand_in = self._stand_in.generator
        if stand_in is None:
            self._own_numpy = stream
        else:
            stand_in.numpy = stream

    @property
    def _seed(self) -> int:
        stand_in = self._stand_in.generator
        return self._own_seed if stand_in is None else stand_in._seed

    @_seed.setter
    def _seed(self, seed: int) -> None:
        stand_in = self._stand_in.generator
        if stand_in is None:
            self._own_seed = seed
        else:
            stand_in._seed = seed


default_generator = _DefaultGenerator()


@contextlib.contextmanager
def draw_from(generator: Generator) -> Iterator[None]:
    """Let ``generator`` stand in for the default generator: in this thread, until the ``with`` block ends.

    Whatever the block draws or seeds leaves the default generator's own stream as it was.
    """
    stand_in = default_generator._stand_in
    before, stand_in.generator = stand_in.generator, generator
    try:
        yield
    finally:
        stand_in.generator = before


def manual_seed(seed: int) -> Generator:
    """Seed the default generator; returns it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with something nobody can foresee; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The position of the default generator, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Go on from a position that :func:`get_rng_state` gave."""
    default_generator.set_state(state)
