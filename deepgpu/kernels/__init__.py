"""Finds the handwritten kernels: ``deepgpu.kernels.jit``, ``.cuda`` and ``.emulator``.

The sources live in ``<repository>/kernels`` so that they can be read on their own. An installed wheel carries them
inside this package (see ``package-dir`` in pyproject.toml); in a checkout they are found through ``__path__``.
"""

from pathlib import Path

_checkout = Path(__file__).resolve().parents[2] / "kernels"
if (_checkout / "jit").is_dir():
    __path__.append(str(_checkout))
