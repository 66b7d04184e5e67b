"""Tools for testing ops and kernels against PyTorch, finite differences and each other.

An op is described once, by an :class:`OpEntry`; :class:`OpTests` makes tests of it::

    def samples(make):
        yield Sample(make(3, 4))
        yield Sample(make(0, 2), dim=-1)

    class TestMyOps(OpTests):
        entries = [OpEntry("my_op", samples)]

PyTorch is needed for these tests, not for :func:`assert_close`.
"""

from deepgpu.testing.compare import assert_close
from deepgpu.testing.devices import emulated_cuda, usable
from deepgpu.testing.entry import Failure, OpEntry
from deepgpu.testing.samples import FLOATING, INTEGRAL, Maker, Sample
from deepgpu.testing.suite import DEVICES, OpTests

__all__ = [
    "DEVICES",
    "FLOATING",
    "INTEGRAL",
    "Failure",
    "Maker",
    "OpEntry",
    "OpTests",
    "Sample",
    "assert_close",
    "emulated_cuda",
    "usable",
]
