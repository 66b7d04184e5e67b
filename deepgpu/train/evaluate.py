"""Loss and accuracy of a model on a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from deepgpu.autograd.grad_mode import no_grad
from deepgpu.nn import Module, functional as F
from deepgpu.train.metrics import Totals


def evaluate(
    model: Module,
    batches: Iterable[Any],
    loss: Callable[..., Any] | None = None,
    device: Any = "cpu",
    after_batch: Callable[[Totals], None] | None = None,
) -> Totals:
    """Run the model over all batches, in evaluation mode, without recording.

    Parameters
    ----------
    model
        Gives logits ``(N, C)``. Its mode is the same afterwards.
    batches
        Pairs of inputs and targets, such as a ``DataLoader`` gives.
    loss
        A function of outputs and targets that gives their mean; by default the cross-entropy.
    device
        Where the model is.
    after_batch
        Called with the totals so far.
    """
    criterion = loss or F.cross_entropy
    totals = Totals()
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            for inputs, targets in batches:
                inputs, targets = inputs.to(device), targets.to(device)
                outputs = model(inputs)
                totals.add(criterion(outputs, targets).item(), outputs, targets)
                if after_batch is not None:
                    after_batch(totals)
    finally:
        model.train(was_training)
    return totals
