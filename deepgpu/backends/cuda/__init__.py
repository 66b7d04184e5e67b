"""NVIDIA GPUs: CuPy arrays. Importing this package imports no CuPy."""
