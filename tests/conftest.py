"""What all tests share."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from deepgpu.testing import DEVICES, emulated_cuda, usable

# A shell starts what runs in its background with Ctrl-C ignored, also by the processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=DEVICES)
def device(request: Any) -> Iterator[str]:
    """A test that takes it runs on every device; "cuda" is emulated on a machine without a GPU."""
    with usable(request.param):
        yield request.param


@pytest.fixture
def emulated() -> Iterator[None]:
    """Device "cuda" is the emulated one."""
    with emulated_cuda():
        yield


@pytest.fixture
def epilogues(monkeypatch: pytest.MonkeyPatch) -> list:
    """The epilogues of the convolutions that the CPU computes during a test, None for those that have none."""
    from deepgpu.backends.cpu import conv

    made: list = []
    at_once, later = conv.fprop, conv.CPUConvolution._computed

    def fprop(*args: Any) -> Any:
        made.append(None)
        return at_once(*args)

    def computed(image: conv.CPUConvolution, epilogue: Any) -> Any:
        made.append(epilogue)
        return later(image, epilogue)

    monkeypatch.setattr(conv, "fprop", fprop)
    monkeypatch.setattr(conv.CPUConvolution, "_computed", computed)
    return made
