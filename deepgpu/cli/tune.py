"""``deepgpu tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from deepgpu.cli.options import RUNS, DataRoot, Device, Settings, arguments


def tune(
    model: Annotated[str, typer.Option(help="Such as resnet8.")] = "resnet8",
    data: Annotated[str, typer.Option(help="As for train.")] = "digits",
    trials: Annotated[int, typer.Option(min=1, help="Complete and pruned ones, of all workers and runs.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Of each trial.")] = 5,
    validation: Annotated[float, typer.Option(help="Share held out to judge the trials.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Of the weights and the data's order.")] = 0,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the study. Default: runs/tune-MODEL-DATA.")] = None,
    device: Device = "auto",
    data_root: DataRoot = None,
) -> None:
    """Search for good settings: optimizer, learning rate, weight decay, batch size, label smoothing.

    The study is a file, study.db in its folder. The same command goes on with it, after kill -9 too, and started a
    second time meanwhile it is a second worker. Hopeless trials are cut short. Its pictures are drawn at the end.
    """
    from deepgpu.train.recipe import Recipe
    from deepgpu.train.sources import source_of
    from deepgpu.train.tuning import best_recipe, command_of, open_study, tune as search

    source = source_of(data)
    given = {"epochs": epochs, "validation": validation, "seed": seed, "model_args": arguments(settings) or None}
    recipe = Recipe.make(model, data, given, source.recipe if source else None)
    if validation == 0:
        raise ValueError("`--validation` takes a share above 0: trials are judged by it")
    folder = out or RUNS / f"tune-{model}-{data.replace('folder:', '').strip('/').rpartition('/')[2]}"
    study = open_study(folder, recipe)
    print(f"study in {folder}: {len(study.trials)} trials so far", flush=True)
    search(study, trials, device, None if data_root is None else str(data_root), _tell)
    best, score = best_recipe(study)
    print(f"best validation accuracy {100 * score:.2f} % by trial {study.best_trial.number}")
    for path in _draw(study, folder):
        print(f"picture: {path}")
    print(f"train so: {command_of(best)}")


def _tell(study: Any, trial: Any) -> None:
    score = "" if trial.value is None else f"{100 * trial.value:.2f} %  "
    values = ", ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in trial.params.items())
    print(f"trial {trial.number:3}  {trial.state.name.lower():8}  {score}{values}", flush=True)


def _draw(study: Any, folder: Path) -> list[Path]:
    """Optuna's plots."""
    import warnings

    from deepgpu.train.tuning import optuna

    package = optuna()
    plots = package.visualization.matplotlib
    wanted = ["optimization_history", "intermediate_values", "parallel_coordinate"]
    if len(study.get_trials(states=[package.trial.TrialState.COMPLETE])) >= 4:
        wanted.append("param_importances")
    drawn = []
    for name in wanted:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that these plots are experimental
            axes = getattr(plots, f"plot_{name}")(study)
        path = folder / f"{name}.png"
        axes.figure.savefig(path, dpi=100, bbox_inches="tight")
        drawn.append(path)
    return drawn
