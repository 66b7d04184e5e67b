"""Which random numbers are drawn while a batch is loaded.

A batch's numbers come from streams that belong to (seed of the epoch, index of the batch) and to nothing else: not to
the worker that loads it, nor to what was drawn before. deepgpu's, NumPy's and Python's global generators all take part.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
from numpy.random import mtrand

from deepgpu.random import Generator, default_generator, draw_from


class Streams:
    """The streams of the batches that one thread loads.

    Parameters
    ----------
    whole_process
        Whether no other thread of this process loads: only then do NumPy's and Python's global generators, which all
        threads share, take part.
    """

    def __init__(self, whole_process: bool) -> None:
        self._deepgpu = Generator()
        self._numpy = np.random.MT19937() if whole_process else None  # seeding an old one is cheap, making one is not

    @contextlib.contextmanager
    def of_batch(self, seed: int, index: int) -> Iterator[None]:
        """Draw the numbers of batch ``index`` of the epoch with this ``seed``; afterwards all is as it was before."""
        first, second, third = np.random.SeedSequence((seed, index)).generate_state(3, np.uint64).tolist()
        self._deepgpu.manual_seed(first)
        with draw_from(self._deepgpu):
            if self._numpy is None:
                yield
                return
            python, numpy = random.getstate(), mtrand.get_bit_generator()
            try:
                mtrand.set_bit_generator(self._numpy)
                np.random.seed(second % 2**32)
                random.seed(third)
                yield
            finally:
                random.setstate(python)
                mtrand.set_bit_generator(numpy)


def seed_process(seed: int) -> None:
    """Seed deepgpu's, NumPy's and Python's global generators."""
    default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
