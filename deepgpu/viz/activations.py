"""What a convolutional network makes of an image: activation maps, first filters, Grad-CAM, class probabilities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from deepgpu.autograd.engine import grad
from deepgpu.autograd.grad_mode import enable_grad
from deepgpu.nn import Conv2d, Module
from deepgpu.tensor import Tensor
from deepgpu.viz.figure import figure


@dataclass(frozen=True)
class Activations:
    """What was seen in one forward and one backward pass.

    Attributes
    ----------
    maps
        Outputs (C, H, W) of the chosen layers by name.
    filters
        The first convolution's weights (K, C, kH, kW).
    cam
        Grad-CAM (H, W) of the last chosen layer, 0 to 1.
    target
        The class that it speaks of.
    probabilities
        Of all classes.
    """

    maps: dict[str, np.ndarray]
    filters: np.ndarray
    cam: np.ndarray
    target: int
    probabilities: np.ndarray


def convolutions(model: Module) -> list[str]:
    """The names of a model's convolutions, in the order in which they are defined."""
    return [name for name, module in model.named_modules() if isinstance(module, Conv2d)]


def activations(
    model: Module, image: Tensor, layers: Sequence[str] | None = None, target: int | None = None
) -> Activations:
    """Run a classifier on an image and look at layers on the way.

    Parameters
    ----------
    model
        Gives logits (N, classes); in evaluation mode for the run.
    image
        ``(C, H, W)``.
    layers
        Names of layers whose output is (N, C, H, W); by default the first, the middle and the last convolution. The
        last named one is the layer of Grad-CAM.
    target
        The class whose evidence Grad-CAM shows; by default the most probable one.

    Raises
    ------
    ValueError
        If there is no such layer, it was not called or its output is no map, or the class is out of range.

    Notes
    -----
    Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): the maps of a layer, weighted with the mean gradient of the
    class's logit with respect to each, summed up, and what is negative cut off.
    """
    known = dict(model.named_modules())
    found = convolutions(model)
    if not found:
        raise ValueError("activations: `model` has no Conv2d, so there are no maps to show")
    chosen = list(layers) if layers else list(dict.fromkeys([found[0], found[len(found) // 2], found[-1]]))
    for name in chosen:
        if name not in known:
            raise ValueError(f"activations: `layers` has {name!r}, which the model does not; it has {', '.join(found)}")
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: Module, args: Any, output: Tensor) -> None:
            kept[name] = output

        return hook

    handles = [known[name].register_forward_hook(keep(name)) for name in chosen]
    was_training = model.training
    model.eval()
    try:
        with enable_grad():
            logits = model(image.detach().unsqueeze(0).requires_grad_())
            for name in chosen:
                if name not in kept or kept[name].ndim != 4:
                    raise ValueError(f"activations: the layer {name!r} gave no maps (N, C, H, W)")
            classes = logits.shape[1]
            wanted = int(logits.argmax(1).item()) if target is None else target
            if not 0 <= wanted < classes:
                raise ValueError(f"activations: `target` takes a class from 0 to {classes - 1}, but got {target}")
            (gradient,) = grad(logits[0, wanted], [kept[chosen[-1]]])
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    assert gradient is not None  # the logits come from this layer
    last = kept[chosen[-1]].detach()
    cam = (gradient.mean((2, 3), keepdim=True) * last).sum(1).relu()[0].cpu().numpy()
    return Activations(
        maps={name: kept[name].detach()[0].cpu().numpy() for name in chosen},
        filters=known[found[0]].weight.detach().cpu().numpy(),
        cam=cam / max(float(cam.max()), 1e-12),
        target=wanted,
        probabilities=logits.detach()[0].softmax(0).cpu().numpy(),
    )


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Maps (K, H, W), each spread over 0 to 1, side by side with a line between."""
    low = tiles.min((1, 2), keepdims=True)
    span = tiles.max((1, 2), keepdims=True) - low
    scaled = (tiles - low) / np.where(span > 0, span, 1)
    columns = min(columns, len(scaled))
    rows = ceil(len(scaled) / columns)
    filled = np.ones((rows * columns, *scaled.shape[1:]))
    filled[: len(scaled)] = scaled
    padded = np.pad(filled, ((0, 0), (0, 1), (0, 1)), constant_values=1)
    _, h, w = padded.shape
    return padded.reshape(rows, columns, h, w).swapaxes(1, 2).reshape(rows * h, columns * w)


def draw_activations(
    seen: Activations,
    image: np.ndarray,
    path: str | os.PathLike[str],
    classes: Sequence[str] = (),
    most: int = 16,
    title: str = "",
) -> None:
    """Draw them: the image with Grad-CAM over it, probabilities, filters, maps of each layer.

    Parameters
    ----------
    seen
        From :func:`activations`.
    image
        As a person sees it: (H, W) or (H, W, 3), 0 to 255.
    path
        Of the picture.
    classes
        Their names.
    most
        How many filters and maps of a layer to show.
    title
        Above the picture.

    Raises
    ------
    MissingMatplotlibError
        If there is no matplotlib.
    """
    columns = 3 + len(seen.maps)
    with figure(path, 1, columns, (2.6 * columns, 3)) as axes:
        photo, bars, filters, *maps = axes[0]
        height, width = image.shape[:2]
        name = _name(classes, seen.target)
        photo.imshow(image, cmap="gray")
        photo.imshow(seen.cam, cmap="jet", alpha=0.4, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        photo.set_title(f"Grad-CAM: {name}", fontsize=8)
        best = seen.probabilities.argsort()[::-1][:5]
        bars.barh(range(len(best)), 100 * seen.probabilities[best])
        bars.set_yticks(range(len(best)), [_name(classes, i) for i in best], fontsize=7)
        bars.invert_yaxis()
        bars.set_title("probabilities (%)", fontsize=8)
        filters.imshow(mosaic(seen.filters.mean(1)[:most], columns=4), cmap="gray")
        filters.set_title("first filters", fontsize=8)
        for axis, (layer, values) in zip(maps, seen.maps.items(), strict=True):
            axis.imshow(mosaic(values[:most], columns=4), cmap="viridis")
            axis.set_title(f"{layer}: {'x'.join(map(str, values.shape))}", fontsize=8)
        for axis in (photo, filters, *maps):
            axis.set_axis_off()
        if title:
            axes[0, 0].figure.suptitle(title, fontsize=9)


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if len(classes) else f"class {index}"
