"""PyTorch's ``torch.backends.mkl``: there is none here; NumPy's BLAS and our own kernels compute."""


def is_available() -> bool:
    """Never."""
    return False
