"""Activation maps and Grad-CAM against PyTorch."""

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import deepgpu as dg
from deepgpu import nn
from deepgpu.cli.app import app
from deepgpu.viz import activations, draw_activations
from deepgpu.viz.activations import mosaic


def pair():
    """The same small net, ours and PyTorch's."""
    made = []
    for library in (nn, torch.nn):
        parts = [library.Conv2d(3, 5, 3), library.ReLU(), library.Conv2d(5, 6, 3, stride=2), library.ReLU()]
        made.append(library.Sequential(*parts, library.Flatten(), library.Linear(6 * 4 * 4, 7)))
    state = {k: torch.from_numpy(v.numpy().copy()) for k, v in made[0].state_dict().items()}
    made[1].load_state_dict(state)
    return made


@pytest.mark.parametrize("target", [None, 3])
def test_maps_and_grad_cam(target):
    net, twin = pair()
    image = np.random.default_rng(0).standard_normal((3, 11, 11)).astype(np.float32)
    seen = activations(net, dg.tensor(image), ["0", "3"], target)
    first = twin[0](torch.from_numpy(image)[None])
    last = twin[3](twin[2](twin[1](first)))
    last.retain_grad()
    logits = twin[5](twin[4](last))
    wanted = int(logits.argmax()) if target is None else target
    logits[0, wanted].backward()
    cam = (last.grad.mean((2, 3), keepdim=True) * last).sum(1).relu()[0].detach().numpy()
    assert seen.target == wanted
    np.testing.assert_allclose(seen.maps["0"], first[0].detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(seen.maps["3"], last[0].detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(seen.cam, cam / max(cam.max(), 1e-12), atol=1e-4)
    np.testing.assert_allclose(seen.probabilities, logits.softmax(1)[0].detach().numpy(), atol=1e-6)
    np.testing.assert_array_equal(seen.filters, net[0].weight.detach().numpy())
    assert all(p.grad is None for p in net.parameters())
    assert net.training


def test_errors():
    net, _ = pair()
    image = dg.zeros(3, 11, 11)
    with pytest.raises(ValueError, match="`layers` has 'x', which the model does not; it has 0, 2"):
        activations(net, image, ["x"])
    with pytest.raises(ValueError, match="'5' gave no maps"):
        activations(net, image, ["5"])
    with pytest.raises(ValueError, match="`target` takes a class from 0 to 6, but got 7"):
        activations(net, image, target=7)
    with pytest.raises(ValueError, match="has no Conv2d"):
        activations(nn.Linear(3, 2), image)


def test_mosaic():
    tiles = np.arange(3 * 4).reshape(3, 2, 2)
    found = mosaic(tiles, columns=2)
    assert found.shape == (6, 6)
    np.testing.assert_allclose(found[:2, :2], tiles[0] / 3)
    np.testing.assert_allclose(found[3:5, :2], (tiles[2] - 8) / 3)


def test_picture_and_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, _ = pair()
    image = np.random.default_rng(0).integers(0, 255, (11, 11, 3)).astype(np.uint8)
    seen = activations(net, dg.tensor(image.transpose(2, 0, 1) / np.float32(255)))
    draw_activations(seen, image, "x.png", list("abcdefg"), title="net")
    Image.fromarray(image).save("photo.png")
    done = CliRunner().invoke(
        app, ["activations", "resnet8", "photo.png", "--layer", "layer3.0.conv1", "--out", "y.png"]
    )
    assert done.exit_code == 0, done.output
    assert "layer3.0.conv1" in done.output
    assert done.output.count("class ") == 3
    for name in ("x.png", "y.png"):
        with Image.open(name) as picture:
            assert picture.size[0] > 400
    done = CliRunner().invoke(app, ["activations", "resnet8", "photo.png", "--layer", "fc"])
    assert done.exit_code == 2
