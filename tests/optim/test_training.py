"""A residual net written once and trained with torch and with deepgpu: layers, loss, optimizer, schedule, clipping."""

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import close, copy_weights

SOURCE = """
class Block(nn.Module):
    def __init__(self, planes, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(planes, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(planes, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(True), nn.MaxPool2d(2))
        self.layers = nn.Sequential(Block(6, 6, 1), Block(6, 8, 2))
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.layers(self.stem(x)), 1)
        return self.head(x.flatten(1))

net = Net()
"""


def build(lib):
    names = {"nn": lib.nn, "F": lib.nn.functional, "__name__": "twin"}
    exec(SOURCE, names)
    return names["net"]


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_losses_and_weights_follow_torch_step_by_step(name):
    rng = np.random.default_rng(0)
    data = [(rng.standard_normal((8, 3, 10, 10)), rng.integers(0, 4, 8)) for _ in range(6)]
    nets = [build(lib).double() for lib in (torch, dg)]
    copy_weights(*nets)
    options = {"lr": 0.05, "momentum": 0.9, "nesterov": True} if name == "SGD" else {"lr": 0.01}
    losses = []
    for lib, net in zip((torch, dg), nets, strict=True):
        decay, rest = [], []
        for p in net.parameters():
            (decay if p.dim() > 1 else rest).append(p)
        groups = [{"params": decay, "weight_decay": 1e-2}, {"params": rest, "weight_decay": 0.0}]
        optimizer = getattr(lib.optim, name)(groups, **options)
        scheduler = lib.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=options["lr"], total_steps=6)
        criterion = lib.nn.CrossEntropyLoss(label_smoothing=0.1)
        run = []
        for images, labels in data:
            optimizer.zero_grad()
            loss = criterion(net(lib.from_numpy(images)), lib.from_numpy(labels))
            loss.backward()
            norm = lib.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            run.append((loss.item(), norm.item(), scheduler.get_last_lr()))
        losses.append(run)
    for mine, theirs in zip(losses[1], losses[0], strict=True):
        np.testing.assert_allclose(mine[:2], theirs[:2], rtol=1e-9)
        assert mine[2] == theirs[2]
    state = nets[1].state_dict()
    for key, value in nets[0].state_dict().items():
        close(state[key], value, 1e-8, key)
    with torch.no_grad(), dg.no_grad():
        images = data[0][0]
        close(nets[1].eval()(dg.from_numpy(images)), nets[0].eval()(torch.from_numpy(images)), 1e-8, "evaluation")
