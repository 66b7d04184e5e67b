"""Convolutional networks: volumes in, volumes out, and what the maps show.

Every layer makes a volume of height x width x channels from another. VGG-16 (Simonyan & Zisserman 2015) halves height
and width five times while the channels grow, from 224 x 224 x 64 to 7 x 7 x 512; then come 4096, 4096 and 1000
numbers. A layer that is fully connected to a volume of 7 x 7 x 512 is a 7 x 7 convolution of it, without padding
(Long, Shelhamer & Darrell 2015), so a classifier can be slid over a larger image. What a trained net looks at is
shown by its activation maps and by Grad-CAM (Selvaraju et al. 2017).
"""

from typing import Any

import numpy as np
from study import Study, accuracy, fashion, fit, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F
from deepgpu.vision import datasets, models
from deepgpu.viz import activations, draw_activations, summarize

LAYERS = ["conv1", "layer2.0.conv1", "layer3.0.conv2"]


def drop(net: nn.Module, image: dg.Tensor, device: Any) -> tuple[float, float]:
    """How much the class's probability falls without the half of the picture that Grad-CAM has highest, and lowest."""
    seen = activations(net, image.to(device), LAYERS)
    cam = F.interpolate(dg.tensor(seen.cam)[None, None], size=(28, 28), mode="bilinear")[0, 0].numpy()
    upper = np.zeros(cam.size, bool)
    upper[cam.ravel().argsort()[cam.size // 2 :]] = True
    pixels = image[0].numpy()
    cut = [np.where(half.reshape(28, 28), pixels.min(), pixels) for half in (upper, ~upper)]
    with dg.no_grad():
        p = net(dg.tensor(np.stack(cut)[:, None]).to(device)).softmax(1)[:, seen.target].tolist()
    now = float(seen.probabilities[seen.target])
    return now - p[0], now - p[1]


def study(s: Study) -> dict[str, Any]:
    """Volumes of VGG-16, a pool, a layer in two forms, and a trained net's activations."""
    summary = summarize(models.vgg16(), (3, 224, 224))
    volumes = [layer.output for layer in summary.layers if layer.kind in ("Conv2d", "MaxPool2d", "Linear")]
    halvings = [v for v in volumes if len(v) == 3][-1]
    measured = f"{'x'.join(map(str, volumes[0]))} ... {'x'.join(map(str, halvings))}, then {volumes[-3][0]}, 4096, 1000"
    s.found("VGG-16's volumes (C x H x W)", measured, halvings == (512, 7, 7) and volumes[-1] == (1000,))
    linear = sum(layer.parameters for layer in summary.layers if layer.kind == "Linear") / summary.parameters
    work = sum(layer.multiply_adds for layer in summary.layers if layer.kind == "Conv2d") / summary.multiply_adds
    s.found("linear layers hold the weights", f"{linear:.0%} of {summary.parameters:,} parameters", linear > 0.8)
    giga = summary.multiply_adds / 1e9
    s.found("convolutions do the work", f"{work:.0%} of {giga:.2f} G multiply-adds", work > 0.95)

    example = dg.tensor([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], dtype=dg.float32)
    pooled = F.max_pool2d(example[None, None], 2)[0, 0].int().tolist()
    s.found("max-pooling 2 x 2 of [[1,1,2,4],[5,6,7,8],[3,2,1,0],[1,2,3,4]]", str(pooled), pooled == [[6, 8], [3, 4]])
    outputs = 256 if s.quick else 4096
    connected, slid = nn.Linear(512 * 7 * 7, outputs), nn.Conv2d(512, outputs, 7)
    with dg.no_grad():
        slid.weight.copy_(connected.weight.reshape(outputs, 512, 7, 7))
        slid.bias.copy_(connected.bias)
        volume = dg.randn(2, 512, 7, 7)
        difference = float((connected(volume.flatten(1)) - slid(volume).flatten(1)).abs().max())
        positions = tuple(slid(dg.randn(1, 512, 9, 10)).shape[2:])
    measured = f"largest difference {difference:.0e}; on 9 x 10 it has {positions[0]} x {positions[1]} places"
    s.found("fully connected to 7x7x512 = a 7x7 convolution", measured, difference < 1e-4 and positions == (3, 4))

    net = models.resnet8(in_channels=1, width=8)
    fit(net, fashion(True, 4000 if s.quick else 60000, s.seed), 3, 1e-2, s.device)
    images, labels = fashion(False, 1000)
    score = accuracy(net, (images, labels), s.device)
    s.found("a small ResNet learns in 3 epochs (chance: 10 %)", f"{100 * score:.1f} % right", score > 0.6)
    with dg.no_grad():
        right = net.eval()(images.to(s.device)).argmax(1).cpu() == labels
    chosen = [i for i in range(len(images)) if bool(right[i])][:100]
    drops = np.array([drop(net, images[i], s.device) for i in s.track(chosen, "Grad-CAM")])
    error = float((drops[:, 0] - drops[:, 1]).std(ddof=1) / len(drops) ** 0.5)
    high, low = drops.mean(0)
    measured = f"{high:.2f} without its upper half, {low:.2f} without the lower (difference ± {error:.2f})"
    s.found("Grad-CAM finds what the class hangs on: loss of p", measured, high - low > 2 * error)
    shown = next(i for i in chosen if int(labels[i]) == 7)  # a sneaker
    seen = activations(net, images[shown].to(s.device), LAYERS)
    pixels = images[shown, 0].numpy()
    names = list(datasets.FashionMNIST.classes)
    draw_activations(seen, pixels, s.picture, names, title="a ResNet-8 after three epochs")
    return {"volumes": volumes, "pooled": pooled, "difference": difference, "accuracy": score, "drops": drops}


if __name__ == "__main__":
    main(study)
