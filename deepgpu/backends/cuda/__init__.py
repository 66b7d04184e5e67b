"""NVIDIA GPUs: CuPy arrays. Importing this package imports no CuPy.

Beside the backend, PyTorch's switches of ``torch.backends.cuda``. Those of attention are accepted and change nothing:
there is one implementation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class _Matmul:
    """PyTorch's ``torch.backends.cuda.matmul``.

    Attributes
    ----------
    allow_tf32
        Whether matrix products of float32 may round to TF32, 10 bits of mantissa, for tensor cores.
    allow_fp16_reduced_precision_reduction, allow_bf16_reduced_precision_reduction
        Without effect: sums are always kept in float32.
    """

    def __init__(self) -> None:
        self.allow_tf32 = False
        self.allow_fp16_reduced_precision_reduction = True
        self.allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()


def is_built() -> bool:
    """Always: the CUDA kernels are part of the package. ``deepgpu.cuda.is_available()`` says whether they can run."""
    return True


def flash_sdp_enabled() -> bool:
    """Never: attention is computed by matrix products and softmax."""
    return False


def mem_efficient_sdp_enabled() -> bool:
    """Never."""
    return False


def math_sdp_enabled() -> bool:
    """Always."""
    return True


def enable_flash_sdp(enabled: bool) -> None:
    """Accepted without effect."""


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Accepted without effect."""


def enable_math_sdp(enabled: bool) -> None:
    """Accepted without effect."""


@contextlib.contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """Accepted without effect."""
    yield
