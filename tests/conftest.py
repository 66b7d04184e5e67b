"""What all tests share."""

from typing import Any

import pytest

from deepgpu.testing import device_params


@pytest.fixture(params=device_params())
def device(request: Any) -> str:
    """A test that takes it runs on every device; on "cuda" under the marker ``gpu``."""
    return request.param
