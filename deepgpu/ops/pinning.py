"""Page-locked memory of the host, from which a GPU copies while the host does other things."""

from __future__ import annotations

from typing import Any

from deepgpu.backends import registry
from deepgpu.backends.cuda import runtime
from deepgpu.device import device as as_device
from deepgpu.errors import DeviceMismatchError, takes
from deepgpu.tensor import Tensor, method, wrap


@method
def pin_memory(input: Tensor, device: Any = None) -> Tensor:
    """A copy of a CPU tensor in pinned memory; itself if it is there already.

    ``x.pin_memory().to("cuda", non_blocking=True)`` copies while the host goes on. The memory is kept until the copy is
    complete, also if the tensor is dropped before.

    Parameters
    ----------
    device
        Accepted for PyTorch's sake: memory is pinned for all GPUs.

    Raises
    ------
    DeviceUnavailableError
        If there is no GPU to pin it for.
    RuntimeError
        If the tensor is not on the CPU.
    """
    if input._backend.type != "cpu":
        raise RuntimeError(takes("pin_memory", "input", "a tensor on the CPU", f"one on {input.device}"))
    cuda: Any = registry.get("cuda")
    if cuda.is_pinned(input._data):
        return input
    return wrap(cuda.pinned(input._data), input._backend)


@method
def is_pinned(input: Tensor, device: Any = None) -> bool:
    """Whether the tensor is in pinned memory."""
    if input._backend.type != "cpu" or not runtime.is_available():
        return False
    cuda: Any = registry.get("cuda")
    return cuda.is_pinned(input._data)


@method
def record_stream(input: Tensor, stream: Any) -> None:
    """Keep the tensor's memory until the work that ``stream`` has now is done.

    Memory goes back to the stream that it was allocated on. So a tensor that another stream uses must not be dropped
    before that has finished: call this after the work was launched there.
    """
    if input._backend.type != "cuda":
        raise DeviceMismatchError(takes("record_stream", "input", "a tensor on a GPU", f"one on {as_device('cpu')}"))
    backend: Any = input._backend
    backend.keep_for(stream.cupy, input._data)
