"""What a model consists of: layers, volumes, parameters, multiply-adds, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn import Module
from deepgpu.ops.creation import zeros
from deepgpu.tensor import Tensor


@dataclass(frozen=True)
class LayerSummary:
    """One call of a layer that has no layers in it.

    Attributes
    ----------
    name, kind
        Such as "layer1.0.conv1" and "Conv2d".
    input, output
        Shapes for one sample, without the batch dimension: (C, H, W) of an image.
    parameters
        How many numbers are learnt.
    multiply_adds
        For one sample: of convolutions and linear layers; 0 for layers without weights and for norms.
    output_bytes
        New memory for the output, for one sample: none for a layer that works in place.
    weight
        The weight's shape, or ().
    """

    name: str
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    output_bytes: int
    weight: tuple[int, ...]

    @property
    def volume(self) -> str:
        """The output as height x width x channels, or its size if it is flat."""
        if len(self.output) == 3:
            channels, height, width = self.output
            return f"{height}x{width}x{channels}"
        return "x".join(map(str, self.output))


@dataclass(frozen=True)
class Summary:
    """All layers of a model in the order in which they are called, and totals.

    Attributes
    ----------
    layers
        One entry a call: a layer that is called twice stands there twice, the second time without parameters.
    parameters, trainable
        Numbers in all parameters, and in those that require grad.
    parameter_bytes, buffer_bytes
        Memory of parameters and buffers.
    """

    layers: list[LayerSummary]
    parameters: int
    trainable: int
    parameter_bytes: int
    buffer_bytes: int

    @property
    def multiply_adds(self) -> int:
        """Of one sample's forward pass."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def flops(self) -> int:
        """Floating-point operations of one sample's forward pass: two for each multiply-add."""
        return 2 * self.multiply_adds

    @property
    def activation_bytes(self) -> int:
        """All layers' outputs for one sample, most of which training keeps for the backward pass."""
        return sum(layer.output_bytes for layer in self.layers)


def summarize(model: Module, input_size: Sequence[int]) -> Summary:
    """Run a model on a batch of no samples and note each layer.

    Parameters
    ----------
    model
        In evaluation mode for the run.
    input_size
        The shape of one sample, such as (3, 224, 224).

    Raises
    ------
    RuntimeError
        If the model does not take inputs of this size.
    """
    names = {id(m): name or type(m).__name__ for name, m in model.named_modules()}
    layers: list[LayerSummary] = []
    counted: set[int] = set()

    def note(module: Module, args: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or not args or not isinstance(args[0], Tensor):
            return
        own = [p for p in module.parameters(recurse=False) if id(p) not in counted]
        counted.update(id(p) for p in own)
        weight = getattr(module, "weight", None)
        shape = tuple(weight.shape) if isinstance(weight, Tensor) else ()
        result = tuple(output.shape[1:])
        layers.append(
            LayerSummary(
                name=names[id(module)],
                kind=type(module).__name__,
                input=tuple(args[0].shape[1:]),
                output=result,
                parameters=sum(p.numel() for p in own),
                multiply_adds=_multiply_adds(module, shape, tuple(args[0].shape[1:]), result),
                output_bytes=0 if getattr(module, "inplace", False) else prod(result) * output.element_size(),
                weight=shape,
            )
        )

    leaves = [m for m in model.modules() if not any(True for _ in m.children())]
    handles = [m.register_forward_hook(note) for m in leaves]
    was_training = model.training
    model.eval()
    parameters = list(model.parameters())
    like = parameters[0] if parameters else zeros(0)
    try:
        with no_grad():
            model(zeros(0, *input_size, dtype=like.dtype, device=like.device))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return Summary(
        layers,
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        sum(p.nbytes for p in parameters),
        sum(b.nbytes for b in model.buffers()),
    )


def _multiply_adds(module: Module, weight: tuple[int, ...], input: tuple[int, ...], output: tuple[int, ...]) -> int:
    """Each output of a convolution or a linear layer sums up products with the weights that lead to it."""
    if len(weight) < 2:
        return 0
    if type(module).__name__.startswith("ConvTranspose"):  # each input goes into all outputs it leads to
        return prod(input) * prod(weight[1:])
    return prod(output) * prod(weight[1:])
