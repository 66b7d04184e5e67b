"""Autoencoders: codes learnt without labels, one layer at a time, and what they are good for.

An autoencoder is trained to give back its input through a narrow layer, the code. With linear units the best one
spans the principal components (Baldi & Hornik 1989), so PCA of the same size is what a deep one must beat. Its layers
are trained one after the other, each on the codes of the one before and on corrupted inputs, which keeps it from
copying (Bengio et al. 2007; Vincent et al. 2010); then all together (fine-tuning, Hinton & Salakhutdinov 2006). Where
labels are few and images many, such layers are a better start for a deep net of sigmoids than random weights. That
is less than it sounds: here one hidden layer with random weights, which has no depth to be saved from, does better
still, and the study reports it beside the two. A variational autoencoder (Kingma & Welling 2014) bounds the
likelihood from below, log p(x) >= E log p(x|z) - KL(q(z|x) | N(0, 1)), so that images can be drawn from it.
"""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from study import Study, fashion, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F

SIZES = (784, 256, 256, 256, 2)
NOISE = 0.3  # the share of pixels that is set to 0
BATCH = 100


def minimize(modules: Sequence[nn.Module], loss: Callable, data: dg.Tensor, epochs: int) -> None:
    """Adam with one cycle of its learning rate."""
    optimizer = dg.optim.Adam([p for m in modules for p in m.parameters()], 2e-3)
    schedule = dg.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * (len(data) // BATCH))
    for _ in range(epochs):
        for batch in dg.randperm(len(data), device=data.device).split(BATCH)[: len(data) // BATCH]:
            value = loss(data[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()


def corrupt(x: dg.Tensor) -> dg.Tensor:
    """Masking noise."""
    return x * (dg.rand_like(x) > NOISE)


def pair(before: int, after: int) -> tuple[nn.Sequential, nn.Sequential]:
    """One layer of the encoder, and the layer of the decoder that undoes it; the code and the image are linear."""
    up = nn.Sequential(nn.Linear(before, after), nn.Identity() if after == SIZES[-1] else nn.Sigmoid())
    return up, nn.Sequential(nn.Linear(after, before), nn.Identity() if before == SIZES[0] else nn.Sigmoid())


def stack(sizes: Sequence[int]) -> nn.Sequential:
    """An encoder with random weights."""
    return nn.Sequential(*(pair(before, after)[0] for before, after in pairwise(sizes)))


def pretrain(s: Study, data: dg.Tensor, epochs: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Greedy and layer-wise: each pair learns to restore the codes of the layers below."""
    ups, downs = [], []
    for before, after in s.track(list(pairwise(SIZES)), "layer by layer"):
        up, down = (m.to(data.device) for m in pair(before, after))
        minimize([up, down], lambda x, up=up, down=down: F.mse_loss(down(up(corrupt(x))), x), data, epochs)
        with dg.no_grad():
            data = up(data)
        ups, downs = [*ups, up], [down, *downs]
    return nn.Sequential(*ups), nn.Sequential(*downs)


def classify(start: nn.Sequential, width: int, images: dg.Tensor, labels: dg.Tensor, test: tuple) -> float:
    """Put a classifier on top, train all of it on few labelled images; the accuracy on the test images."""
    net = nn.Sequential(start, nn.Linear(width, 10)).to(images.device)
    optimizer = dg.optim.Adam(net.parameters(), 2e-3)
    for _ in range(200):
        loss = F.cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with dg.no_grad():
        return float((net(test[0]).argmax(1) == test[1]).float().mean())


class Variational(nn.Module):
    """Codes are drawn from normal distributions; pixels are black or white."""

    def __init__(self, code: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 2 * code))
        self.decoder = nn.Sequential(nn.Linear(code, 256), nn.ReLU(), nn.Linear(256, 784))

    def forward(self, x: dg.Tensor) -> tuple[dg.Tensor, dg.Tensor]:
        """The two parts of the bound on -log p(x), in nats an image: reconstruction and KL divergence."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + dg.randn_like(mean) * (log_variance / 2).exp()
        missed = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum") / len(x)
        return missed, (mean**2 + log_variance.exp() - log_variance - 1).sum() / (2 * len(x))


def study(s: Study) -> dict[str, Any]:
    """Reconstruction, noise, few labels, a generative model."""
    (images, labels), (held, truth) = fashion(True, 6000 if s.quick else 60000, s.seed), fashion(False, 2000)
    x, test = ((t.flatten(1) * 0.353 + 0.286).to(s.device) for t in (images, held))
    labels, truth = labels.to(s.device), truth.to(s.device)
    epochs = 4 if s.quick else 10
    mean = x.mean(0)
    directions = np.linalg.eigh(np.cov(x.cpu().numpy().T))[1][:, ::-1].astype(np.float32)
    components = dg.tensor(directions.copy(), device=s.device)

    def pca(inputs: dg.Tensor, size: int) -> dg.Tensor:
        return mean + (inputs - mean) @ components[:, :size] @ components[:, :size].T

    def error(restored: dg.Tensor) -> float:
        return F.mse_loss(restored.detach(), test).item()

    up, down = pretrain(s, x, epochs)
    layers = copy.deepcopy(up[:-1])
    errors = {"greedy": error(down(up(test)))}
    minimize([up, down], lambda b: F.mse_loss(down(up(b)), b), x, 3 * epochs)
    restored = down(up(test))
    errors |= {"fine-tuned": error(restored), "PCA": error(pca(test, 2))}
    measured = f"error {errors['greedy']:.4f} layer by layer, then {errors['fine-tuned']:.4f}"
    s.found("fine-tuning lowers the error of a 2-d code", measured, errors["fine-tuned"] < errors["greedy"])
    measured = f"{errors['fine-tuned']:.4f} against {errors['PCA']:.4f}"
    s.found("and beats two principal components", measured, errors["fine-tuned"] < 0.95 * errors["PCA"])

    noisy = corrupt(test)
    for name, change in s.track([("plain", lambda b: b), ("denoising", corrupt)], "noise"):
        net = nn.Sequential(*pair(784, 256)).to(s.device)
        minimize([net], lambda b, net=net, change=change: F.mse_loss(net(change(b)), b), x, 2 * epochs)
        cleaned = net(noisy)
        errors[name] = error(cleaned)
    errors["noisy PCA"] = min(error(pca(noisy, size)) for size in (8, 16, 32, 64, 128, 256))
    measured = ", ".join(f"{name} {errors[name]:.4f}" for name in ("denoising", "plain", "noisy PCA"))
    best = errors["denoising"] < 0.9 * min(errors["plain"], errors["noisy PCA"])
    s.found(f"{NOISE:.0%} of pixels lost: learnt on such images restores best", measured, best)

    scores: dict[str, list[float]] = {"pre-trained": [], "random": [], "shallow": []}
    for _ in s.track(range(3), "few labels"):
        few = dg.randperm(len(x), device=s.device)[:300]
        starts = (copy.deepcopy(layers), stack(SIZES[:-1]), stack(SIZES[:2]))
        for name, start in zip(scores, starts, strict=True):
            scores[name].append(classify(start, 256, x[few], labels[few], (test, truth)))
    learnt, random, shallow = (100 * float(np.mean(v)) for v in scores.values())
    measured = f"{learnt:.1f} % against {random:.1f} % (one layer from a random start: {shallow:.1f} %)"
    s.found("300 labels: three layers classify better pre-trained", measured, learnt > random + 1)

    black, unseen = ((t > 0.5).float() for t in (x, test))
    vae = Variational().to(s.device)
    minimize([vae], lambda b: sum(vae(b)), black, 2 * epochs)
    missed, divergence = (v.item() for v in vae(unseen))
    rate = (black.sum(0) + 1) / (len(black) + 2)  # each pixel by itself
    alone = F.binary_cross_entropy(rate.expand_as(unseen), unseen, reduction="sum").item() / len(unseen)
    measured = f"{missed:.0f} + {divergence:.0f} nats an image against {alone:.0f}"
    below = missed + divergence < 0.6 * alone and divergence > 1
    s.found("the variational bound: far below independent pixels", measured, below)
    with dg.no_grad():
        drawn = vae.decoder(dg.randn(8, 16, device=s.device)).sigmoid()
        code = up(test).cpu().numpy()
    with s.figure(1, 2, (11, 4)) as axes:
        plane, grid = axes[0]
        plane.scatter(*code.T, c=truth.cpu().numpy(), cmap="tab10", s=3)
        plane.set(title="2-d code of new images, colour: class")
        rows = [test[:8], restored[:8], noisy[:8], cleaned[:8], drawn]
        tiles = dg.stack([t.detach() for t in rows]).reshape(5, 8, 28, 28).transpose(1, 2).reshape(140, 224)
        grid.imshow(tiles.cpu().numpy(), cmap="gray_r", vmin=0, vmax=1)
        grid.set_yticks(14 + 28 * np.arange(5), ["image", "from 2 numbers", "noisy", "restored", "VAE draws"])
        grid.set_xticks([])
    return {"errors": errors, "scores": scores, "bound": missed + divergence, "alone": alone, "code": (code, truth)}


if __name__ == "__main__":
    main(study)
