"""A recipe carried out: data, model, optimizer, schedule, training, test."""

from __future__ import annotations

import os
from typing import Any

from deepgpu import optim
from deepgpu.nn import CrossEntropyLoss, Module
from deepgpu.random import Generator
from deepgpu.train.data import Splits, open_data
from deepgpu.train.device import choose_device
from deepgpu.train.display import Silence
from deepgpu.train.early_stopping import EarlyStopping
from deepgpu.train.evaluate import evaluate
from deepgpu.train.image_input import ImageInput
from deepgpu.train.metrics import Totals
from deepgpu.train.randomness import seed_all
from deepgpu.train.recipe import Recipe
from deepgpu.train.run import Run, build_model
from deepgpu.train.sources import source_of
from deepgpu.train.split import holdout
from deepgpu.train.trainer import Trainer
from deepgpu.utils.data import DataLoader, Subset

EVALUATION_BATCH = 500
PARTS = ("test", "validation", "train")


class Experiment:
    """Everything that a recipe speaks of, made.

    Parameters
    ----------
    recipe
        What to do.
    device
        "auto" is the GPU if there is one.
    workers
        Processes that load images; 0 loads in this one.
    root, download
        Where the data's files are, and whether to get them.

    Attributes
    ----------
    image, splits
        What the model takes, and the data.
    model, optimizer, scheduler, loss
        As the recipe has it.
    batches, validation
        Loaders; None for validation if nothing is held out.
    """

    def __init__(
        self,
        recipe: Recipe,
        device: Any = "auto",
        workers: int = 0,
        root: str | None = None,
        download: bool = False,
    ) -> None:
        self.recipe = recipe
        self.device = choose_device(device)
        self.workers = workers
        self.image = ImageInput.of(source_of(recipe.data), recipe.model, recipe.image_size)
        self.splits: Splits = open_data(recipe.data, self.image, recipe.augment, root, download)
        seed_all(recipe.seed)
        self.model = build_model(recipe, self.image, len(self.splits.classes)).to(self.device)
        training, held_out = holdout(len(self.splits.train), recipe.validation, recipe.seed)
        self.batches = DataLoader(
            Subset(self.splits.train, training),
            recipe.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            generator=Generator().manual_seed(recipe.seed),
        )
        if not len(self.batches):
            raise ValueError(
                f"`batch_size` takes at most the {len(training)} training images (of {len(self.splits.train)}, "
                f"{len(held_out)} are held out for validation), but got {recipe.batch_size}"
            )
        self.validation = self._loader(Subset(self.splits.plain, held_out)) if held_out else None
        self.loss = _loss(recipe)
        self.optimizer = _optimizer(recipe, self.model)
        self.scheduler = _scheduler(recipe, self.optimizer, recipe.epochs * len(self.batches))

    def _loader(self, images: Any) -> DataLoader[Any]:
        return DataLoader(images, EVALUATION_BATCH, num_workers=self.workers)

    def train(
        self,
        run: Run,
        resume: bool | str | os.PathLike[str] = False,
        display: Silence | None = None,
        save_seconds: float | None = 60.0,
        save_steps: int | None = None,
    ) -> Trainer:
        """Train, and write everything to the run's folder. For the arguments and errors see :meth:`Trainer.fit`."""
        patience = self.recipe.patience
        trainer = Trainer(
            self.model,
            self.optimizer,
            loss=self.loss,
            scheduler=self.scheduler,
            device=self.device,
            clip_norm=self.recipe.clip_norm,
            folder=run.folder,
            save_seconds=save_seconds,
            save_steps=save_steps,
            early_stopping=None if patience is None else EarlyStopping(patience),
            display=display,
            metadata={"model": self.recipe.model},
        )
        if not resume:
            run.write(self.recipe, self.image, self.splits.classes)
        trainer.fit(self.batches, self.validation, self.recipe.epochs, resume)
        return trainer


def part_of(splits: Splits, recipe: Recipe, part: str) -> Any:
    """The images to judge a model by, without augmentation.

    Parameters
    ----------
    part
        "test"; "validation", which was held out of the training set; or "train", the rest of it.

    Raises
    ------
    ValueError
        If there is no such part.
    """
    if part not in PARTS:
        raise ValueError(f"`part` takes one of {', '.join(PARTS)}, but got {part!r}")
    training, held_out = holdout(len(splits.plain), recipe.validation, recipe.seed)
    if part == "test" and splits.test is None:
        raise ValueError(f"{recipe.data} has no test images (no folder val or test); there is the part 'validation'")
    if part == "validation" and not held_out:
        raise ValueError("the training held no images out for validation; there are the parts 'test' and 'train'")
    return splits.test if part == "test" else Subset(splits.plain, held_out if part == "validation" else training)


def judge(
    run: Run,
    part: str = "test",
    device: Any = "auto",
    workers: int = 0,
    root: str | None = None,
    splits: Splits | None = None,
) -> Totals:
    """Loss and accuracy of a run's best weights on a part of its data.

    Parameters
    ----------
    part
        As for :func:`part_of`.
    device, workers, root
        As for :class:`Experiment`.
    splits
        The data, if it is open already.
    """
    recipe = run.recipe
    splits = splits or open_data(recipe.data, run.image, False, root)
    chosen = choose_device(device)
    model = run.model()[0].to(chosen)
    loader = DataLoader(part_of(splits, recipe, part), EVALUATION_BATCH, num_workers=workers)
    return evaluate(model, loader, _loss(recipe), chosen)


def _loss(recipe: Recipe) -> CrossEntropyLoss:
    return CrossEntropyLoss(label_smoothing=recipe.label_smoothing)


def _optimizer(recipe: Recipe, model: Module) -> optim.Optimizer:
    settings: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **settings)
    return {"adam": optim.Adam, "adamw": optim.AdamW}[recipe.optimizer](model.parameters(), **settings)


def _scheduler(recipe: Recipe, optimizer: optim.Optimizer, steps: int) -> Any:
    """Takes a step behind each batch."""
    schedulers = optim.lr_scheduler
    if recipe.scheduler == "onecycle":
        return schedulers.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
    if recipe.scheduler == "cosine":
        return schedulers.CosineAnnealingLR(optimizer, T_max=steps)
    if recipe.scheduler == "step":
        return schedulers.MultiStepLR(optimizer, milestones=[steps // 2, steps * 3 // 4])
    return None
