"""Weights computed from other parameters before each call: weight and spectral normalization."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn import functional as F
from deepgpu.nn.modules.module import Module
from deepgpu.nn.parameter import Parameter
from deepgpu.ops.sampling import randn
from deepgpu.ops.vector_norm import norm
from deepgpu.tensor import Tensor


def norm_except_dim(v: Tensor, dim: int | None) -> Tensor:
    """The norm over all dimensions but one, which are kept as size 1; over all if ``dim`` is None."""
    if dim is None or dim == -1:
        return norm(v)
    dims = [d for d in range(v.dim()) if d != dim]
    return norm(v, 2, dims, True) if dims else v.abs()


class WeightNorm:
    """The hook of :func:`weight_norm`."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = dim

    def compute_weight(self, module: Module) -> Tensor:
        """``g v / |v|``"""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


class SpectralNorm:
    """The hook of :func:`spectral_norm`."""

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.eps = eps
        self.dim = dim

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight with one dimension as rows and all others as columns."""
        w = weight.movedim(self.dim, 0)
        return w.reshape(w.shape[0], -1)

    def compute_weight(self, module: Module, iterate: bool) -> Tensor:
        """The weight divided by its largest singular value."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        w = self.matrix(weight)
        if iterate:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(w.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(w.mv(v), dim=0, eps=self.eps))
        # copies: the next call changes the vectors, before the gradient of this one may be taken
        sigma = u.clone().dot(w.mv(v.clone()))
        return weight / sigma

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, iterate=module.training))


def _hooks(module: Module, kind: type, name: str) -> list[int]:
    """The numbers of a module's hooks of that kind for a parameter."""
    found = module._forward_pre_hooks.items()
    return [k for k, h in found if isinstance(h.function, kind) and getattr(h.function, "name", None) == name]


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace a weight by its length ``name_g`` and its direction ``name_v`` (Salimans & Kingma, arXiv 1602.07868).

    Parameters
    ----------
    name
        Which parameter.
    dim
        Each position of this dimension has a length of its own; None for one length.

    Raises
    ------
    RuntimeError
        If the parameter is normalized already.
    """
    if _hooks(module, WeightNorm, name):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = WeightNorm(name, dim)
    weight = getattr(module, name)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight, dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again."""
    found = _hooks(module, WeightNorm, name)
    if not found:
        raise ValueError(f"weight_norm of {name!r} not found in {module}")
    hook: Any = module._forward_pre_hooks.pop(found[0]).function
    weight = hook.compute_weight(module).detach()
    delattr(module, name)
    del module._parameters[f"{name}_g"], module._parameters[f"{name}_v"]
    module.register_parameter(name, Parameter(weight))
    return module


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divide a weight by its largest singular value, estimated by power iterations (arXiv 1802.05957).

    Parameters
    ----------
    name
        Which parameter.
    n_power_iterations
        In each call in training.
    eps
        The smallest norm to divide by.
    dim
        The dimension of the outputs: 0, or 1 for transposed convolutions.
    """
    if _hooks(module, SpectralNorm, name):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if n_power_iterations <= 0:
        raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    hook = SpectralNorm(name, n_power_iterations, eps, dim)
    weight = getattr(module, name)
    rows, cols = hook.matrix(weight.detach()).shape
    del module._parameters[name]
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    for part, size in (("u", rows), ("v", cols)):
        start = F.normalize(randn(size, dtype=weight.dtype, device=weight.device), dim=0, eps=eps)
        module.register_buffer(f"{name}_{part}", start)
    with no_grad():
        for _ in range(15):  # PyTorch's number of iterations from a random start
            hook.compute_weight(module, iterate=True)
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight a parameter again."""
    found = _hooks(module, SpectralNorm, name)
    if not found:
        raise ValueError(f"spectral_norm of {name!r} not found in {module}")
    hook: Any = module._forward_pre_hooks.pop(found[0]).function
    weight = hook.compute_weight(module, iterate=False).detach()
    delattr(module, name)
    del module._parameters[f"{name}_orig"]
    for part in ("u", "v"):
        del module._buffers[f"{name}_{part}"]
    module.register_parameter(name, Parameter(weight))
    return module
