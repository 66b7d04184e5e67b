"""``deepgpu train``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from deepgpu.cli.options import RUNS, DataRoot, Device, Settings, Workers, arguments

_OF_THE_RECIPE = "Decides the result"
_OF_THE_MACHINE = "Where and how it runs"

Model = Annotated[str | None, typer.Option(help="Default: resnet8.", rich_help_panel=_OF_THE_RECIPE)]
Data = Annotated[
    str | None,
    typer.Option(
        help="fashion-mnist, mnist, cifar10, cifar100, digits or folder:PATH. Default: digits.",
        rich_help_panel=_OF_THE_RECIPE,
    ),
]


def _recipe(help: str, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_OF_THE_RECIPE, **limits)


def _machine(help: str, **limits: Any) -> Any:
    return typer.Option(help=help, rich_help_panel=_OF_THE_MACHINE, **limits)


def train(
    model: Model = None,
    data: Data = None,
    epochs: Annotated[int | None, _recipe("Times through the training set. Default: by data.")] = None,
    batch_size: Annotated[int | None, _recipe("Images a step. Default: by data.")] = None,
    optimizer: Annotated[str | None, _recipe("sgd, adam or adamw. Default: sgd.")] = None,
    lr: Annotated[float | None, _recipe("The highest learning rate. Default: by data.")] = None,
    weight_decay: Annotated[float | None, _recipe("Default: by optimizer.")] = None,
    scheduler: Annotated[str | None, _recipe("onecycle, cosine, step or none. Default: onecycle.")] = None,
    label_smoothing: Annotated[float | None, _recipe("Share of the target spread over all classes.")] = None,
    augment: Annotated[bool | None, _recipe("Random crops and flips. Default: augment.")] = None,
    validation: Annotated[float | None, _recipe("Share held out to choose the best epoch. Default: 0.1.")] = None,
    clip_norm: Annotated[float | None, _recipe("Scale gradients down to this norm.")] = None,
    patience: Annotated[int | None, _recipe("Stop after so many epochs without improvement.")] = None,
    image_size: Annotated[int | None, _recipe("Side of the model's input in pixels. Default: by data.")] = None,
    settings: Settings = None,
    seed: Annotated[int | None, _recipe("Of everything random. Default: 0.")] = None,
    out: Annotated[Path | None, _machine("Folder to write to. Default: runs/MODEL-DATA.")] = None,
    resume: Annotated[
        Path | None, _machine("Go on with the training in this folder, or from this checkpoint.", metavar="PATH")
    ] = None,
    save_every: Annotated[str, _machine("Save a checkpoint so often: seconds (60s) or steps (200).")] = "60s",
    device: Device = "auto",
    workers: Workers = 0,
    data_root: DataRoot = None,
    download: Annotated[bool, _machine("Get the data if it is not here.")] = True,
) -> None:
    """Train a model; stop with Ctrl-C and go on with --resume at any time.

    Writes checkpoints, the best weights, a log (JSON lines and CSV) and the training curves to a folder.
    """
    from deepgpu.train.experiment import Experiment
    from deepgpu.train.recipe import Recipe
    from deepgpu.train.run import Run
    from deepgpu.train.sources import source_of

    given = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "lr": lr,
        "weight_decay": weight_decay,
        "scheduler": scheduler,
        "label_smoothing": label_smoothing,
        "augment": augment,
        "validation": validation,
        "clip_norm": clip_norm,
        "patience": patience,
        "image_size": image_size,
        "model_args": arguments(settings) or None,
        "seed": seed,
    }
    seconds, steps = _interval(save_every)
    start_from: bool | Path = False
    if resume is not None:
        _refuse({"model": model, "data": data, "out": out, **given})
        run, start_from = _resumed(resume)
        recipe = run.recipe
    else:
        source = source_of(data or "digits")
        recipe = Recipe.make(model or "resnet8", data or "digits", given, source.recipe if source else None)
        run = Run(out or _free_folder(recipe))
        if run.config.exists():
            raise FileExistsError(
                f"{run.folder} holds a training; go on with it: deepgpu train --resume {run.folder}; "
                "or choose another --out"
            )
    root = None if data_root is None else str(data_root)
    experiment = Experiment(recipe, device, workers, root, download)
    _introduce(experiment, run)
    experiment.train(run, start_from, save_seconds=seconds, save_steps=steps)
    _conclude(experiment, run)


def _refuse(given: dict[str, Any]) -> None:
    """What decides the result is as it was when the training began."""
    changed = [f"--{name.replace('_', '-').replace('model-args', 'set')}" for name, v in given.items() if v is not None]
    if changed:
        raise ValueError(
            f"{', '.join(changed)} cannot be given with --resume: the training goes on as it began; "
            "leave it away, or begin a new one without --resume"
        )


def _resumed(path: Path) -> tuple[Any, bool | Path]:
    """The run of a folder or of a checkpoint in it, and where to start from."""
    from deepgpu.train.run import Run

    if path.is_file():
        return Run(path.parent.parent), path
    run = Run(path)
    if not run.config.is_file():
        raise FileNotFoundError(f"there is no training to go on with in {path}")
    return run, True


def _interval(text: str) -> tuple[float | None, int | None]:
    """``"60s"`` as (60.0, None), ``"200"`` as (None, 200)."""
    found = re.fullmatch(r"(\d+)(s?)", text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"`--save-every` takes seconds, such as 60s, or steps, such as 200, but got {text!r}")
    number = int(found[1])
    return (float(number), None) if found[2] else (None, number)


def _free_folder(recipe: Any) -> Path:
    name = f"{recipe.model}-{recipe.data.replace('folder:', '').strip('/').rpartition('/')[2]}"
    folders = [RUNS / name, *(RUNS / f"{name}-{i}" for i in range(2, 1000))]
    return next(folder for folder in folders if not folder.exists())


def _introduce(experiment: Any, run: Any) -> None:
    recipe, parts = experiment.recipe, [f"{len(experiment.batches.dataset):,} training"]
    if experiment.validation is not None:
        parts.append(f"{len(experiment.validation.dataset):,} validation")
    if experiment.splits.test is not None:
        parts.append(f"{len(experiment.splits.test):,} test")
    count = sum(p.numel() for p in experiment.model.parameters())
    print(f"{recipe.model} ({count:,} parameters) on {recipe.data}: {', '.join(parts)} images; {experiment.device}")
    print(f"writing to {run.folder}", flush=True)


def _conclude(experiment: Any, run: Any) -> None:
    """Draw the curves, judge the best weights on the test images."""
    from deepgpu.train.experiment import judge
    from deepgpu.train.log import read_log
    from deepgpu.viz import MissingMatplotlibError, training_curves

    recipe = experiment.recipe
    try:
        training_curves(read_log(run.log), run.picture, f"{recipe.model} on {recipe.data}")
        print(f"training curves: {run.picture}")
    except MissingMatplotlibError as missing:
        print(f"no training curves: {missing}")
    path = run.model()[1]
    print(f"weights: {path}")
    if experiment.splits.test is not None:
        found = judge(run, "test", experiment.device, splits=experiment.splits)
        print(f"test accuracy {100 * found.accuracy:.2f} %  loss {found.mean_loss:.4f}  ({found.samples:,} images)")
