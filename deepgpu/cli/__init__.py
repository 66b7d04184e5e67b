"""The command ``deepgpu``."""

from deepgpu.cli.app import main

__all__ = ["main"]
