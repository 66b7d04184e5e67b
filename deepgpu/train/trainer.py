"""The training loop."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from deepgpu.nn import Module, functional as F
from deepgpu.nn.utils import clip_grad_norm_
from deepgpu.ops.memory import channels_last
from deepgpu.optim import Optimizer
from deepgpu.serialization import save_tensors
from deepgpu.tensor import Tensor
from deepgpu.train.device import choose_device
from deepgpu.train.display import Silence, View, display_for, duration
from deepgpu.train.early_stopping import EarlyStopping
from deepgpu.train.errors import NonFiniteError, TrainingInterrupted
from deepgpu.train.evaluate import evaluate
from deepgpu.train.interrupt import Interrupt
from deepgpu.train.log import Log
from deepgpu.train.metrics import Speed, Totals
from deepgpu.train.nonfinite import first_nonfinite, nonfinite_parameter
from deepgpu.train.position import Position
from deepgpu.train.randomness import random_states, set_random_states
from deepgpu.train.saver import Saver, can_resume

AUXILIARY_WEIGHT = 0.3
"""Of the losses of auxiliary classifiers, as for GoogLeNet (arXiv 1409.4842, section 5)."""


class _StopRequestedError(Exception):
    """Leaves the validation when the user wants to stop."""


class Trainer:
    """Trains a model: epochs of batches, each followed by a validation, with checkpoints to go on from.

    Parameters
    ----------
    model
        Moved to ``device``.
    optimizer
        Made with the parameters of the model.
    loss
        A function of outputs and targets that gives their mean; by default the cross-entropy. Where a model gives
        auxiliary logits besides in training (GoogLeNet, Inception), their losses count 0.3.
    scheduler
        Sets the learning rate.
    scheduler_interval
        "batch" or "epoch": behind what the scheduler takes a step.
    device
        "auto" is the GPU if there is one.
    clip_norm
        Scale gradients down to this 2-norm, all together.
    folder
        Where checkpoints, the best weights (``best.safetensors``) and the log go; by default nothing is written.
    save_seconds, save_steps
        Save a checkpoint so often, besides after each epoch; None for never.
    log_steps
        Write the loss to the log every so many batches.
    early_stopping
        Watches the validation, or the training if there is none.
    display
        Shows the progress; by default a bar on a terminal, lines elsewhere.
    metadata
        Strings to keep in the header of ``best.safetensors``.

    Attributes
    ----------
    position
        How far the training is; ``position.history`` has a record of each epoch.

    Notes
    -----
    A training that goes on from a checkpoint ends with the same weights, bit for bit, as one that was never stopped:
    parameters, buffers, the optimizer's and scheduler's state, all random states and the loader's place in the epoch
    are restored. That needs the same device, number of threads and versions; and a loader of :mod:`deepgpu.utils.data`
    to go on in the middle of an epoch (with others, checkpoints are saved between epochs only).
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        *,
        loss: Callable[..., Any] | None = None,
        scheduler: Any = None,
        scheduler_interval: str = "batch",
        device: Any = "auto",
        clip_norm: float | None = None,
        folder: str | os.PathLike[str] | None = None,
        save_seconds: float | None = 60.0,
        save_steps: int | None = None,
        log_steps: int = 10,
        early_stopping: EarlyStopping | None = None,
        display: Silence | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        if scheduler_interval not in ("batch", "epoch"):
            raise ValueError(f"Trainer: `scheduler_interval` takes 'batch' or 'epoch', but got {scheduler_interval!r}")
        self.device = choose_device(device)
        self.model = model.to(self.device)
        if self.device.type == "cuda":  # filters lie as the kernels read them: no step lays them out anew
            self.model = self.model.to(memory_format=channels_last)
        self.optimizer = optimizer
        self.loss = loss or F.cross_entropy
        self.scheduler = scheduler
        self.scheduler_interval = scheduler_interval
        self.clip_norm = clip_norm
        self.folder = None if folder is None else Path(folder)
        self.log_steps = log_steps
        self.early_stopping = early_stopping
        self.display = display or display_for()
        self.metadata = dict(metadata or {})
        self.position = Position()
        self._saver: Saver | None = None
        if self.folder is not None:
            parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "early_stopping": early_stopping}
            self._saver = Saver(self.folder / "checkpoints", parts, save_seconds, save_steps)
        self._log: Log | None = None
        self._speed = Speed()
        self._validation_seconds = 0.0

    # --- the loop ---------------------------------------------------------------------------------------------------

    def fit(
        self,
        batches: Iterable[Any],
        validation: Iterable[Any] | None = None,
        epochs: int = 1,
        resume: bool | str | os.PathLike[str] = False,
    ) -> list[dict[str, Any]]:
        """Train until ``epochs`` epochs are complete.

        Parameters
        ----------
        batches
            Pairs of inputs and targets, iterated over once an epoch.
        validation
            The same for validation.
        resume
            Go on from the newest checkpoint in the folder, or from the given one.

        Returns
        -------
        list of dict
            A record of each epoch.

        Raises
        ------
        NonFiniteError
            If the loss or a parameter becomes NaN or infinite. The last checkpoint, with finite parameters, stays.
        TrainingInterrupted
            After Ctrl-C or SIGTERM: behind the batch, once a checkpoint is saved.
        OSError
            If the last checkpoint cannot be saved. (Before the end that is shown, and tried again later.)
        """
        if resume:
            if self._saver is None:
                raise ValueError("Trainer: `resume` needs a `folder`, where the checkpoints are")
            self.position = self._saver.restore(batches, None if resume is True else Path(resume))
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._log = Log(self.folder, self.position)
        try:
            with Interrupt(lambda: self.display.say("stopping behind this batch; Ctrl-C again stops at once")) as stop:
                while not self._done(epochs):
                    judged = self._epoch(batches, validation, epochs, stop)
                    self._end_epoch(epochs, judged)
                    self._save(batches, must=self._done(epochs))
        finally:
            self.display.close()
        return self.position.history

    def _done(self, epochs: int) -> bool:
        early = self.early_stopping
        return self.position.epoch >= epochs or (early is not None and early.stopped)

    def _epoch(
        self, batches: Iterable[Any], validation: Iterable[Any] | None, epochs: int, stop: Interrupt
    ) -> Totals | None:
        """Train on what is left of an epoch, then validate."""
        position = self.position
        title = f"epoch {position.epoch + 1}/{epochs}"
        self._clock = time.monotonic()
        self._speed.restart()
        if not position.trained:
            self.model.train()
            for inputs, targets in batches:
                self._step(inputs.to(self.device), targets.to(self.device))
                self._after_step(batches, validation, title, epochs, len(targets))
                if stop.requested:
                    self._interrupted(batches, stop)
            if position.totals.samples == 0:
                raise ValueError("Trainer: `batches` is empty; is there less than one batch, dropped by `drop_last`?")
            position.trained = True
        judged = None
        if validation is not None:
            started = time.monotonic()
            before = random_states()
            try:
                judged = self._validate(validation, title, stop)
            except _StopRequestedError:
                set_random_states(before)  # the validation will begin anew
                self._interrupted(batches, stop)
            self._validation_seconds = time.monotonic() - started
        self._count_time()
        return judged

    def _step(self, inputs: Tensor, targets: Tensor) -> None:
        """One batch: forward, backward, update."""
        outputs, *auxiliary = _classifiers(self.model(inputs))
        loss = self.loss(outputs, targets)
        value = loss.item()
        if not abs(value) < float("inf"):
            self._diverged(f"the loss became {value}", inputs)
        for other in auxiliary:
            loss = loss + AUXILIARY_WEIGHT * self.loss(other, targets)
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        if self.scheduler is not None and self.scheduler_interval == "batch":
            self.scheduler.step()
        self.position.totals.add(value, outputs, targets)
        self.position.batch += 1
        self.position.step += 1
        if self._log is not None and self.position.step % self.log_steps == 0:
            self._write_log("step", epoch=self.position.epoch + 1, loss=value, lr=self._learning_rate())

    def _after_step(self, batches: Any, validation: Any, title: str, epochs: int, samples: int) -> None:
        """Show, and save if it is time."""
        self._count_time()
        self._speed.add(samples)
        view = self._view(title, self.position.batch, _length(batches), self.position.totals, epochs, validation)
        self.display.update(view)
        if self._saver is not None and can_resume(batches) and self._saver.due(self.position.step):
            self._save(batches)

    def _validate(self, validation: Iterable[Any], title: str, stop: Interrupt) -> Totals:
        batches = 0
        total = _length(validation)

        def after_batch(totals: Totals) -> None:
            nonlocal batches
            batches += 1
            self.display.update(self._view(f"{title} validation", batches, total, totals))
            if stop.requested:
                raise _StopRequestedError

        return evaluate(self.model, validation, self.loss, self.device, after_batch)

    def _end_epoch(self, epochs: int, judged: Totals | None) -> None:
        """Record an epoch, keep the weights if they are the best, take the scheduler's step."""
        position, totals = self.position, self.position.totals
        record: dict[str, Any] = {
            "epoch": position.epoch + 1,
            "lr": self._learning_rate(),
            "train_loss": totals.mean_loss,
            "train_accuracy": totals.accuracy,
        }
        if judged is not None:
            record |= {"validation_loss": judged.mean_loss, "validation_accuracy": judged.accuracy}
        record |= {"images_per_second": round(self._speed.rate, 1), "seconds": round(position.seconds, 3)}
        score = (judged or totals).score
        best = judged is not None and (position.best is None or score > position.best)
        if best:
            position.best = score
            self._keep_best(record)
        position.end_epoch(record)
        self._write_log("epoch", **record)
        self.display.say(_epoch_line(record, epochs, best))
        if self.scheduler is not None and self.scheduler_interval == "epoch":
            self.scheduler.step()
        if self.early_stopping is not None and self.early_stopping.update(score):
            self.display.say(f"stopped early: no better for {self.early_stopping.patience} epochs")

    # --- saving -----------------------------------------------------------------------------------------------------

    def _save(self, batches: Any, must: bool = False) -> None:
        """Save a checkpoint; a full disk is shown, and an error only if there is no later chance (``must``)."""
        if self._saver is None:
            return
        spoilt = nonfinite_parameter(self.model)
        if spoilt is not None:
            self._diverged(f"`{spoilt}` became NaN or infinite", None, spoilt.rpartition(".")[0])
        try:
            self._saver.save(self.position, batches)
        except OSError as error:
            if must:
                raise
            self.display.say(f"could not save a checkpoint: {error}; training goes on, {self._last_good()}")

    def _keep_best(self, record: dict[str, Any]) -> None:
        if self.folder is None:
            return
        metadata = {**self.metadata, "record": json.dumps(record)}
        try:
            save_tensors(self.model.state_dict(), self.folder / "best.safetensors", metadata)
        except OSError as error:
            self.display.say(f"could not save the best weights: {error}; training goes on")

    def _write_log(self, event: str, **values: Any) -> None:
        if self._log is not None:
            try:
                self._log.write(event, self.position.step, **values)
            except OSError as error:
                self.display.say(f"could not write the log: {error}; training goes on")

    def _last_good(self) -> str:
        newest = None if self._saver is None else self._saver.newest
        return "there is no checkpoint" if newest is None else f"the last good checkpoint is {newest}"

    # --- the ends that are not wanted -------------------------------------------------------------------------------

    def _interrupted(self, batches: Any, stop: Interrupt) -> None:
        self._count_time()
        position = self.position
        if can_resume(batches):
            self._save(batches)
        where = f"stopped by {stop.requested} in epoch {position.epoch + 1} after batch {position.batch}"
        newest = None if self._saver is None else self._saver.newest
        raise TrainingInterrupted(f"{where}; {self._last_good()}", newest)

    def _diverged(self, what: str, inputs: Tensor | None, layer: str | None = None) -> None:
        position = self.position
        where = f"{what} in epoch {position.epoch + 1} after {position.batch} batches"
        reason = ""
        if inputs is not None:
            layer, found = first_nonfinite(self.model, inputs)
            reason = f"; {found}"
        hint = f"a smaller learning rate than {self._learning_rate():g} or gradient clipping may help"
        raise NonFiniteError(f"{where}{reason}; {self._last_good()}; {hint}", layer)

    # --- numbers ----------------------------------------------------------------------------------------------------

    def _count_time(self) -> None:
        now = time.monotonic()
        self.position.seconds += now - self._clock
        self._clock = now

    def _learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _view(
        self, title: str, done: int, total: int | None, totals: Totals, epochs: int = 0, validation: Any = None
    ) -> View:
        left = None
        if total is not None and epochs and self._speed.rate:
            epochs_left = epochs - self.position.epoch
            batches_left = epochs_left * total - done
            left = batches_left * totals.samples / done / self._speed.rate
            if validation is not None:
                left += epochs_left * self._validation_seconds
        return View(title, done, total, totals.mean_loss, totals.accuracy, self._speed.rate, left)


def _classifiers(outputs: Any) -> tuple[Any, ...]:
    """What the loss is taken of: the outputs, or first the logits of a net that has auxiliary classifiers too."""
    return tuple(outputs) if hasattr(outputs, "logits") else (outputs,)


def _length(batches: Any) -> int | None:
    return len(batches) if hasattr(batches, "__len__") else None


def _epoch_line(record: dict[str, Any], epochs: int, best: bool) -> str:
    parts = [f"epoch {record['epoch']}/{epochs}"]
    for name in ("train", "validation"):
        if f"{name}_loss" in record:
            parts.append(f"{name} loss {record[f'{name}_loss']:.4f}")
            accuracy = record[f"{name}_accuracy"]
            if accuracy == accuracy:
                parts.append(f"accuracy {100 * accuracy:.2f} %")
    parts += [f"{record['images_per_second']:,.0f} images/s", duration(record["seconds"])]
    return "  ".join(parts) + ("  (best)" if best else "")
