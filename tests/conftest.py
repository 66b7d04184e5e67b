"""What all tests share."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from deepgpu.testing import DEVICES, usable

# A shell starts what runs in its background with Ctrl-C ignored, also by the processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=DEVICES)
def device(request: Any) -> Iterator[str]:
    """A test that takes it runs on every device; "cuda" is emulated on a machine without a GPU."""
    with usable(request.param):
        yield request.param
