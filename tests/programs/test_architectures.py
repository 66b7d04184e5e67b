"""Public architectures, one PyTorch source each, built with both libraries: loss, gradients, a step, evaluation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import deepgpu as dg
import deepgpu.nn.functional as F
from deepgpu.vision import models
from tests.programs.swap import load

# (source, builder): the kind of data it takes
IMAGES = {
    "classic": ["AlexNet", "vgg", "vgg_bn"],
    "residual": ["resnet", "preact_resnet", "se_resnet", "resnext", "wide_resnet"],
    "branches": ["DenseNet", "efficient_densenet", "GoogLeNet"],
    "mobile": ["MobileNetV1", "MobileNetV2", "ShuffleNetV2", "EfficientNet"],
}
MAPS = {"branches": ["UNet", "bilinear_unet"]}
SEQUENCES = {
    "sequences": ["CharLSTM", "BiGRUClassifier", "GPT", "TransformerModel", "Seq2Seq", "AttentionGRUCell"],
}
KINDS = {"images": IMAGES, "maps": MAPS, "sequences": SEQUENCES}
CASES = [(kind, s, b) for kind, sources in KINDS.items() for s, builders in sources.items() for b in builders]
# float32 has kernels of its own; a ReLU may tip there, hence the tolerance.
IN_FLOAT32 = [c for c in CASES if c[2] in ("vgg_bn", "preact_resnet", "DenseNet", "ShuffleNetV2", "UNet", "CharLSTM")]


def batch(kind, dtype):
    """An input and a target, in NumPy."""
    rng = np.random.default_rng(0)
    if kind == "sequences":
        x = rng.integers(1, 13, (3, 9))
        x[1, 6:] = 0
        return x, rng.integers(0, 13, (3, 9))
    x = rng.standard_normal((4, 3, 32, 32) if kind == "images" else (2, 3, 18, 21)).astype(dtype)
    return x, rng.integers(0, 10, 4) if kind == "images" else rng.integers(0, 3, (2, 18, 21))


def loss_of(functional, logits, target):
    if logits.ndim == 3:  # a sequence of logits
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))
    if target.ndim == 2:  # a sequence that is classified as a whole
        target = target[:, 0]
    return functional.cross_entropy(logits, target)


def twins(kind, source, builder, dtype):
    """The nets of both libraries with the same weights, in training mode."""
    torch.manual_seed(0)
    theirs = getattr(load(f"architectures/{source}.py", "torch"), builder)().to(getattr(torch, dtype))
    with torch.no_grad():
        for p in theirs.parameters():
            if p.ndim == 1:  # norms and biases that do something
                p.add_(0.1 * torch.randn_like(p))
    ours = getattr(load(f"architectures/{source}.py", "deepgpu"), builder)().to(getattr(dg, dtype))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: dg.from_numpy(t.numpy().copy()) for k, t in theirs.state_dict().items()})
    return ours.train(), theirs.train()


def error(ours, theirs, scale=0.0):
    """The relative error in the 2-norm; ``scale`` is the size below which an array is zero but for rounding."""
    a, b = (np.asarray(t.detach().numpy(), np.float64) for t in (ours, theirs))
    assert a.shape == b.shape
    return np.linalg.norm(a - b) / max(np.linalg.norm(b), scale)


@pytest.mark.parametrize(
    ("kind", "source", "builder", "dtype", "tolerance"),
    [(*case, "float64", 1e-9) for case in CASES] + [(*case, "float32", 2e-2) for case in IN_FLOAT32],
    ids=[f"{builder}-float64" for _, _, builder in CASES] + [f"{builder}-float32" for _, _, builder in IN_FLOAT32],
)
def test_same_source_same_training_step(kind, source, builder, dtype, tolerance):
    ours, theirs = twins(kind, source, builder, dtype)
    x, y = batch(kind, dtype)
    expected = loss_of(TF, theirs(torch.from_numpy(x)), torch.from_numpy(y))
    found = loss_of(F, ours(dg.from_numpy(x)), dg.from_numpy(y))
    assert error(found, expected) < tolerance
    expected.backward()
    found.backward()
    grads = {name: p.grad for name, p in theirs.named_parameters()}
    assert [name for name, _ in ours.named_parameters()] == list(grads)
    # a bias in front of a norm has no effect: its gradient is rounding only
    largest = max(float(g.norm()) for g in grads.values() if g is not None)
    for name, p in ours.named_parameters():
        assert (p.grad is None) == (grads[name] is None), name
        if p.grad is not None:
            assert error(p.grad, grads[name], 1e-3 * largest) < tolerance, name
    torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True).step()
    dg.optim.SGD(ours.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True).step()
    for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert error(a, b, 1e-3) < tolerance, name  # running statistics too
    ours.eval()
    theirs.eval()
    with torch.no_grad(), dg.no_grad():
        assert error(ours(dg.from_numpy(x)), theirs(torch.from_numpy(x))) < 10 * tolerance


def test_our_unet_is_the_public_one():
    torch.manual_seed(0)
    theirs = load("architectures/branches.py", "torch").UNet().double()
    ours = models.UNet(3, width=8, depth=2).double()
    state = zip(ours.state_dict(), theirs.state_dict().values(), strict=True)  # other names, the same order
    ours.load_state_dict({key: dg.from_numpy(t.numpy().copy()) for key, t in state})
    x = np.random.default_rng(0).standard_normal((2, 3, 16, 24))
    assert error(ours(dg.from_numpy(x)), theirs(torch.from_numpy(x))) < 1e-12
