"""How tensors look: PyTorch's format, so that outputs in books and on screens agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deepgpu import dtypes
from deepgpu.tensor import Tensor, method


@dataclass
class _Options:
    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {
    "default": _Options(),
    "short": _Options(precision=2, edgeitems=2),
    "full": _Options(threshold=math.inf),
}
options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed.

    Parameters
    ----------
    precision
        Digits behind the point, 4 at first.
    threshold
        Larger tensors are summarised, 1000 at first.
    edgeitems
        Items shown at each end of a summarised dimension, 3 at first.
    linewidth
        Characters a line, 80 at first.
    profile
        ``"default"``, ``"short"`` or ``"full"``, which the other arguments then change.
    sci_mode
        True or False for scientific notation always or never; None to choose by the values.
    """
    if profile is not None:
        options.__dict__.update(_PROFILES[profile].__dict__)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    options.__dict__.update({k: v for k, v in given.items() if v is not None})
    options.sci_mode = sci_mode


class _Formatter:
    """One format for all numbers of a tensor: as wide as the widest needs."""

    def __init__(self, shown: np.ndarray) -> None:
        self.floating = shown.dtype.kind == "f"
        self.whole = self.scientific = False
        self.width = 1
        if not self.floating:
            self.width = max([len(str(v)) for v in shown.reshape(-1).tolist()], default=1)
            return
        counted = shown[np.isfinite(shown) & (shown != 0)].astype(np.float64)
        self.whole = bool((counted == np.ceil(counted)).all())
        if counted.size:
            low, high = float(np.abs(counted).min()), float(np.abs(counted).max())
            self.scientific = high / low > 1000 or high > 1e8 or (not self.whole and low < 1e-4)
        if options.sci_mode is not None:
            self.scientific = options.sci_mode
        self.width = max([len(self.text(v)) for v in counted.tolist()], default=1)

    def text(self, value: Any) -> str:
        if not self.floating:
            return str(value)
        if self.scientific:
            return f"{value:.{options.precision}e}"
        if self.whole:
            text = f"{value:.0f}"
            return text if not math.isfinite(value) else text + "."
        return f"{value:.{options.precision}f}"

    def padded(self, value: Any) -> str:
        return self.text(value).rjust(self.width)


def _vector(x: np.ndarray, indent: int, summarize: bool, formatter: _Formatter) -> str:
    per_line = max(1, (options.linewidth - indent) // (formatter.width + 2))
    edge = options.edgeitems
    if summarize and x.size > 2 * edge:
        first, last = ([formatter.padded(v) for v in part.tolist()] for part in (x[:edge], x[-edge:]))
        items = [*first, " ...", *last]
    else:
        items = [formatter.padded(v) for v in x.tolist()]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nested(x: np.ndarray, indent: int, summarize: bool, formatter: _Formatter) -> str:
    if x.ndim == 0:
        return formatter.text(x.item())
    if x.ndim == 1:
        return _vector(x, indent, summarize, formatter)
    edge = options.edgeitems
    if summarize and x.shape[0] > 2 * edge:
        parts = [_nested(p, indent + 1, summarize, formatter) for p in x[:edge]]
        parts += ["..."] + [_nested(p, indent + 1, summarize, formatter) for p in x[-edge:]]
    else:
        parts = [_nested(p, indent + 1, summarize, formatter) for p in x]
    return "[" + ("," + "\n" * (x.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _shown(x: np.ndarray) -> np.ndarray:
    """The corners of a summarised array: the numbers that are printed."""
    edge = options.edgeitems
    for d, n in enumerate(x.shape):
        if n > 2 * edge:
            x = np.take(x, [*range(edge), *range(n - edge, n)], axis=d)
    return x


@method(name="__repr__")
def tensor_str(self: Tensor) -> str:
    """``tensor([...], dtype=..., device=..., requires_grad=...)``, leaving out what goes without saying."""
    prefix = "tensor(" if type(self) is Tensor else f"{type(self).__name__}("
    suffixes = []
    if self._backend.type != "cpu":
        suffixes.append(f"device='{self.device}'")
    x = self._backend.to_numpy(self._data)
    usual = self.dtype in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool)
    if x.size == 0:
        if x.ndim != 1:
            suffixes.append(f"size={tuple(x.shape)}")
        usual = self.dtype is dtypes.get_default_dtype()
        body = "[]"
    else:
        if self.dtype is dtypes.bfloat16:
            x = x.astype(np.float32)
        summarize = x.size > options.threshold
        body = _nested(x, len(prefix), summarize, _Formatter(_shown(x) if summarize else x))
    if not usual:
        suffixes.append(f"dtype={self.dtype}")
    if self.grad_fn is not None:
        suffixes.append(f"grad_fn={self.grad_fn}")
    elif self.requires_grad:
        suffixes.append("requires_grad=True")
    return _with_suffixes(prefix + body, suffixes, len(prefix))


def _with_suffixes(text: str, suffixes: list[str], indent: int) -> str:
    """Suffixes go on a line of their own where they would pass the line's width."""
    last = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > options.linewidth:
            text += ",\n" + " " * indent + suffix
            last = indent + len(suffix)
        else:
            text += ", " + suffix
            last += len(suffix) + 2
    return text + ")"
