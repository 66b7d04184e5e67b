"""PyTorch's switches in ``torch.backends.cudnn``. There is no cuDNN: they are about our own convolutions."""

allow_tf32 = True
"""Whether convolutions of float32 may round to TF32, 10 bits of mantissa, for tensor cores."""
