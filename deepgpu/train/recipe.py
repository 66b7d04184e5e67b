"""What a training does: everything that decides its result, as plain values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

OPTIMIZERS = {
    "sgd": {"lr": 0.1, "weight_decay": 5e-4},
    "adam": {"lr": 1e-3, "weight_decay": 0.0},
    "adamw": {"lr": 1e-3, "weight_decay": 1e-2},
}
"""What they start from unless told otherwise. SGD has Nesterov's momentum of 0.9."""

SCHEDULERS = ("onecycle", "cosine", "step", "none")


@dataclass(frozen=True)
class Recipe:
    """The settings of a training.

    Attributes
    ----------
    model, model_args
        A name that ``get_model`` knows, and its arguments.
    data
        "fashion-mnist", "mnist", "cifar10", "cifar100", "digits" or "folder:PATH".
    epochs
        Times through the training set.
    batch_size
        Images a step. The last batch of an epoch is dropped if it is smaller.
    optimizer
        "sgd" (Nesterov's momentum 0.9), "adam" or "adamw".
    lr
        The highest learning rate.
    weight_decay
        Of all parameters.
    scheduler
        "onecycle": up from lr / 25 during the first 30 % of the steps, then down to next to nothing (Smith & Topin,
        arXiv 1708.07120). "cosine": down to 0. "step": a tenth at half and at three quarters. "none".
    label_smoothing
        Share of the target that is spread over all classes.
    augment
        Random crops and flips (where a mirror image is of the same class).
    validation
        The share of the training set that is held out to choose the best epoch.
    clip_norm
        Scale gradients down to this norm; None for never.
    patience
        Stop after so many epochs without improvement; None for never.
    image_size
        Side of the model's input in pixels; None for the data's own, or what the model is made for.
    seed
        Of everything random.
    """

    model: str
    data: str
    model_args: dict[str, Any] = field(default_factory=dict)
    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float = 0.1
    weight_decay: float = 5e-4
    scheduler: str = "onecycle"
    label_smoothing: float = 0.0
    augment: bool = True
    validation: float = 0.1
    clip_norm: float | None = None
    patience: int | None = None
    image_size: int | None = None
    seed: int = 0

    @staticmethod
    def make(model: str, data: str, given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Recipe:
        """A recipe from what was given, then what is good for the data, then what is good for the optimizer.

        Parameters
        ----------
        given
            Values by name; None for those that were not given.
        defaults
            Values that are good for the data with SGD.

        Raises
        ------
        ValueError
            If a value is out of range; the message says what it takes.
        """
        chosen = {name: value for name, value in given.items() if value is not None}
        optimizer = chosen.get("optimizer", "sgd")
        _check(optimizer in OPTIMIZERS, "optimizer", f"one of {', '.join(OPTIMIZERS)}", optimizer)
        own = dict(defaults or {})
        if optimizer != "sgd":
            own = {name: value for name, value in own.items() if name not in ("lr", "weight_decay")}
        recipe = Recipe(model, data, **{**OPTIMIZERS[optimizer], **own, **chosen})
        recipe.check()
        return recipe

    def check(self) -> None:
        """Raise ValueError if a value is out of range."""
        _check(self.scheduler in SCHEDULERS, "scheduler", f"one of {', '.join(SCHEDULERS)}", self.scheduler)
        for name in ("epochs", "batch_size"):
            _check(getattr(self, name) >= 1, name, "a number from 1", getattr(self, name))
        _check(self.lr > 0, "lr", "a number above 0", self.lr)
        _check(self.weight_decay >= 0, "weight_decay", "a number from 0", self.weight_decay)
        _check(0 <= self.label_smoothing < 1, "label_smoothing", "a share from 0 to below 1", self.label_smoothing)
        _check(0 <= self.validation < 1, "validation", "a share from 0 to below 1", self.validation)
        _check(self.clip_norm is None or self.clip_norm > 0, "clip_norm", "a number above 0", self.clip_norm)
        _check(self.patience is None or self.patience >= 1, "patience", "a number from 1", self.patience)
        _check(self.image_size is None or self.image_size >= 1, "image_size", "a number from 1", self.image_size)

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Recipe:
        """The recipe that was written to a file.

        Raises
        ------
        ValueError
            If it has an unknown setting.
        """
        known = [f.name for f in fields(Recipe)]
        for name in values:
            if name not in known:
                alike = difflib.get_close_matches(name, known, n=1)
                raise ValueError(
                    f"unknown setting {name!r} in a recipe" + (f"; did you mean {alike[0]!r}?" if alike else "")
                )
        return Recipe(**values)


def _check(right: bool, name: str, expected: str, actual: Any) -> None:
    if not right:
        raise ValueError(f"`{name}` takes {expected}, but got {actual!r}")
