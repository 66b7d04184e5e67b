"""PyTorch's ``torch.backends.mkldnn``: there is no oneDNN here; our own kernels compute."""


def is_available() -> bool:
    """Never."""
    return False
