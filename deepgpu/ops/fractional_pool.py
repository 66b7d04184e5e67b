"""Maxima over windows at random places: fractional max pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from deepgpu.errors import takes
from deepgpu.ops.conv_nd import numbers
from deepgpu.ops.op import op
from deepgpu.ops.sampling import rand
from deepgpu.tensor import Tensor, wrap


def _starts(xp: Any, samples: Any, n: int, out: int, kernel: int) -> Any:
    """Where windows begin: as far apart as fits, shifted by a random number, the last at the end."""
    step = (n - kernel) / (out - 1) if out > 1 else 0.0
    # in the dtype of the samples, so that they are rounded as PyTorch's are
    alpha = xp.asarray(step, samples.dtype)
    i = xp.arange(out - 1).astype(samples.dtype)
    s = samples[..., None]
    first = ((i + s) * alpha).astype(np.int64) - (s * alpha).astype(np.int64)
    last = xp.full((*samples.shape, 1), n - kernel, np.int64)
    return xp.concatenate([first, last], -1)


@op
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """The maximum of windows whose distances are random (Graham 2014, "Fractional Max-Pooling").

    Parameters
    ----------
    input
        ``(N, C, H, W)`` or ``(C, H, W)``
    kernel_size
        One number, or one each for height and width.
    output_size
        The height and the width of the result.
    output_ratio
        Instead of it, the result's size as a share of the input's.
    return_indices
        Return the positions of the maxima in the flattened images too.
    _random_samples
        ``(N, C, 2)``, numbers in ``[0, 1)`` for width and height, instead of new ones.
    """
    name = "fractional_max_pool2d"
    if input._data.ndim not in (3, 4):
        raise RuntimeError(takes(name, "input", "(N, C, H, W) or (C, H, W)", f"shape {tuple(input.shape)}"))
    k = numbers(kernel_size, 2, name, "kernel_size", 1)
    x = input if input._data.ndim == 4 else input.unsqueeze(0)
    n, c, h, w = x._data.shape
    if output_size is None:
        if output_ratio is None:
            raise ValueError(takes(name, "output_size", "a size, or None if `output_ratio` is given", "None for both"))
        ratios = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * 2
        if len(ratios) != 2:
            raise ValueError(takes(name, "output_ratio", "a number, or two", output_ratio))
        output_size = [int(h * ratios[0]), int(w * ratios[1])]
    size = numbers(output_size, 2, name, "output_size", 1)
    if any(o + a - 1 > m for o, a, m in zip(size, k, (h, w), strict=True)):
        expected = f"sizes that windows {k} fit {size} times"
        raise RuntimeError(takes(name, "input", expected, f"shape {tuple(input.shape)}"))
    samples = _random_samples
    if samples is None:
        samples = rand(n, c, 2, dtype=x.dtype, device=x.device)
    if samples._data.shape != (n, c, 2):
        raise RuntimeError(takes(name, "_random_samples", f"shape {(n, c, 2)}", f"shape {tuple(samples.shape)}"))
    xp = x._backend.xp
    rows = _starts(xp, samples._data[..., 1], h, size[0], k[0])[..., None] + xp.arange(k[0])  # (N, C, P, R)
    columns = _starts(xp, samples._data[..., 0], w, size[1], k[1])[..., None] + xp.arange(k[1])  # (N, C, Q, S)
    places = rows[:, :, :, None, :, None] * w + columns[:, :, None, :, None, :]
    windows = wrap(places.reshape(n, c, size[0] * size[1], k[0] * k[1]), x._backend)
    flat = x.reshape(n, c, h * w)
    values = flat.detach().gather(2, windows.flatten(2)).reshape(windows.shape)
    index = windows.gather(3, values.argmax(3, keepdim=True)).squeeze(3)
    shape = (n, c, *size) if input._data.ndim == 4 else (c, *size)
    out = flat.gather(2, index).reshape(shape)
    return (out, index.reshape(shape)) if return_indices else out
