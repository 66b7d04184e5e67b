"""Files of tensors: ``.safetensors``, and PyTorch's ``.pt`` and ``.pth`` without PyTorch."""

from deepgpu.serialization.atomic import replacing
from deepgpu.serialization.errors import CorruptFileError, UnsafeFileError
from deepgpu.serialization.files import load, save
from deepgpu.serialization.tensors import load_tensors, save_tensors

__all__ = ["CorruptFileError", "UnsafeFileError", "load", "load_tensors", "replacing", "save", "save_tensors"]
