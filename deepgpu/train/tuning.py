"""Search for good settings with Optuna: kept in a file, resumed, shared by workers, hopeless trials cut short."""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from deepgpu.train.display import Silence
from deepgpu.train.early_stopping import EarlyStopping
from deepgpu.train.errors import NonFiniteError
from deepgpu.train.experiment import Experiment
from deepgpu.train.recipe import Recipe
from deepgpu.train.trainer import Trainer

HEARTBEAT_SECONDS = 10
"""So often a running trial says that it lives; one that has been silent for twice as long is taken for dead."""


class MissingOptunaError(ImportError):
    """Optuna, or what it is used with, is not installed; the message has the command that installs it."""

    def __init__(self, package: str) -> None:
        super().__init__(f"tuning needs {package}, which is not installed: pip install 'deepgpu[tune]'")


def optuna() -> Any:
    """The package.

    Raises
    ------
    MissingOptunaError
        If it is not installed.
    """
    try:
        import optuna as package
    except ImportError:
        raise MissingOptunaError("optuna") from None
    package.logging.set_verbosity(package.logging.WARNING)
    return package


class _Watch(EarlyStopping):
    """Reports each epoch's score to the trial, and leaves the training when the pruner has seen enough."""

    def __init__(self, trial: Any) -> None:
        super().__init__(patience=10**9)
        self._trial = trial
        self._epoch = 0

    def update(self, score: float) -> bool:
        self._epoch += 1
        self._trial.report(score, self._epoch)
        if self._trial.should_prune():
            raise optuna().TrialPruned(f"after epoch {self._epoch}")
        return super().update(score)


def suggest(trial: Any, recipe: Recipe) -> Recipe:
    """The recipe with what a trial tries: optimizer, learning rate, weight decay, batch size, label smoothing."""
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adamw"])
    low, high = (1e-2, 1.0) if optimizer == "sgd" else (1e-4, 3e-2)
    return replace(
        recipe,
        optimizer=optimizer,
        lr=trial.suggest_float(f"lr_{optimizer}", low, high, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-5, 1e-1, log=True),
        batch_size=trial.suggest_categorical("batch_size", [32, 64, 128]),
        label_smoothing=trial.suggest_float("label_smoothing", 0.0, 0.2),
    )


def _alone_in(folder: Path) -> Any:
    """Keeps other workers from opening the study too: SQLite's tables must not be made twice at the same moment."""
    try:
        from filelock import FileLock
    except ImportError:
        raise MissingOptunaError("filelock") from None
    return FileLock(folder / "study.lock")


def _storage(package: Any, folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", package.exceptions.ExperimentalWarning)  # of heartbeats and what follows them
        return package.storages.RDBStorage(
            f"sqlite:///{folder / 'study.db'}",
            engine_kwargs={"connect_args": {"timeout": 60}},  # until another worker's transaction is over
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=2 * HEARTBEAT_SECONDS,
            heartbeat_stale_trial_callback=package.storages.RetryHeartbeatStaleTrialCallback(max_retry=3),
        )


def open_study(folder: str | os.PathLike[str], recipe: Recipe) -> Any:
    """The study in a folder: the one that is there, whoever made it, or a new one.

    Parameters
    ----------
    folder
        Holds ``study.db``, an SQLite file, and ``study.lock``, which lets workers open it one after the other.
    recipe
        What is tuned. All workers of a study must tune the same.

    Raises
    ------
    ValueError
        If the study in the folder tunes something else.
    """
    package, path = optuna(), Path(folder).resolve()
    path.mkdir(parents=True, exist_ok=True)
    with _alone_in(path):
        study = package.create_study(
            storage=_storage(package, path),
            study_name="deepgpu",
            direction="maximize",
            load_if_exists=True,
            sampler=package.samplers.TPESampler(),  # without a seed: no two workers, nor one that goes on, try the same
            pruner=package.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
        )
        wanted = recipe.to_json()
        there = study.user_attrs.get("recipe")
        if there is None:
            study.set_user_attr("recipe", wanted)
            return study
    if there != wanted:
        name = next(n for n in wanted if there.get(n) != wanted[n])
        raise ValueError(
            f"the study in {folder} has `{name}` {there.get(name)!r}, but got {wanted[name]!r}; choose another --out"
        )
    return study


def tune(study: Any, trials: int, device: Any = "auto", root: str | None = None, after_trial: Any = None) -> None:
    """Try settings until the study has so many complete or pruned trials, whoever made them.

    Parameters
    ----------
    study
        From :func:`open_study`.
    trials
        In all, with those of other workers and of earlier runs. (Workers that finish together may add one each.)
    device, root
        As for :class:`Experiment`.
    after_trial
        Called with the study and the trial.

    Notes
    -----
    A trial whose process died leaves no trace but its settings: they are tried again, from the start, by the next
    worker that begins a trial more than ``2 * HEARTBEAT_SECONDS`` later. A trial whose loss becomes NaN counts as
    pruned.
    """
    package = optuna()
    recipe = Recipe.from_json(study.user_attrs["recipe"])
    done = (package.trial.TrialState.COMPLETE, package.trial.TrialState.PRUNED)

    def objective(trial: Any) -> float:
        experiment = Experiment(suggest(trial, recipe), device, root=root)
        trainer = Trainer(
            experiment.model,
            experiment.optimizer,
            loss=experiment.loss,
            scheduler=experiment.scheduler,
            device=experiment.device,
            clip_norm=recipe.clip_norm,
            early_stopping=_Watch(trial),
            display=Silence(),
        )
        try:
            trainer.fit(experiment.batches, experiment.validation, recipe.epochs)
        except NonFiniteError as error:
            raise package.TrialPruned(str(error)) from None
        assert trainer.position.best is not None
        return trainer.position.best

    def enough(study: Any, trial: Any) -> None:
        if after_trial is not None:
            after_trial(study, trial)
        if len(study.get_trials(deepcopy=False, states=done)) >= trials:
            study.stop()

    if len(study.get_trials(deepcopy=False, states=done)) < trials:
        study.optimize(objective, callbacks=[enough])


def best_recipe(study: Any) -> tuple[Recipe, float]:
    """The best settings so far, and their validation accuracy.

    Raises
    ------
    ValueError
        If no trial is complete.
    """
    recipe = Recipe.from_json(study.user_attrs["recipe"])
    found = study.best_trial
    return suggest(optuna().trial.FixedTrial(found.params), recipe), found.value


def command_of(recipe: Recipe) -> str:
    """The command that trains so."""
    names = ("model", "data", "epochs", "optimizer", "lr", "weight_decay", "batch_size", "label_smoothing", "seed")
    values = asdict(recipe)
    options = [f"--{n.replace('_', '-')} {_short(values[n])}" for n in names]
    return " ".join(["deepgpu train", *options, *(f"--set {k}={v}" for k, v in recipe.model_args.items())])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
