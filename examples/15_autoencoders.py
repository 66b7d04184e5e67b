"""Autoencoders: codes learnt without labels, one layer at a time, and what they are good for.

An autoencoder is trained to give back its input through a narrow layer, the code. With linear units the best one
spans the principal components (Baldi & Hornik 1989), so PCA of the same size is what a deep one must beat. Its layers
are trained one after the other, each on the codes of the one before and on corrupted inputs, which keeps it from
copying (Bengio et al. 2007; Vincent et al. 2010); then all together (fine-tuning, Hinton & Salakhutdinov 2006). Where
labels are few and images many, such layers are a better start for a classifier than random weights. A variational
autoencoder (Kingma & Welling 2014) bounds the likelihood from below, log p(x) >= E log p(x|z) - KL(q(z|x) | N(0, 1)),
so that images can be drawn from it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from study import Study, fashion, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F

SIZES = (784, 256, 64, 2)
NOISE = 0.3  # the share of pixels that is set to 0


def minimize(modules: Sequence[nn.Module], loss: Callable, data: dg.Tensor, epochs: int, lr: float = 2e-3) -> None:
    """Adam with one cycle of its learning rate on batches of 100 images."""
    optimizer = dg.optim.Adam([p for m in modules for p in m.parameters()], lr)
    schedule = dg.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * (len(data) // 100))
    for _ in range(epochs):
        for batch in dg.randperm(len(data))[: len(data) // 100 * 100].reshape(-1, 100):
            value = loss(data[batch.to(data.device)])
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


def pretrain(data: dg.Tensor, sizes: Sequence[int], epochs: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Greedy and layer-wise: each pair learns to restore the codes of the layers below."""
    ups, downs = [], []
    for before, after in zip(sizes, sizes[1:], strict=False):
        up, down = (m.to(data.device) for m in pair(before, after))

        def loss(x: dg.Tensor, up: nn.Module = up, down: nn.Module = down) -> dg.Tensor:
            return F.mse_loss(down(up(corrupt(x))), x)

        minimize([up, down], loss, data, epochs)
        with dg.no_grad():
            data = up(data)
        ups, downs = [*ups, up], [down, *downs]
    return nn.Sequential(*ups), nn.Sequential(*downs)


def classify(net: nn.Module, data: tuple[dg.Tensor, dg.Tensor], test: tuple[dg.Tensor, dg.Tensor]) -> float:
    """Fine-tune on few labelled images; the accuracy on the test images."""
    optimizer = dg.optim.Adam(net.parameters(), 2e-3)
    for _ in range(200):
        loss = F.cross_entropy(net(data[0]), data[1])
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
    epochs = 5 if s.quick else 20

    mean, pixels = x.numpy().mean(0), test.numpy()
    axes_ = np.linalg.svd(x.numpy() - mean, full_matrices=False)[2]

    def pca(inputs: np.ndarray, size: int) -> np.ndarray:
        return mean + (inputs - mean) @ axes_[:size].T @ axes_[:size]

    def error(restored: dg.Tensor | np.ndarray) -> float:
        values = restored if isinstance(restored, np.ndarray) else restored.detach().cpu().numpy()
        return float(((values - pixels) ** 2).mean())

    up, down = pretrain(x, SIZES, epochs)
    errors = {"greedy": error(down(up(test)))}
    minimize([up, down], lambda b: F.mse_loss(down(up(b)), b), x, 2 * epochs)
    restored = down(up(test))
    errors |= {"fine-tuned": error(restored), "PCA": error(pca(pixels, 2))}
    print(errors)

    noisy = corrupt(test)
    for name, change in (("plain", lambda b: b), ("denoising", corrupt)):
        net = nn.Sequential(*pair(784, 256)).to(s.device)
        minimize([net], lambda b, net=net, change=change: F.mse_loss(net(change(b)), b), x, 2 * epochs)
        errors[name] = error(net(noisy))
    errors["noise"] = error(noisy.numpy())
    errors["pca noise"] = error(pca(noisy.numpy(), 256))
    errors["pca noise 64"] = error(pca(noisy.numpy(), 32))
    print(errors)

    scores = []
    deep = pretrain(x, (784, 256, 256), epochs)[0]
    for r in range(3):
        chosen = dg.randperm(len(x))[:100]
        few = (x[chosen], labels[chosen])
        a = nn.Sequential(*(pair(784, 256)[0], pair(256, 256)[0]), nn.Linear(256, 10))
        b = nn.Sequential(*(pair(784, 256)[0], pair(256, 256)[0]), nn.Linear(256, 10))
        for i in range(2):
            b[i].load_state_dict(deep[i].state_dict())
        scores.append((classify(a, few, (test, truth)), classify(b, few, (test, truth))))
    print(scores)

    vae = Variational()
    binary, tb = (x > 0.5).float(), (test > 0.5).float()
    minimize([vae], lambda b: sum(vae(b)), binary, 2 * epochs)
    p = (binary.numpy().sum(0) + 1) / (len(binary) + 2)
    t = tb.numpy()
    print(vae(tb), -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum(1).mean())
    return {}


if __name__ == "__main__":
    main(study)
