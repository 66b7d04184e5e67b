"""The training loop on device "cuda", emulated without a GPU."""

import numpy as np

import deepgpu as dg
from deepgpu.testing import usable
from tests.train import toy


def trained(folder, device, epochs, resume=False):
    trainer, batches, validation = toy.make(folder, device=device)
    trainer.model.drop.p = 0.0  # the devices drop different elements
    history = trainer.fit(batches, validation, epochs=epochs, resume=resume)
    return trainer, [record["train_loss"] for record in history]


def test_learns_what_it_learns_on_the_cpu_and_goes_on_where_it_was(tmp_path):
    _, expected = trained(None, "cpu", 2)
    with usable("cuda"):
        trainer, losses = trained(tmp_path / "run", "cuda", 1)
        filters = trainer.model.conv.weight
        assert filters.device.type == "cuda"
        assert filters.is_contiguous(memory_format=dg.channels_last)
        resumed, after = trained(tmp_path / "run", "cuda", 2, resume=True)
        momentum = resumed.optimizer.state[resumed.model.conv.weight]["momentum_buffer"]
        assert momentum.stride() == resumed.model.conv.weight.stride()
    np.testing.assert_allclose([*losses, after[-1]], expected, rtol=1e-4)
