"""``deepgpu activations``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deepgpu.cli.options import Device, Settings, arguments


def activations(
    model: Annotated[str, typer.Argument(help="The folder of a training, or a model's name such as vgg16.")],
    image: Annotated[Path, typer.Argument(help="An image file.")],
    weights: Annotated[
        Path | None, typer.Option(help="State dict for a model given by name; without it the weights are random.")
    ] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="A layer to show, such as layer1.0.conv1; may be repeated.")
    ] = None,
    target: Annotated[
        int | None, typer.Option(help="The class Grad-CAM speaks of. Default: the most probable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("activations.png"),
    invert: Annotated[
        bool, typer.Option(help="Swap black and white: Fashion-MNIST and MNIST are light on black.")
    ] = False,
    settings: Settings = None,
    device: Device = "auto",
) -> None:
    """Picture what a model makes of an image: activation maps, first filters, Grad-CAM, class probabilities."""
    import numpy as np

    from deepgpu.cli.predict import _opened
    from deepgpu.train.device import choose_device
    from deepgpu.viz.activations import activations as look, draw_activations

    net, transform, classes, title = _model(model, weights, arguments(settings))
    chosen = choose_device(device)
    photo = _opened(image, invert)
    tensor = transform(photo).to(chosen)
    seen = look(net.to(chosen), tensor, layer, target)
    shown = photo.resize((tensor.shape[2], tensor.shape[1]))
    draw_activations(seen, np.asarray(shown), out, classes, title=title)
    for name, values in seen.maps.items():
        print(f"{name:24} {'x'.join(map(str, values.shape))}")
    for i in seen.probabilities.argsort()[::-1][:3]:
        print(f"{classes[i] if classes else f'class {i}':24} {100 * seen.probabilities[i]:.1f} %")
    print(f"picture: {out}")


def _model(model: str, weights: Path | None, settings: dict[str, Any]) -> tuple[Any, Any, list[str], str]:
    from deepgpu.train.image_input import ImageInput
    from deepgpu.train.run import Run
    from deepgpu.vision.models import get_model

    if (Path(model) / "config.json").is_file():
        if weights is not None or settings:
            raise ValueError("`--weights` and `--set` are for models given by name; a training has its own")
        run = Run(model)
        return run.model()[0], run.image.for_file(), run.classes, run.recipe.model
    net = get_model(model, **settings, **({} if weights is None else {"weights": weights}))
    title = model if weights is not None else f"{model} with random weights"
    return net.eval(), ImageInput.of(None, model, None).for_file(), [], title
