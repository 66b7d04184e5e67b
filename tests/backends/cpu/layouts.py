"""Equal arrays whose memory is laid out otherwise."""

import numpy as np

LAYOUTS = ("planar", "channels-last", "gaps")


def channels_last(x: np.ndarray) -> np.ndarray:
    """``(N, C, spatial...)`` on memory of ``(N, spatial..., C)``."""
    order = (0, *range(2, x.ndim), 1)
    return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """An array in C order in one of the layouts; with less than three dimensions it stays."""
    if layout == "planar" or x.ndim < 3:
        return x
    if layout == "channels-last":
        return channels_last(x)
    wide = np.empty((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]
