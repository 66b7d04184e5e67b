"""Devices: one contract (:mod:`~deepgpu.backends.base`), one implementation a device type; and PyTorch's switches."""

from deepgpu.backends import cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]
