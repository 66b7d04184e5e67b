"""Tests of the CUDA kernels, run by the emulator. Those marked `kernels` need NVRTC, as in tests/emulator."""

from tests.emulator.conftest import pytest_collection_modifyitems, pytest_configure  # noqa: F401
from tests.kernels.cuda.emulated import caught, compiled_together, rng  # noqa: F401
from tests.kernels.cuda.exercised import exercised  # noqa: F401
