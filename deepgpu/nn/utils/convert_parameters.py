"""Parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable

from deepgpu.errors import takes
from deepgpu.ops.joining import cat
from deepgpu.tensor import Tensor


def _on_one_device(parameters: Iterable[Tensor], name: str) -> list[Tensor]:
    params = list(parameters)
    devices = {str(p.device) for p in params}
    if len(devices) > 1:
        raise TypeError(
            takes(name, "parameters", "parameters on one device", f"some on {' and '.join(sorted(devices))}")
        )
    return params


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters flattened and joined, through which gradients flow."""
    return cat([p.reshape(-1) for p in _on_one_device(parameters, "parameters_to_vector")])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the parameters hold the parts of a vector, in order; they share its memory."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"`vector_to_parameters`: `vec` takes a tensor, but got {type(vec).__name__}")
    start = 0
    for p in _on_one_device(parameters, "vector_to_parameters"):
        p.data = vec[start : start + p.numel()].reshape(p.shape).data
        start += p.numel()
