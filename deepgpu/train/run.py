"""The folder of a training: its recipe, log, checkpoints, best weights, picture."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from deepgpu.nn import Module
from deepgpu.serialization import load_tensors, replacing
from deepgpu.train.checkpoint import Checkpoints
from deepgpu.train.image_input import ImageInput
from deepgpu.train.recipe import Recipe
from deepgpu.vision.models import get_model


class Run:
    """A folder that a training writes to.

    Parameters
    ----------
    folder
        Where it is, or will be.

    Attributes
    ----------
    config, log, best, picture
        Paths of the recipe with everything needed to use the model, of the log, of the best weights, of the curves.
    checkpoints
        From which the training goes on.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.config = self.folder / "config.json"
        self.log = self.folder / "log.jsonl"
        self.best = self.folder / "best.safetensors"
        self.picture = self.folder / "curves.png"
        self.checkpoints = Checkpoints(self.folder / "checkpoints")

    def write(self, recipe: Recipe, image: ImageInput, classes: list[str]) -> None:
        """Write down what is trained, on which images."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"recipe": recipe.to_json(), "image": vars(image), "classes": classes}
        with replacing(self.config) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")

    def _read(self) -> dict[str, Any]:
        if not self.config.is_file():
            raise FileNotFoundError(f"{self.folder} is no folder of a training: it has no {self.config.name}")
        try:
            return json.loads(self.config.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.config} is damaged: {error}") from None

    @property
    def recipe(self) -> Recipe:
        """What is trained."""
        return Recipe.from_json(self._read()["recipe"])

    @property
    def image(self) -> ImageInput:
        """What the model takes."""
        found = self._read()["image"]
        return ImageInput(**{**found, "mean": tuple(found["mean"]), "std": tuple(found["std"])})

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return self._read()["classes"]

    def model(self) -> tuple[Module, Path]:
        """The model with the best weights, or, if none were kept, those of the newest checkpoint; and their file.

        Raises
        ------
        FileNotFoundError
            If nothing was saved yet.
        CorruptFileError, CorruptCheckpointError
            If the file is damaged.
        """
        recipe = self.recipe
        model = build_model(recipe, self.image, len(self.classes))
        if self.best.is_file():
            model.load_state_dict(load_tensors(self.best)[0])
            return model.eval(), self.best
        path, state = self.checkpoints.read()
        model.load_state_dict(state["model"])
        return model.eval(), path


def build_model(recipe: Recipe, image: ImageInput, classes: int) -> Module:
    """The recipe's model, with its random start."""
    from deepgpu.vision.models import is_classifier, is_small

    if not is_classifier(recipe.model):
        raise ValueError(
            f"{recipe.model} gives maps, not classes; train it with your own loop or `deepgpu.train.Trainer`"
        )
    channels = {"in_channels": image.channels} if is_small(recipe.model) else {}
    return get_model(recipe.model, **{"num_classes": classes, **channels, **recipe.model_args})
