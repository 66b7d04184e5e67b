"""The CPU: NumPy arrays, Numba kernels from :mod:`deepgpu.kernels.jit`."""
