"""What all tests share."""

import signal
from typing import Any

import pytest

from deepgpu.testing import device_params

# A shell starts what runs in its background with Ctrl-C ignored, also by the processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=device_params())
def device(request: Any) -> str:
    """A test that takes it runs on every device; on "cuda" under the marker ``gpu``."""
    return request.param
