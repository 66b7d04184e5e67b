"""PyTorch's ``torch.backends.openmp``."""


def is_available() -> bool:
    """Whether kernels run on several threads: always, by Numba's threading layer."""
    return True
