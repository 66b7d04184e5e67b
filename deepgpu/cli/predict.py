"""``deepgpu predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import deepgpu
from deepgpu.cli.options import Device, newest_run


def predict(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    run: Annotated[Path | None, typer.Option(help="Folder of a training. Default: the newest in runs/.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 3,
    invert: Annotated[
        bool, typer.Option(help="Swap black and white: Fashion-MNIST and MNIST are light on black.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Use this model with --weights instead of a training.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Its state dict, such as torchvision's.")] = None,
    device: Device = "auto",
) -> None:
    """The classes of images, with probabilities."""
    from deepgpu.train.device import choose_device

    net, transform, classes = _from_weights(model, weights) if model or weights else _from_run(run)
    chosen = choose_device(device)
    net = net.to(chosen)
    batch = deepgpu.stack([transform(_opened(path, invert)) for path in images])
    with deepgpu.no_grad():
        probabilities = net(batch.to(chosen)).softmax(1).cpu().numpy()
    for path, p in zip(images, probabilities, strict=True):
        best = p.argsort()[::-1][:top]
        print(f"{path}: " + ", ".join(f"{classes[i] if classes else f'class {i}'} {100 * p[i]:.1f} %" for i in best))


def _from_run(folder: Path | None) -> tuple[Any, Any, list[str]]:
    from deepgpu.train.run import Run

    run = Run(folder or newest_run())
    return run.model()[0], run.image.for_file(), run.classes


def _from_weights(model: str | None, weights: Path | None) -> tuple[Any, Any, list[str]]:
    """A model as it was trained on ImageNet or the like, whose class names the file does not tell."""
    from deepgpu.serialization import load
    from deepgpu.train.image_input import ImageInput
    from deepgpu.vision.models import get_model

    if model is None or weights is None:
        raise ValueError("`--model` and `--weights` go together")
    state = load(weights, map_location="cpu")
    outputs = next(reversed([t for t in state.values() if t.ndim == 2]), None)
    if outputs is None:
        raise ValueError(f"{weights} has no linear layer to tell the number of classes")
    net = get_model(model, num_classes=len(outputs), weights=weights)
    return net.eval(), ImageInput.of(None, model, None).for_file(), []


def _opened(path: Path, invert: bool) -> Any:
    from deepgpu.vision.transforms.functional.image import pillow

    module = pillow()
    if not path.is_file():
        raise FileNotFoundError(f"there is no image file {path}")
    try:
        with open(path, "rb") as file:
            image = module.open(file).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} is no image, or damaged: {error}") from None
    return image.point(lambda value: 255 - value) if invert else image
