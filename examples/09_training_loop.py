"""The training loop: sample, forward, back-propagate, update; and the trainer that does the same, and can be killed.

The four steps of stochastic gradient descent are ten lines. `deepgpu.train.Trainer` wraps them in what a person
expects: progress, validation, checkpoints, a log. It must not change the result: from the same seed both end with the
same weights, bit for bit. And so must a training that was stopped in the middle of an epoch and went on from its
checkpoint.
"""

import signal
import tempfile
from typing import Any

import numpy as np
from study import Study, fashion, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.random import Generator
from deepgpu.train import Trainer, TrainingInterrupted, evaluate, seed_all
from deepgpu.train.display import Silence
from deepgpu.utils.data import DataLoader, TensorDataset
from deepgpu.vision import models


class Stop(Silence):
    """Presses Ctrl-C once, at a batch."""

    def __init__(self, batch: int) -> None:
        self.left = batch

    def update(self, view: Any) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)


def study(s: Study) -> dict[str, Any]:
    """The loop, the trainer, and the trainer interrupted: three times the same weights."""
    images, labels = fashion(True, 2000 if s.quick else 20000, s.seed)
    held_out = DataLoader(TensorDataset(*fashion(False, 1000)), 500)
    epochs = 2

    def made() -> tuple[nn.Module, dg.optim.Optimizer, DataLoader]:
        seed_all(s.seed)
        model = models.resnet8(in_channels=1, width=4).to(s.device)
        optimizer = dg.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        order = Generator().manual_seed(s.seed)
        return model, optimizer, DataLoader(TensorDataset(images, labels), 50, shuffle=True, generator=order)

    def weights(model: nn.Module) -> dict[str, np.ndarray]:
        return {name: t.detach().cpu().numpy().copy() for name, t in model.state_dict().items()}

    model, optimizer, batches = made()
    losses = []
    for _ in s.track(range(epochs), "epochs"):
        for x, t in batches:  # sample
            loss = F.cross_entropy(model(x.to(s.device)), t.to(s.device))  # forward
            optimizer.zero_grad()
            loss.backward()  # back-propagate
            optimizer.step()  # update
            losses.append(loss.item())
    loop = weights(model)
    by_hand = evaluate(model, held_out, device=s.device).accuracy

    model, optimizer, batches = made()
    trainer = Trainer(model, optimizer, device=s.device, display=Silence())
    history = trainer.fit(batches, held_out, epochs)
    trained = weights(model)
    equal = all(np.array_equal(loop[name], trained[name]) for name in loop)
    s.found("ten lines and the trainer: the same weights", f"{len(loop)} tensors, bit for bit", equal)

    with tempfile.TemporaryDirectory() as folder:
        model, optimizer, batches = made()
        trainer = Trainer(model, optimizer, device=s.device, folder=folder, display=Stop(len(batches) * 3 // 2))
        try:
            trainer.fit(batches, held_out, epochs)
            where = "not stopped"
        except TrainingInterrupted:
            where = f"stopped in epoch {trainer.position.epoch + 1} after batch {trainer.position.batch}"
        model, optimizer, batches = made()
        seed_all(s.seed + 1)  # another state, as in another process
        again = Trainer(model, optimizer, device=s.device, folder=folder, display=Silence())
        again.fit(batches, held_out, epochs, resume=True)
        resumed = weights(model)
    equal = where != "not stopped" and all(np.array_equal(loop[name], resumed[name]) for name in loop)
    s.found("stopped and resumed: the same weights", where, equal)
    n = len(batches) // 2
    first, last = float(np.mean(losses[:n])), float(np.mean(losses[-n:]))
    s.found(
        "the loss falls", f"{first:.2f} to {last:.2f}; {100 * by_hand:.1f} % of new images right", last < 0.8 * first
    )
    with s.figure(1, 2, (9, 3)) as axes:
        axes[0, 0].plot(losses, lw=0.7)
        axes[0, 0].set(title="ten lines: loss of each batch", xlabel="step")
        for part in ("train", "validation"):
            values = [100 * r[f"{part}_accuracy"] for r in history]
            axes[0, 1].plot(range(1, epochs + 1), values, "o-", label=part)
        axes[0, 1].set(title="trainer: accuracy (%)", xlabel="epoch", xticks=range(1, epochs + 1))
        axes[0, 1].legend(fontsize=8)
    return {"loop": loop, "trainer": trained, "resumed": resumed, "losses": losses}


if __name__ == "__main__":
    main(study)
