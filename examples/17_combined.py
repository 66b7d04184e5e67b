"""Combined architectures: convolutions and an LSTM read strings of clothes, trained by one backward pass.

Three to five items of Fashion-MNIST stand side by side, with gaps or overlapping, at places that nobody tells. A
convolutional net turns the image into columns of features, an LSTM goes over the columns in both directions, and each
column gets probabilities of the ten classes and of "nothing" (CRNN, Shi et al. 2015). Where an item stands is left
open: the CTC loss (Graves et al. 2006) is the negative logarithm of the probability of the string, summed over all
alignments of its labels with the columns. It is differentiable, so one backward pass goes from it through the LSTM
into the first convolution, and no part needs targets of its own. Finite differences check the chain as a whole.

What does that give? The same net with the convolutions left as they were drawn learns from as many strings, at the
same learning rate. CTC begins with a plateau, where every column says "nothing". The net of which all is trained leaves
it within a hundred steps; the frozen one needs two to three times as many, so that quick mode mostly sees it there.
It is no dead end: after 400 steps it errs in about a third of the labels, as the whole net does after 200.
The error rate counts the edits (insert, delete, replace) that turn the reading into the string, per label.
"""

from itertools import groupby
from typing import Any

import numpy as np
from study import Study, fashion, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.func import functional_call
from deepgpu.nn import functional as F
from deepgpu.train.metrics import edit_distance

NOTHING = 10
CLASSES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
Strings = tuple[dg.Tensor, dg.Tensor, dg.Tensor]


