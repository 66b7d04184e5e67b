"""A training that takes a second: four classes of noisy 8 x 8 patterns, a convolution, dropout, batch norm.

Run as a script it trains in a process of its own, which a test can kill::

    python -m tests.train.toy FOLDER RESUME KILL_AT_STEP
"""

import os
import signal
import sys

import deepgpu as dg
from deepgpu import nn, optim
from deepgpu.train import Trainer, seed_all
from deepgpu.train.display import Silence
from deepgpu.utils.data import DataLoader, TensorDataset

STEPS = 10  # an epoch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(4 * 64, 4)

    def forward(self, x):
        return self.fc(self.drop(nn.functional.relu(self.norm(self.conv(x)))).flatten(1))


def patterns(samples, seed):
    generator = dg.Generator().manual_seed(seed)
    labels = dg.randint(0, 4, (samples,), generator=generator)
    templates = dg.randn(4, 1, 8, 8, generator=dg.Generator().manual_seed(99))
    return TensorDataset(templates[labels] + dg.randn(samples, 1, 8, 8, generator=generator), labels)


def make(folder=None, seed=0, lr=0.05, data=None, **settings):
    """A trainer and its loaders, always the same for a seed."""
    seed_all(seed)
    net = Net()
    optimizer = optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-3)
    options = {"save_seconds": None, "display": Silence(), "device": "cpu"}
    if "scheduler" not in settings:
        options["scheduler"] = optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=100)
    trainer = Trainer(net, optimizer, folder=folder, **{**options, **settings})
    data = data or patterns(16 * STEPS, 1)
    batches = DataLoader(data, 16, shuffle=True, drop_last=True, generator=dg.Generator().manual_seed(seed))
    return trainer, batches, DataLoader(patterns(64, 2), 32)


def at_step(trainer, step, action):
    """Call ``action`` in the forward pass of a step."""

    def hook(module, args):
        if module.training and trainer.position.step == step - 1:
            action()

    return trainer.model.register_forward_pre_hook(hook)


if __name__ == "__main__":
    folder, resume, kill_at = sys.argv[1], sys.argv[2] == "resume", int(sys.argv[3])
    made, batches, validation = make(folder, save_steps=4)
    if kill_at:
        at_step(made, kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL))
    made.fit(batches, validation, epochs=3, resume=resume)
