"""SummaryWriter writes what TensorBoard reads, and says what to install."""

import builtins

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.utils.tensorboard import SummaryWriter


def test_writes_scalars_images_and_histograms(tmp_path):
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("loss", dg.tensor(1.5, requires_grad=True), 3)
        writer.add_scalars("both", {"a": dg.tensor(1.0), "b": 2.0}, 0)
        writer.add_image("image", dg.rand(3, 4, 4), 0)
        writer.add_histogram("weights", dg.randn(10).bfloat16(), 0)
        assert writer.get_logdir() == str(tmp_path / "run")
    from tensorboardX.proto.event_pb2 import Event

    values = {}
    for file in (tmp_path / "run").glob("events*"):
        data = file.read_bytes()
        while data:  # length, its checksum, the event, its checksum
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            values |= {v.tag: (event.step, v) for v in event.summary.value}
            data = data[16 + size :]
    step, loss = values["loss"]
    assert (step, loss.simple_value) == (3, 1.5)
    assert values["image"][1].image.height == 4
    np.testing.assert_equal(values["weights"][1].histo.num, 10)


def test_graphs_are_refused(tmp_path):
    with SummaryWriter(tmp_path) as writer, pytest.raises(NotImplementedError, match="deepgpu summary"):
        writer.add_graph(dg.nn.Linear(2, 2))


def test_unknown_methods(tmp_path):
    with SummaryWriter(tmp_path) as writer, pytest.raises(AttributeError, match="add_nothing"):
        writer.add_nothing()


def test_without_tensorboardx_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'deepgpu\[tensorboard\]'"):
        SummaryWriter()
