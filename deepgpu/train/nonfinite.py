"""Where a NaN or an infinity comes from."""

from __future__ import annotations

from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn import Module
from deepgpu.tensor import Tensor


def is_finite(t: Tensor) -> bool:
    """Whether all elements are finite numbers."""
    return not t.is_floating_point() or bool(t.detach().isfinite().all())


def nonfinite_parameter(model: Module) -> str | None:
    """The name of the first parameter or buffer that holds a NaN or an infinity, or None."""
    return next((name for name, t in model.state_dict().items() if not is_finite(t)), None)


def first_nonfinite(model: Module, inputs: Tensor) -> tuple[str | None, str]:
    """Run a batch again and find the first layer that makes a NaN or an infinity of finite numbers.

    Parameters
    ----------
    model
        In the mode and with the parameters it had when the loss was not finite. Its buffers are the same afterwards.
    inputs
        The batch.

    Returns
    -------
    layer, explanation
        The layer's name, or None if it was none: the inputs, or the loss function.
    """
    if not is_finite(inputs):
        return None, "the batch itself holds values that are not finite; look at the data and its transforms"
    names = {id(m): name or "the model" for name, m in model.named_modules()}
    found: list[tuple[str, str]] = []

    def look(module: Module, args: Any, output: Any) -> None:
        if found or (isinstance(output, Tensor) and is_finite(output)):
            return
        name, kind = names[id(module)], type(module).__name__
        for key, p in module.named_parameters(recurse=False):
            if not is_finite(p):
                found.append((name, f"the {key} of layer `{name}` ({kind}) is not finite: a step before has spoilt it"))
                return
        for key, b in module.named_buffers(recurse=False):
            if not is_finite(b):
                found.append((name, f"the {key} of layer `{name}` ({kind}) is not finite"))
                return
        found.append((name, f"the first layer whose output is not finite is `{name}` ({kind})"))

    buffers = [(b, b.detach().clone()) for b in model.buffers()]
    handles = [m.register_forward_hook(look) for m in model.modules()]
    try:
        with no_grad():
            model(inputs)
    finally:
        for handle in handles:
            handle.remove()
        with no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    if found:
        return found[0]
    return None, "all outputs are finite: the loss function itself gave it"
