"""The training loop: it learns, it can be killed at any time, and bad input or a full disk loses nothing."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import deepgpu as dg
from deepgpu import nn, optim
from deepgpu.train import EarlyStopping, NonFiniteError, Trainer, TrainingInterrupted, checkpoint, read_log
from deepgpu.train.display import Lines, Silence
from deepgpu.utils.data import TensorDataset
from tests.train import toy


def weights(trainer):
    return {name: t.numpy().copy() for name, t in trainer.model.state_dict().items()}


def same(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.fixture(scope="module")
def uninterrupted():
    """Weights and history of three epochs in one go."""
    trainer, batches, validation = toy.make()
    return trainer.fit(batches, validation, epochs=3), weights(trainer)


def without_time(history):
    return [{k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in history]


def test_learns(uninterrupted):
    history, _ = uninterrupted
    assert [r["epoch"] for r in history] == [1, 2, 3]
    assert history[2]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert history[2]["validation_accuracy"] > 0.8


def test_agrees_with_a_loop_written_out(uninterrupted):
    trainer, batches, _ = toy.make()
    net, optimizer, scheduler = trainer.model, trainer.optimizer, trainer.scheduler
    losses = []
    for _ in range(3):
        net.train()
        for x, y in batches:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    # the validation of the trainer draws an epoch's seed from the default generator, which dropout draws from too
    history, _ = uninterrupted
    assert np.mean(losses[: toy.STEPS]) == pytest.approx(history[0]["train_loss"], rel=1e-12)


def test_files_of_a_run(tmp_path):
    trainer, batches, validation = toy.make(tmp_path, log_steps=5)
    history = trainer.fit(batches, validation, epochs=2)
    records = read_log(tmp_path / "log.jsonl")
    assert [r["step"] for r in records if r["event"] == "step"] == [5, 10, 15, 20]
    epochs = [{k: v for k, v in r.items() if k not in ("event", "step")} for r in records if r["event"] == "epoch"]
    assert epochs == history
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["validation_accuracy"]) for r in rows] == [r["validation_accuracy"] for r in history]
    assert [p.name for p in trainer._saver.checkpoints.paths()] == [
        "step-00000020.safetensors",
        "step-00000010.safetensors",
    ]
    from safetensors import safe_open

    with safe_open(tmp_path / "best.safetensors", "np") as file:
        best = json.loads(file.metadata()["record"])
        assert set(file.keys()) == set(trainer.model.state_dict())
    assert best["validation_accuracy"] == max(r["validation_accuracy"] for r in history)


@pytest.mark.parametrize("kill_at", [7, 23])
def test_kill_and_resume_gives_the_same_weights(tmp_path, uninterrupted, kill_at):
    """kill -9 in the middle of an epoch, then --resume, in processes of their own: the same weights, bit for bit."""
    command = [sys.executable, "-m", "tests.train.toy", str(tmp_path)]
    killed = subprocess.run([*command, "fresh", str(kill_at)], check=False)
    assert killed.returncode == -signal.SIGKILL
    trainer, batches, validation = toy.make(tmp_path, seed=5, save_steps=4)  # another seed: all comes from the file
    assert trainer._saver.checkpoints.paths()
    history = trainer.fit(batches, validation, epochs=3, resume=True)
    expected, final = uninterrupted
    same(weights(trainer), final)
    assert without_time(history) == without_time(expected)


def test_log_of_a_resumed_run_is_that_of_an_uninterrupted_one(tmp_path, uninterrupted):
    trainer, batches, validation = toy.make(tmp_path, save_steps=4, log_steps=1)

    def fail():
        raise RuntimeError("power cut")

    toy.at_step(trainer, 15, fail)
    with pytest.raises(RuntimeError, match="power cut"):
        trainer.fit(batches, validation, epochs=3)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"event": "st')  # cut off by the power cut
    assert read_log(tmp_path / "log.jsonl")[-1]["step"] == 14
    trainer, batches, validation = toy.make(tmp_path, save_steps=4, log_steps=1)
    trainer.fit(batches, validation, epochs=3, resume=True)
    records = read_log(tmp_path / "log.jsonl")
    assert [r["step"] for r in records if r["event"] == "step"] == list(range(1, 31))
    assert [r["epoch"] for r in records if r["event"] == "epoch"] == [1, 2, 3]
    assert without_time(trainer.position.history) == without_time(uninterrupted[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_behind_the_batch(tmp_path, uninterrupted, number):
    before = signal.getsignal(number)
    trainer, batches, validation = toy.make(tmp_path)
    toy.at_step(trainer, 13, lambda: signal.raise_signal(number))
    with pytest.raises(TrainingInterrupted, match=r"in epoch 2 after batch 3") as stopped:
        trainer.fit(batches, validation, epochs=3)
    assert signal.getsignal(number) == before
    assert stopped.value.checkpoint.name == "step-00000013.safetensors"
    trainer, batches, validation = toy.make(tmp_path)
    trainer.fit(batches, validation, epochs=3, resume=True)
    same(weights(trainer), uninterrupted[1])


def test_ctrl_c_in_the_validation(tmp_path, uninterrupted):
    trainer, batches, validation = toy.make(tmp_path)
    sent = []

    def hook(module, args):
        if not module.training and not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGINT)

    trainer.model.register_forward_pre_hook(hook)
    with pytest.raises(TrainingInterrupted, match=r"in epoch 1 after batch 10"):
        trainer.fit(batches, validation, epochs=3)
    trainer, batches, validation = toy.make(tmp_path)
    history = trainer.fit(batches, validation, epochs=3, resume=True)
    same(weights(trainer), uninterrupted[1])
    assert without_time(history) == without_time(uninterrupted[0])


def test_second_ctrl_c_stops_at_once(tmp_path):
    trainer, batches, validation = toy.make(tmp_path)

    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    toy.at_step(trainer, 3, twice)
    with pytest.raises(KeyboardInterrupt) as stopped:
        trainer.fit(batches, validation, epochs=3)
    assert not isinstance(stopped.value, TrainingInterrupted)
    assert trainer.position.step == 2


def test_more_epochs_after_the_end(tmp_path, uninterrupted):
    trainer, batches, validation = toy.make(tmp_path)
    trainer.fit(batches, validation, epochs=2)
    trainer, batches, validation = toy.make(tmp_path)
    trainer.fit(batches, validation, epochs=3, resume=True)
    same(weights(trainer), uninterrupted[1])
    trainer, batches, validation = toy.make(tmp_path)
    assert len(trainer.fit(batches, validation, epochs=3, resume=True)) == 3
    assert trainer.position.step == 30


class Overflow(nn.Module):
    """Becomes infinite when it is told to."""

    def __init__(self):
        super().__init__()
        self.at_step = None

    def forward(self, x):
        return x if self.at_step is None else x * self.at_step


def test_loss_that_is_nan_stops_and_names_the_layer(tmp_path):
    trainer, batches, validation = toy.make(tmp_path, save_steps=4)
    trainer.model.drop = nn.Sequential(nn.Identity(), Overflow(), nn.Identity())
    toy.at_step(trainer, 7, lambda: setattr(trainer.model.drop[1], "at_step", float("nan")))
    with pytest.raises(NonFiniteError) as stopped:
        trainer.fit(batches, validation, epochs=1)
    text = str(stopped.value)
    assert stopped.value.layer == "drop.1"
    assert "the loss became nan in epoch 1 after 6 batches" in text
    assert "the first layer whose output is not finite is `drop.1` (Overflow)" in text
    assert "the last good checkpoint is" in text
    assert "step-00000004.safetensors" in text
    assert trainer.position.step == 6
    trainer, batches, validation = toy.make(tmp_path)
    trainer._saver.restore(batches, None)
    assert all(np.isfinite(w).all() for w in weights(trainer).values())


def test_spoilt_parameters_are_named_and_never_saved(tmp_path):
    trainer, batches, validation = toy.make(tmp_path, save_steps=4)

    def spoil():
        with dg.no_grad():
            trainer.model.fc.weight[0, 0] = float("inf")

    trainer.optimizer.register_step_post_hook(lambda *_: spoil() if trainer.position.step == 7 else None)
    with pytest.raises(
        NonFiniteError, match=r"`fc\.weight` became NaN or infinite in epoch 1 after 8 batches"
    ) as stopped:
        trainer.fit(batches, validation, epochs=1)
    assert stopped.value.layer == "fc"
    assert [p.name for p in trainer._saver.checkpoints.paths()] == ["step-00000004.safetensors"]


def test_spoilt_parameters_found_by_the_loss(tmp_path):
    trainer, batches, validation = toy.make(tmp_path)

    def spoil():
        with dg.no_grad():
            trainer.model.conv.weight[0, 0, 0, 0] = float("nan")

    toy.at_step(trainer, 3, spoil)
    with pytest.raises(NonFiniteError, match=r"the weight of layer `conv` \(Conv2d\) is not finite") as stopped:
        trainer.fit(batches, validation, epochs=1)
    assert stopped.value.layer == "conv"


def test_bad_batch_is_told_from_a_bad_layer():
    images, labels = toy.patterns(160, 1).tensors
    images[5, 0, 0, 0] = float("nan")
    trainer, batches, _ = toy.make(data=TensorDataset(images, labels))
    with pytest.raises(NonFiniteError, match="the batch itself holds values that are not finite"):
        trainer.fit(batches, epochs=1)


def test_high_learning_rate_diverges_with_a_clear_error(tmp_path):
    trainer, batches, validation = toy.make(tmp_path, lr=1e18, scheduler=None)
    with pytest.raises(NonFiniteError, match=r"a smaller learning rate than 1e\+18"):
        trainer.fit(batches, validation, epochs=2)


def test_label_out_of_range(tmp_path):
    images, labels = toy.patterns(160, 1).tensors
    labels[77] = 4
    trainer, batches, validation = toy.make(tmp_path, data=TensorDataset(images, labels), save_steps=1)
    with pytest.raises(IndexError, match=r"`target` takes class indices in 0\.\.3 .*but got 4"):
        trainer.fit(batches, validation, epochs=1)
    trainer, batches, validation = toy.make(tmp_path, save_steps=1)
    trainer.fit(batches, validation, epochs=1, resume=trainer.position.step > 0)
    assert trainer.position.step == toy.STEPS


class Sayings(Silence):
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)


def full_disk(monkeypatch, while_):
    """Writing a checkpoint fails as on a full disk, while ``while_()``."""
    real = checkpoint.save_tensors

    def save(tensors, path, metadata=None):
        if while_():
            (path.parent / f".{path.name}.tmp").write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(tensors, path, metadata)

    monkeypatch.setattr(checkpoint, "save_tensors", save)


def test_full_disk_keeps_the_old_checkpoint_and_goes_on(tmp_path, monkeypatch, uninterrupted):
    display = Sayings()
    trainer, batches, validation = toy.make(tmp_path, save_steps=4, display=display)
    full_disk(monkeypatch, lambda: 8 <= trainer.position.step <= 24)
    trainer.fit(batches, validation, epochs=3)
    shown = [s for s in display.said if "could not save a checkpoint" in s]
    assert len(shown) == 7  # steps 8, 10, 12, 16, 20, 20, 24
    assert "No space left on device" in shown[0]
    assert "the last good checkpoint is" in shown[0]
    assert "step-00000004.safetensors" in shown[0]
    same(weights(trainer), uninterrupted[1])


def test_full_disk_at_the_end_is_an_error(tmp_path, monkeypatch):
    trainer, batches, validation = toy.make(tmp_path, save_steps=4)
    full_disk(monkeypatch, lambda: trainer.position.step > 4)
    with pytest.raises(OSError, match="No space left on device"):
        trainer.fit(batches, validation, epochs=1)
    assert [p.name for p in trainer._saver.checkpoints.paths()] == ["step-00000004.safetensors"]
    trainer, batches, validation = toy.make(tmp_path)
    monkeypatch.undo()
    trainer.fit(batches, validation, epochs=1, resume=True)
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_early_stopping(tmp_path):
    trainer, batches, validation = toy.make(tmp_path, lr=1e-9, early_stopping=EarlyStopping(2, min_delta=2.0))
    assert len(trainer.fit(batches, validation, epochs=50)) == 3
    trainer, batches, validation = toy.make(tmp_path, lr=1e-9, early_stopping=EarlyStopping(2, min_delta=2.0))
    assert len(trainer.fit(batches, validation, epochs=50, resume=True)) == 3


def test_clip_norm():
    trainer, batches, _ = toy.make(lr=1.0, scheduler=None, clip_norm=1e-3)
    trainer.optimizer.param_groups[0].update(momentum=0.0, weight_decay=0.0)
    before = weights(trainer)
    trainer.fit([next(iter(batches))], epochs=1)
    parameters = dict(trainer.model.named_parameters())
    moved = np.sqrt(sum(((weights(trainer)[n] - before[n]) ** 2).sum() for n in parameters))
    assert moved == pytest.approx(1e-3, rel=1e-3)


def test_plain_batches_and_scheduler_by_epoch(tmp_path):
    """A list of batches cannot go on in the middle: checkpoints are saved between epochs only."""
    trainer, batches, _ = toy.make(tmp_path, save_steps=1, scheduler=None)
    trainer.scheduler = optim.lr_scheduler.StepLR(trainer.optimizer, 1, gamma=0.5)
    trainer.scheduler_interval = "epoch"
    history = trainer.fit(list(batches), epochs=2)
    assert [r["lr"] for r in history] == pytest.approx([0.05, 0.025])
    assert [p.name[5:13] for p in trainer._saver.checkpoints.paths()] == ["00000020", "00000010"]
    assert "validation_loss" not in history[0]
    assert not (tmp_path / "best.safetensors").exists()


def test_regression_has_a_loss_and_no_accuracy():
    net = nn.Linear(3, 1)
    trainer = Trainer(net, optim.SGD(net.parameters(), lr=0.1), loss=nn.MSELoss(), display=Silence(), device="cpu")
    x = dg.randn(64, 3)
    history = trainer.fit([(x, x.sum(1, keepdim=True))] * 50, epochs=2)
    assert history[1]["train_loss"] < 1e-3
    assert np.isnan(history[1]["train_accuracy"])


def test_errors_before_the_start(tmp_path):
    trainer, _, validation = toy.make()
    with pytest.raises(ValueError, match="`batches` is empty"):
        trainer.fit([], validation, epochs=1)
    with pytest.raises(ValueError, match="`resume` needs a `folder`"):
        trainer.fit([], epochs=1, resume=True)
    with pytest.raises(ValueError, match="`scheduler_interval` takes"):
        toy.make(scheduler_interval="week")
    trainer, batches, _ = toy.make(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint in"):
        trainer.fit(batches, epochs=1, resume=True)
    trainer.fit(batches, epochs=1)
    trainer, batches, _ = toy.make(tmp_path, scheduler=None)
    with pytest.raises(ValueError, match="resume with the settings it was started with"):
        trainer.fit(batches, epochs=2, resume=True)


def test_lines_are_shown_without_a_terminal(capsys):
    trainer, batches, validation = toy.make(display=Lines(seconds=0.0))
    trainer.fit(batches, validation, epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == toy.STEPS + 2 + 1
    assert lines[3].startswith("epoch 1/1  batch 4/10  loss ")
    assert "images/s" in lines[3]
    assert lines[3].endswith("left")
    assert lines[-1].startswith("epoch 1/1  train loss ")
    assert lines[-1].endswith("(best)")
