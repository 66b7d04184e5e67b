"""The whole contract composed of plain array operations: what every fast path is compared with, and falls back on."""

from deepgpu.backends.composed.backend import ComposedBackend

__all__ = ["ComposedBackend"]
