"""Initial values of parameters. Every function fills a tensor in place, outside of the graph, and returns it."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.errors import takes
from deepgpu.ops.creation import from_numpy
from deepgpu.random import Generator, default_generator
from deepgpu.tensor import Tensor

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity's weights grow so that variances stay.

    Parameters
    ----------
    nonlinearity
        ``"linear"``, ``"conv2d"``, ``"sigmoid"``: 1; ``"tanh"``: 5/3; ``"relu"``: sqrt(2); ``"selu"``: 3/4;
        ``"leaky_relu"``: sqrt(2 / (1 + slope^2)).
    param
        The negative slope of ``"leaky_relu"``, 0.01 unless given.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs reach an output, and how many outputs an input reaches."""
    if tensor.dim() < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    out, into = tensor.shape[:2]
    window = math.prod(tensor.shape[2:])
    return into * window, out * window


def _fan(tensor: Tensor, mode: str) -> int:
    fans = dict(zip(("fan_in", "fan_out"), _calculate_fan_in_and_fan_out(tensor), strict=True))
    if mode.lower() not in fans:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(fans)}")
    return fans[mode.lower()]


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in [a, b)."""
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal."""
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal, with values outside of [a, b] drawn again.

    Notes
    -----
    Rejection sampling from the normal or the uniform distribution, whichever is refused more rarely (Robert,
    "Simulation of truncated normal variables", arXiv 0907.4010).
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    low, high = (a - mean) / std, (b - mean) / std
    nearest = min(max(0.0, low), high)  # where the density is largest
    mass = 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))
    uniform_kept = mass * math.sqrt(2 * math.pi) * math.exp(nearest**2 / 2) / (high - low) if high > low else 1.0
    rng = (generator or default_generator).numpy
    found: list[np.ndarray] = []
    lacking = tensor.numel()
    while lacking:
        if mass > uniform_kept:
            x = rng.standard_normal(2 * lacking)
            x = x[(x >= low) & (x <= high)]
        else:
            x = rng.uniform(low, high, 2 * lacking)
            x = x[rng.random(x.size) <= np.exp((nearest**2 - x**2) / 2)]
        found.append(x[:lacking])
        lacking -= found[-1].size
    values = np.concatenate(found) if found else np.zeros(0)
    return _take(tensor, np.clip(values * std + mean, a, b).reshape(tensor.shape))


def _take(tensor: Tensor, values: np.ndarray) -> Tensor:
    return tensor.copy_(from_numpy(np.ascontiguousarray(values)))


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """All ``val``."""
    return tensor.fill_(val)


@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """All 1."""
    return tensor.fill_(1.0)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """All 0."""
    return tensor.zero_()


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix."""
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _take(tensor, np.eye(*tensor.shape))


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution weight that passes the input's channels through, as many as there are.

    Parameters
    ----------
    tensor
        ``(out_channels, in_channels / groups, ...)`` with 1 to 3 spatial dimensions
    groups
        Do so in each group.
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups:
        raise ValueError("dim 0 must be divisible by groups")
    out = tensor.shape[0] // groups
    values = np.zeros(tensor.shape)
    centre = tuple([n // 2 for n in tensor.shape[2:]])
    for group in range(groups):
        for c in range(min(out, tensor.shape[1])):
            values[(group * out + c, c, *centre)] = 1
    return _take(tensor, values)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in [-a, a] with ``a = gain sqrt(6 / (fan_in + fan_out))``.

    Notes
    -----
    Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal with ``std = gain sqrt(2 / (fan_in + fan_out))``; see :func:`xavier_uniform_`."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / float(sum(_calculate_fan_in_and_fan_out(tensor))))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform in [-b, b] with ``b = gain sqrt(3 / fan)``.

    Parameters
    ----------
    a
        The negative slope, for the gain of ``"leaky_relu"``.
    mode
        ``"fan_in"`` keeps variances in the forward pass, ``"fan_out"`` in the backward pass.
    nonlinearity
        What follows the layer, for :func:`calculate_gain`.

    Notes
    -----
    He et al., arXiv 1502.01852.
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal with ``std = gain / sqrt(fan)``; arguments as for :func:`kaiming_uniform_`."""
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Orthonormal rows or columns (whichever are fewer) times ``gain``; dimensions behind the first are flattened.

    Notes
    -----
    Saxe et al., arXiv 1312.6120. The Q of a QR decomposition is uniform if its columns take the signs of R's diagonal
    (Mezzadri, arXiv math-ph/0609050).
    """
    if tensor.dim() < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    drawn = (generator or default_generator).numpy.standard_normal((rows, tensor.numel() // rows))
    wide = drawn.shape[0] < drawn.shape[1]
    q, r = np.linalg.qr(drawn.T if wide else drawn)
    q *= np.sign(np.diag(r))
    return _take(tensor, gain * (q.T if wide else q).reshape(tensor.shape))


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """A matrix of normal numbers, in each column of which the share ``sparsity`` is 0.

    Notes
    -----
    Martens 2010, "Deep learning via Hessian-free optimization".
    """
    if tensor.dim() != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    if not 0 <= sparsity <= 1:
        raise ValueError(takes("sparse_", "sparsity", "a share in [0, 1]", sparsity))
    rng: Any = (generator or default_generator).numpy
    rows, columns = tensor.shape
    values = rng.standard_normal((rows, columns)) * std
    for column in range(columns):
        values[rng.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _take(tensor, values)