class Reader(nn.Module):
    """A convolutional net whose columns, one for 8 pixels, are the steps of an LSTM."""

    def __init__(self, channels: tuple[int, ...] = (12, 24, 48), hidden: int = 48, rows: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((1, *channels), channels, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.cnn = nn.Sequential(*layers)
        self.lstm = nn.LSTM(channels[-1] * rows, hidden, bidirectional=True)
        self.head = nn.Linear(2 * hidden, 11)

    def forward(self, images: dg.Tensor) -> dg.Tensor:
        """Logarithms of probabilities ``(columns, N, 11)``."""
        columns = self.cnn(images).permute(3, 0, 1, 2).flatten(2)
        return F.log_softmax(self.head(self.lstm(columns)[0]), 2)


def strings(items: tuple[np.ndarray, np.ndarray], count: int, rng: np.random.Generator) -> Strings:
    """Images ``(count, 1, 32, 160)``, labels ``(count, 5)`` and how many of the labels count."""
    tiles, classes = items
    images = np.full((count, 1, 32, 160), tiles.min(), np.float32)
    labels = np.zeros((count, 5), np.int64)
    lengths = rng.integers(3, 6, count)
    for image, row, n in zip(images[:, 0], labels, lengths, strict=True):
        chosen = rng.integers(len(tiles), size=n)
        row[:n] = classes[chosen]
        starts = np.cumsum([0, *rng.integers(24, 34, n - 1)])
        starts += rng.integers(160 - 28 - starts[-1] + 1)
        for tile, x, y in zip(tiles[chosen, 0], starts, rng.integers(0, 5, n), strict=True):
            place = image[y : y + 28, x : x + 28]
            np.maximum(place, tile, out=place)
    return dg.tensor(images), dg.tensor(labels), dg.tensor(lengths)


def loss_of(log_probs: dg.Tensor, labels: dg.Tensor, lengths: dg.Tensor) -> dg.Tensor:
    """The CTC loss, all columns counting."""
    return F.ctc_loss(log_probs, labels, [len(log_probs)] * len(labels), lengths, blank=NOTHING)


def agree(reader: Reader, batch: Strings, fast: bool) -> bool:
    """Whether the derivatives of the loss by all parameters are those of finite differences, in float64."""
    reader = reader.double()
    names, values = zip(*reader.named_parameters(), strict=True)
    images, labels, lengths = batch

    def loss(*parameters: dg.Tensor) -> dg.Tensor:
        named = dict(zip(names, parameters, strict=True))
        return loss_of(functional_call(reader, named, images.double()), labels, lengths)

    return dg.autograd.gradcheck(loss, values, fast_mode=fast, raise_exception=False)


def read(log_probs: dg.Tensor) -> list[list[int]]:
    """The best class of each column, runs joined, without nothing."""
    best = log_probs.argmax(2).cpu().numpy().T
    return [[int(c) for c, _ in groupby(row) if c != NOTHING] for row in best]


def train(s: Study, items: tuple[np.ndarray, np.ndarray], steps: int, frozen: bool) -> tuple[Reader, list]:
    """A reader and its losses; ``frozen`` leaves the convolutions as they were drawn."""
    dg.manual_seed(s.seed)
    rng = np.random.default_rng(s.seed)
    reader = Reader().to(s.device)
    reader.cnn.requires_grad_(not frozen)
    parameters = [p for p in reader.parameters() if p.requires_grad]
    optimizer = dg.optim.Adam(parameters, 0.02)
    schedule = dg.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=steps)
    losses = []
    for _ in s.track(range(steps), "frozen convolutions" if frozen else "joint training"):
        images, labels, lengths = strings(items, 32, rng)
        loss = loss_of(reader(images.to(s.device)), labels, lengths)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return reader.eval(), losses


def study(s: Study) -> dict[str, Any]:
    """Check the gradients, then train all at once and with frozen convolutions."""
    items = [tuple(t.numpy() for t in fashion(part, n, s.seed)) for part, n in ((True, 60000), (False, 10000))]
    images, labels, lengths = strings(items[1], 500 if s.quick else 2000, np.random.default_rng(s.seed + 1000))
    small, large = Reader((2, 3, 2), 2, rows=2), Reader()
    halved = (images[:2, :, ::2, ::2], labels[:2], lengths[:2])
    whole = agree(small, halved, fast=False) and agree(large, (images[:2], labels[:2], lengths[:2]), fast=True)
    sizes = [sum(p.numel() for p in reader.parameters()) for reader in (small, large)]
    measured = f"each of {sizes[0]} in a small net; all {sizes[1]:,} of the large one in random directions"
    s.found("convolutions, LSTM, CTC: derivatives are finite differences", measured, whole)

    goals = [row[:n].tolist() for row, n in zip(labels.numpy(), lengths.numpy(), strict=True)]
    losses, readings, rates, right = {}, {}, {}, {}
    for name in ("frozen", "joint"):
        reader, losses[name] = train(s, items[0], 200 if s.quick else 2000, name == "frozen")
        with dg.no_grad():
            log_probs = reader(images.to(s.device)).cpu()
        readings[name] = read(log_probs)
        pairs = list(zip(readings[name], goals, strict=True))
        rates[name] = sum(edit_distance(*pair) for pair in pairs) / int(lengths.sum())
        right[name] = np.mean([reading == goal for reading, goal in pairs])
    measured = "; ".join(
        f"{n} {100 * e:.1f} % of labels, {100 * (1 - right[n]):.0f} % of strings" for n, e in rates.items()
    )
    better = rates["joint"] < rates["frozen"] and right["joint"] > right["frozen"]
    s.found("new strings: training both errs less than frozen convolutions", measured, better)
    with s.figure(2, 2, (11, 5)) as axes:
        for row in (0, 1):
            picture, answer = images[row, 0].numpy(), readings["joint"][row]
            axes[row, 0].imshow(picture, cmap="gray", extent=(0, 20, 0, 4))
            axes[row, 0].set_title("read: " + ", ".join(CLASSES[c] for c in answer), fontsize=8)
            axes[row, 0].set(xticks=[], yticks=[])
        axes[0, 1].imshow(log_probs[:, 0].exp().numpy().T, aspect="auto", cmap="magma")
        axes[0, 1].set_yticks(range(11), [*CLASSES, "nothing"], fontsize=6)
        axes[0, 1].set(title="probabilities of each column (above left)")
        for name, history in losses.items():
            axes[1, 1].plot(np.convolve(history, np.ones(20) / 20, "valid"), label=name)
        axes[1, 1].set(title="CTC loss per label, mean of 20 steps", xlabel="step")
        axes[1, 1].legend(fontsize=8)
    loss = loss_of(log_probs, labels, lengths).item()
    ctc = {"log_probs": log_probs.numpy(), "labels": labels.numpy(), "lengths": lengths.numpy(), "loss": loss}
    return {"gradients": whole, "rates": rates, "readings": readings, "goals": goals, "ctc": ctc}


if __name__ == "__main__":
    main(study)
