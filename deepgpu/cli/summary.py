"""``deepgpu summary``."""

from __future__ import annotations

from typing import Annotated

import typer

from deepgpu.cli.options import Settings, arguments, image_size


def summary(
    model: Annotated[str, typer.Argument(help="Such as resnet18; an unknown name lists those there are.")],
    input: Annotated[str | None, typer.Option(help="Of one image. Default: what the model is made for.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time, for the memory.")] = 1,
    settings: Settings = None,
) -> None:
    """A model's layers: output volumes, parameters, floating-point operations, memory."""
    from rich.console import Console
    from rich.table import Table

    from deepgpu.vision.models import design_size, get_model
    from deepgpu.viz import summarize

    made = get_model(model, **arguments(settings))
    size = image_size(input or "3x{0}x{0}".format(design_size(model)))
    found = summarize(made, size)
    table = Table(title=f"{model}, input {_volume(size)}", title_justify="left", row_styles=("", "dim"))
    for heading in ("layer", "type"):
        table.add_column(heading, no_wrap=True)
    for heading in ("output", "weight", "parameters", "MFLOP", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in found.layers:
        table.add_row(
            layer.name,
            layer.kind,
            layer.volume,
            "x".join(map(str, layer.weight)) if len(layer.weight) > 1 else "",
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{2 * layer.multiply_adds / 1e6:,.1f}" if layer.multiply_adds else "",
            _bytes(batch * layer.output_bytes) if layer.output_bytes else "",
        )
    console = Console()
    if not console.is_terminal:
        console = Console(width=200)  # a pipe or a file has no width; do not cut the table
    console.print(table)
    gradients = 2 * found.parameter_bytes  # and SGD's momentum
    training = found.parameter_bytes + gradients + found.buffer_bytes + batch * found.activation_bytes
    print(f"parameters        {found.parameters:,} ({_bytes(found.parameter_bytes)}), trainable {found.trainable:,}")
    print(
        f"operations        {found.flops / 1e9:,.3f} GFLOP an image ({found.multiply_adds / 1e9:,.3f} G multiply-adds)"
    )
    print(f"activations       {_bytes(batch * found.activation_bytes)} for a batch of {batch}")
    print(f"training, roughly {_bytes(training)}: parameters, gradients, momentum, activations")


def _volume(size: tuple[int, ...]) -> str:
    return f"{size[1]}x{size[2]}x{size[0]}" if len(size) == 3 else "x".join(map(str, size))


def _bytes(n: int) -> str:
    value: float = n
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"
