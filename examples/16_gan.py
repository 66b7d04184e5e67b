"""Generative adversarial nets: a DCGAN draws clothes, and a distance says how well.

A generator turns noise into images; a discriminator learns to tell them from real ones, and its gradient teaches the
generator (Goodfellow et al. 2014; with the transposed convolutions and batch norm of DCGAN: Radford et al. 2016). No
loss says whether it got better. The Frechet distance does: between the normal distributions that fit the features of
real and of drawn images, |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)) (Heusel et al. 2017), here with the features of a
classifier that the study trains. Real images against other real ones give its floor, noise its ceiling. The generator
has learnt more than the images it drew: halfway between two codes lies an image of clothes, halfway between two images
a double exposure. The discriminator has learnt features without labels; max-pooled, as Radford et al. use them for
classification, they do with few labels about as well as the pixels, and hardly better than those of an untrained one:
images as small and simple as these need no more. `--spectral-norm` bounds each layer of the discriminator (Miyato et
al. 2018). `--loss wgan-gp` trains a critic whose gradient has norm 1 between real and drawn images (Gulrajani et al.
2017), which takes the gradient of a gradient.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
import typer
from sklearn.linear_model import LogisticRegression
from study import Study, fashion, fit, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.nn.utils import spectral_norm as bounded

CODE, BATCH = 32, 64
Loss = Literal["dcgan", "wgan-gp"]


def generator(width: int) -> nn.Sequential:
    """Noise (n, CODE) to images (n, 1, 28, 28) in -1..1."""
    return nn.Sequential(
        nn.Linear(CODE, 2 * width * 49, bias=False),
        nn.Unflatten(1, (2 * width, 7, 7)),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, 1, 4, 2, 1),
        nn.Tanh(),
    )


def discriminator(width: int, spectral_norm: bool) -> nn.Sequential:
    """Images to one number each, positive for real ones."""
    layers = [nn.Conv2d(1, width, 4, 2, 1), nn.Conv2d(width, 2 * width, 4, 2, 1), nn.Linear(2 * width * 49, 1)]
    first, second, last = (bounded(m) for m in layers) if spectral_norm else layers
    return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), nn.Flatten(), last)


def classifier() -> nn.Sequential:
    """Its layers but the last give 32 features."""
    convolutions = [nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*convolutions, nn.Linear(32 * 49, 32), nn.ReLU(), nn.Linear(32, 10))


def in_parts(function: Callable[[dg.Tensor], dg.Tensor], inputs: dg.Tensor) -> dg.Tensor:
    """Apply a function to 500 inputs at a time."""
    with dg.no_grad():
        return dg.cat([function(part) for part in inputs.split(500)])


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """The squared Frechet distance of the normal distributions that fit two sets of features (n, features)."""
    ca, cb = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(ca)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    crossed = np.sqrt(np.linalg.eigvalsh(root @ cb @ root).clip(0)).sum()  # of (C C')^(1/2), which is similar
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * crossed)


def pooled(net: nn.Sequential, images: dg.Tensor) -> np.ndarray:
    """The outputs of a discriminator's two convolutions, max-pooled to 4 x 4."""

    def both(x: dg.Tensor) -> dg.Tensor:
        first = net[:2](x)
        return dg.cat([F.adaptive_max_pool2d(y, 4).flatten(1) for y in (first, net[2:4](first))], 1)

    net.eval()
    found = in_parts(both, images).cpu().numpy()
    net.train()
    return found


def few_labels(features: np.ndarray, labels: np.ndarray) -> float:
    """The accuracy (%) of a linear classifier that saw 100 labels, over 10 draws of them."""
    x = (features - features.mean(0)) / features.std()
    draws = np.arange(1000).reshape(10, 100)
    fits = (LogisticRegression(C=0.01, max_iter=1000).fit(x[few], labels[few]) for few in draws)
    return 100 * float(np.mean([fit.score(x[1000:], labels[1000:]) for fit in fits]))


def penalty(critic: nn.Module, real: dg.Tensor, drawn: dg.Tensor) -> dg.Tensor:
    """How far the norm of the critic's gradient is from 1 between real and drawn images."""
    share = dg.rand(len(real), 1, 1, 1, device=real.device)
    between = (share * real + (1 - share) * drawn).requires_grad_()
    (slope,) = dg.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def play(g: nn.Module, d: nn.Module, real: dg.Tensor, optimizers: list[dg.optim.Optimizer], loss: Loss) -> None:
    """One step of the discriminator and one of the generator."""
    drawn = g(dg.randn(len(real), CODE, device=real.device))
    fake = drawn.detach()
    if loss == "wgan-gp":
        value = d(fake).mean() - d(real).mean() + 10 * penalty(d, real, fake)
    else:
        value = F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()
    optimizers[1].zero_grad()
    value.backward()
    optimizers[1].step()
    value = -d(drawn).mean() if loss == "wgan-gp" else F.softplus(-d(drawn)).mean()  # which does not saturate
    optimizers[0].zero_grad()
    value.backward()
    optimizers[0].step()


