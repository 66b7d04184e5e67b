"""A step of the optimizers over all parameters of a network, against the best of PyTorch's three implementations.

PyTorch chooses its plain loop for a CPU unless it is asked for ``foreach`` or ``fused``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness import Case, main

RESNET18 = [
    (64, 3, 3, 3),
    *[(64, 64, 3, 3)] * 4,
    (128, 64, 3, 3),
    *[(128, 128, 3, 3)] * 3,
    (256, 128, 3, 3),
    *[(256, 256, 3, 3)] * 3,
    (512, 256, 3, 3),
    *[(512, 512, 3, 3)] * 3,
    *[(64,)] * 10,
    *[(128,)] * 10,
    *[(256,)] * 10,
    *[(512,)] * 10,
    (10, 512),
    (10,),
]
NETWORKS = {
    "ResNet-18": RESNET18,
    "MLP 784-256-256-10": [(256, 784), (256,), (256, 256), (256,), (10, 256), (10,)],
    "MLP 10-10-1": [(10, 10), (10,), (1, 10), (1,)],
}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 1e-3},
    "SGD momentum": {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4},
    "AdamW": {"lr": 1e-3},
}


def cases() -> list[Case]:
    return [
        Case(f"{optimizer} {network}", (optimizer, network), quick=network != "MLP 10-10-1")
        for network in NETWORKS
        for optimizer in OPTIMIZERS
    ]


def ours(optimizer: str, network: str) -> Callable[[], Any]:
    import numpy as np

    from deepgpu.backends import registry

    cpu, rng, options = registry.get("cpu"), np.random.default_rng(0), OPTIMIZERS[optimizer]
    params, grads, first, second = (
        [0.1 * rng.random(shape, np.float32) for shape in NETWORKS[network]] for _ in range(4)
    )
    if optimizer == "AdamW":
        rates = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01}
        return lambda: cpu.adam_step(
            params, grads, first, second, None, step=9, decoupled=True, maximize=False, **rates
        )
    rates = {"momentum": 0, "weight_decay": 0, **options, "dampening": 0}
    momenta = first if rates["momentum"] else None
    return lambda: cpu.sgd_step(params, grads, momenta, nesterov=False, maximize=False, first=False, **rates)


def theirs(optimizer: str, network: str) -> dict[str, Callable[[], Any]]:
    import torch

    params = [torch.rand(shape, requires_grad=True) for shape in NETWORKS[network]]
    for param in params:
        param.grad = torch.rand_like(param)
    made = getattr(torch.optim, optimizer.split()[0])
    ways: dict[str, dict[str, bool]] = {
        "loop": {"foreach": False},
        "foreach": {"foreach": True},
        "fused": {"fused": True},
    }
    return {name: made(params, **OPTIMIZERS[optimizer], **way).step for name, way in ways.items()}


if __name__ == "__main__":
    main("optim", cases(), ours, theirs)
