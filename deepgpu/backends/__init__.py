"""Devices: one contract (:mod:`~deepgpu.backends.base`), one implementation a device type."""

from deepgpu.backends import cuda, cudnn

__all__ = ["cuda", "cudnn"]