def study(
    s: Study,
    loss: Annotated[Loss, typer.Option(help="What the two nets play for.")] = "dcgan",
    spectral_norm: Annotated[bool, typer.Option("--spectral-norm", help="Bound the discriminator.")] = False,
) -> dict[str, Any]:
    """Train, and watch the distance fall."""
    training, test = fashion(True, 6000 if s.quick else 60000, s.seed), fashion(False, 10000)
    judge = classifier()
    fit(judge, training, 3, 3e-3, s.device)
    judge.eval()

    def judged(images: dg.Tensor) -> np.ndarray:
        return in_parts(lambda x: judge[:-1](((x + 1) / 2 - 0.286) / 0.353), images).cpu().numpy()

    images, unseen = (((t[0] * 0.353 + 0.286) * 2 - 1).to(s.device) for t in (training, test))
    count = 2000 if s.quick else 5000
    known = judged(unseen[:count])
    floor = frechet(known, judged(unseen[count : 2 * count]))
    ceiling = frechet(known, judged(dg.rand_like(unseen[:count]) * 2 - 1))
    width, steps, rate = (16, 800, 1e-3) if s.quick else (32, 8000, 5e-4)
    g, d = generator(width).to(s.device), discriminator(width, spectral_norm).to(s.device)
    features = {"untrained": pooled(d, unseen), "pixels": unseen.flatten(1).cpu().numpy()}
    optimizers = [dg.optim.Adam(m.parameters(), rate, betas=(0.5, 0.9)) for m in (g, d)]
    codes = dg.randn(2 * count, CODE, device=s.device)

    def draw(codes: dg.Tensor) -> dg.Tensor:
        g.eval()
        drawn = in_parts(g, codes)
        g.train()
        return drawn

    distances, rows = {}, []
    for step in s.track(range(steps + 1), loss):
        if step in (0, steps // 8, steps // 4, steps // 2, steps):
            drawn = draw(codes)
            distances[step] = frechet(known, judged(drawn[:count]))
            rows.append(drawn[:8])
        play(g, d, images[dg.randint(len(images), (BATCH,), device=s.device)], optimizers, loss)
    first, last = distances[0], distances[steps]
    measured = f"{first:.0f} to {last:.0f}; real images {floor:.1f}, noise {ceiling:.0f}"
    s.found("distance to real images: falls below a fifth of that of noise", measured, floor < last < 0.2 * ceiling)

    halfway = {"codes": draw((codes[:count] + codes[count:]) / 2), "images": (drawn[:count] + drawn[count:]) / 2}
    between = {name: frechet(known, judged(x)) for name, x in halfway.items()}
    measured = f"distance {between['codes']:.0f} against {between['images']:.0f}"
    s.found(
        "halfway between codes is nearer to clothes than between images", measured, between["codes"] < between["images"]
    )

    features["trained"] = pooled(d, unseen)
    scores = {name: few_labels(f, test[1].numpy()) for name, f in features.items()}
    measured = "{trained:.1f} % against {pixels:.1f} % (an untrained one's {untrained:.1f} %)".format(**scores)
    close = abs(scores["trained"] - scores["pixels"]) < 4
    s.found("100 labels: the discriminator's features and pixels are within 4 points", measured, close)

    share = dg.linspace(0, 1, 8, device=s.device)[:, None]
    rows.append(draw((1 - share) * codes[0] + share * codes[1]))
    with s.figure(1, 2, (11, 4)) as axes:
        curve, grid = axes[0]
        curve.semilogy(list(distances), list(distances.values()), "o-", label="drawn")
        curve.axhline(ceiling, ls="--", color="gray", label="noise")
        curve.axhline(floor, ls=":", color="gray", label="other real images")
        curve.set(title="Frechet distance to real images", xlabel="step")
        curve.legend(fontsize=8)
        tiles = dg.stack(rows).reshape(6, 8, 28, 28).transpose(1, 2).reshape(168, 224)
        grid.imshow(tiles.cpu().numpy(), cmap="gray_r", vmin=-1, vmax=1)
        grid.set_yticks(14 + 28 * np.arange(6), [*(f"step {step}" for step in distances), "between two"])
        grid.set_xticks([])
    return {"real": known, "drawn": judged(drawn[:count]), "distance": last, "between": between, "scores": scores}


if __name__ == "__main__":
    main(study)
