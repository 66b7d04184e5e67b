"""Between Pillow images, arrays and tensors, and between pixel types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.errors import takes
from deepgpu.ops.creation import as_tensor, from_numpy
from deepgpu.tensor import Tensor
from deepgpu.vision.transforms.functional.image import is_pil, pillow

# What the pixels of Pillow's modes are, where it is not bytes.
_WIDE_MODES = {"I": np.int32, "I;16": np.int16, "F": np.float32}
# Pillow's modes for bytes by number of channels; the first is the default.
_BYTE_MODES = {1: ("L",), 2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def to_tensor(pic: Any) -> Tensor:
    """An image as a tensor (C, H, W); bytes become floating-point numbers in [0, 1].

    Parameters
    ----------
    pic
        A Pillow image, a NumPy array (H, W) or (H, W, C), or (our own addition, for batches) a uint8 tensor
        (..., C, H, W).
    """
    if isinstance(pic, Tensor):
        if pic.dtype is not dtypes.uint8:
            raise TypeError(takes("to_tensor", "pic", "a PIL image, an ndarray or a uint8 tensor", pic.dtype))
        return _unit(pic)
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(takes("to_tensor", "pic", "an ndarray of 2 or 3 dimensions", f"{pic.ndim}"))
        image = from_numpy(np.ascontiguousarray(pic[None] if pic.ndim == 2 else pic.transpose(2, 0, 1)))
    elif is_pil(pic):
        image = pil_to_tensor(pic)
        if pic.mode == "1":
            image = image * 255
    else:
        raise TypeError(takes("to_tensor", "pic", "a PIL image or an ndarray", type(pic).__name__))
    return _unit(image) if image.dtype is dtypes.uint8 else image


def _unit(image: Tensor) -> Tensor:
    return image.to(dtypes.get_default_dtype()).div_(255)


def pil_to_tensor(pic: Any) -> Tensor:
    """A Pillow image as a tensor (C, H, W) with the same values."""
    if not is_pil(pic):
        raise TypeError(takes("pil_to_tensor", "pic", "a PIL image", type(pic).__name__))
    array = np.array(pic, dtype=_WIDE_MODES.get(pic.mode, np.uint8))
    return from_numpy(np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1)))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (H, W) or (C, H, W), or an array (H, W) or (H, W, C), as a Pillow image.

    Parameters
    ----------
    pic
        uint8, int16, int32 or float32 pixels. A floating-point tensor is scaled by 255 and cut off to bytes, unless
        ``mode`` is "F".
    mode
        Pillow's mode; by default the one that goes with type and channels.
    """
    if isinstance(pic, Tensor):
        array = pic.detach().cpu().numpy()
        if pic.dtype.is_floating_point and mode != "F":
            array = (array * 255).astype(np.uint8)
        if array.ndim == 3:
            array = array.transpose(1, 2, 0)
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(takes("to_pil_image", "pic", "a tensor or an ndarray", type(pic).__name__))
    if array.ndim not in (2, 3):
        raise ValueError(takes("to_pil_image", "pic", "2 or 3 dimensions", f"{array.ndim}"))
    array = np.ascontiguousarray(array[:, :, None] if array.ndim == 2 else array)
    channels = array.shape[2]
    if channels not in _BYTE_MODES:
        raise ValueError(takes("to_pil_image", "pic", "1 to 4 channels", channels))
    modes: Sequence[str] = _BYTE_MODES[channels]
    if array.dtype != np.uint8:
        modes = [m for m, dtype in _WIDE_MODES.items() if array.dtype == dtype and channels == 1]
        if not modes:
            raise TypeError(f"`to_pil_image`: there is no PIL mode for {channels} channels of {array.dtype}")
    if mode is not None and mode not in modes:
        raise ValueError(takes("to_pil_image", "mode", f"{' or '.join(modes)} for {array.dtype} pixels", mode))
    height, width = array.shape[:2]
    if array.dtype == np.uint8:
        return pillow().frombytes(mode or modes[0], (width, height), array.tobytes())
    return pillow().fromarray(array[:, :, 0].astype(np.uint16) if modes[0] == "I;16" else array[:, :, 0])


def convert_image_dtype(image: Tensor, dtype: dtypes.dtype = dtypes.float32) -> Tensor:
    """Cast pixels and scale them to the range of the new type: [0, 1], or 0 to the largest integer.

    Raises
    ------
    RuntimeError
        If the integers of ``dtype`` are finer than the floating-point numbers of the image.
    """
    if not isinstance(image, Tensor):
        raise TypeError(takes("convert_image_dtype", "image", "a tensor", type(image).__name__))
    source = image.dtype
    if source is dtype:
        return image
    if source.is_floating_point:
        if dtype.is_floating_point:
            return image.to(dtype)
        if dtype.itemsize >= source.itemsize and dtype.itemsize > 2:
            raise RuntimeError(f"`convert_image_dtype`: the cast from {source} to {dtype} cannot be performed safely")
        # as many values of the image go to the largest integer as to any other
        return (image * (dtypes.iinfo(dtype).max + 1 - 1e-3)).to(dtype)
    largest = dtypes.iinfo(source).max
    if dtype.is_floating_point:
        return image.to(dtype) / largest
    other = dtypes.iinfo(dtype).max
    if largest > other:
        return (image // ((largest + 1) // (other + 1))).to(dtype)
    return image.to(dtype) * ((other + 1) // (largest + 1))


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """``(tensor - mean) / std``, channel by channel.

    Parameters
    ----------
    tensor
        Floating-point images (..., C, H, W).
    mean, std
        One number a channel.
    inplace
        Overwrite the tensor.
    """
    if not isinstance(tensor, Tensor) or not tensor.dtype.is_floating_point:
        found = f"a {tensor.dtype} one" if isinstance(tensor, Tensor) else type(tensor).__name__
        hint = "; put `ToTensor()` or `ConvertImageDtype()` before it"
        raise TypeError(takes("normalize", "tensor", "a floating-point tensor", found) + hint)
    if tensor.ndim < 3:
        raise ValueError(takes("normalize", "tensor", "a tensor (..., C, H, W)", f"shape {tuple(tensor.shape)}"))
    m, s = (as_tensor(v, dtype=tensor.dtype, device=tensor.device) for v in (mean, std))
    if (s == 0).any():
        raise ValueError(f"`normalize`: `std` is zero after conversion to {tensor.dtype}: {std}")
    m, s = (v.reshape(-1, 1, 1) if v.ndim == 1 else v for v in (m, s))
    if inplace:
        return tensor.sub_(m).div_(s)
    return (tensor - m).div_(s)
