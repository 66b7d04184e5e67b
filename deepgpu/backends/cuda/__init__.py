"""NVIDIA GPUs: CuPy arrays. Importing this package imports no CuPy."""

from __future__ import annotations


class _Matmul:
    """PyTorch's ``torch.backends.cuda.matmul``.

    Attributes
    ----------
    allow_tf32
        Whether matrix products of float32 may round to TF32, 10 bits of mantissa, for tensor cores.
    """

    def __init__(self) -> None:
        self.allow_tf32 = False


matmul = _Matmul()
