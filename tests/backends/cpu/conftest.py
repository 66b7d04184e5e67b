"""What the tests of the CPU backend share: both implementations of the contract, dtypes and memory layouts."""

import math

import ml_dtypes
import numpy as np
import pytest

from deepgpu.backends import registry
from deepgpu.backends.composed import ComposedBackend

# dtype, and the relative error that its rounding and its sums may leave
DTYPES = {
    "float64": (np.dtype(np.float64), 1e-13),
    "float32": (np.dtype(np.float32), 1e-6),
    "float16": (np.dtype(np.float16), 1e-3),
    "bfloat16": (np.dtype(ml_dtypes.bfloat16), 8e-3),
}


class Reference(ComposedBackend):
    """The plain implementation on NumPy."""

    type, index, xp = "cpu", None, np

    def from_numpy(self, array):
        return array

    def receive(self, array, non_blocking):
        return array

    def to_numpy(self, array):
        return array

    def synchronize(self):
        pass

    def erf(self, x):
        return np.vectorize(math.erf, otypes=[x.dtype])(x)


@pytest.fixture(scope="session")
def reference():
    return Reference()


@pytest.fixture(scope="session", params=["composed", "cpu"])
def backend(request, reference):
    """Each test runs on the plain implementation and on the fast one, and is judged by PyTorch."""
    return reference if request.param == "composed" else registry.get("cpu")


# every dtype, and every layout of one dtype: layouts are sorted out before a kernel sees the array
VARIANTS = [
    "float64 contiguous",
    "float32 contiguous",
    "float32 channels-last",
    "float32 transposed",
    "float32 sliced",
    "float16 contiguous",
    "bfloat16 channels-last",
]


@pytest.fixture(params=VARIANTS)
def variant(request):
    """Dtype and layout; a test takes them apart through the three fixtures below."""
    return request.param.split()


@pytest.fixture
def dtype(variant):
    return DTYPES[variant[0]][0]


@pytest.fixture
def tolerance(variant):
    return DTYPES[variant[0]][1]


@pytest.fixture
def laid_out(variant):
    """A function that gives the same values in another memory layout."""
    return {
        "contiguous": np.ascontiguousarray,
        "channels-last": _channels_last,
        "transposed": lambda x: np.ascontiguousarray(x.T).T,
        "sliced": _sliced,
    }[variant[1]]


def _channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def _sliced(x):
    """Every second element of the last axis of a larger array, the first axis backwards."""
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    wide[::-1, ..., 1::2] = x
    return wide[::-1, ..., 1::2]


@pytest.fixture
def rng():
    return np.random.default_rng(0)
