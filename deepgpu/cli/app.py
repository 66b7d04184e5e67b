"""The commands, put together."""

from __future__ import annotations

import typer

from deepgpu.cli.activations import activations
from deepgpu.cli.data import data
from deepgpu.cli.evaluate import evaluate
from deepgpu.cli.info import info
from deepgpu.cli.kernels import app as kernels
from deepgpu.cli.predict import predict
from deepgpu.cli.report import reported
from deepgpu.cli.summary import summary
from deepgpu.cli.train import train
from deepgpu.cli.tune import tune

app = typer.Typer(
    name="deepgpu",
    help="Train and look at image classifiers, on our own kernels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command, _name in (
    (train, "train"),
    (evaluate, "eval"),
    (predict, "predict"),
    (summary, "summary"),
    (activations, "activations"),
    (tune, "tune"),
    (data, "data"),
    (info, "info"),
):
    app.command(_name)(reported(_command))
app.add_typer(kernels, name="kernels")


def main() -> None:
    """Run the command line."""
    app()
