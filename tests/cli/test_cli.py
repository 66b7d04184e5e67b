"""The command line, as a person uses it."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import deepgpu as dg
from deepgpu.cli.app import app
from deepgpu.serialization import load_tensors
from deepgpu.train import read_log
from deepgpu.vision.datasets import Digits

TRAIN = ["train", "--model", "resnet8", "--data", "digits", "--set", "width=4", "--epochs", "2", "--device", "cpu"]
SHORT = [*TRAIN, "--validation", "0.8", "--epochs", "1"]  # 4 steps


def deepgpu(*arguments, code=0):
    """Run a command in this process; its output, and what it wrote to standard error."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exit_code != code:
        raise AssertionError(f"exit code {result.exit_code}: {result.output}") from result.exception
    return result.output


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEPGPU_DEBUG", raising=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of two epochs, and what was printed."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return folder, deepgpu(*TRAIN, "--out", folder, "--seed", "3")


def test_train_leaves_everything_behind(trained):
    folder, output = trained
    assert {p.name for p in folder.iterdir()} == {
        "best.safetensors",
        "checkpoints",
        "config.json",
        "curves.png",
        "log.csv",
        "log.jsonl",
    }
    assert "resnet8 (4,934 parameters) on digits: 1,293 training, 144 validation, 360 test images; cpu" in output
    epochs = [r for r in read_log(folder / "log.jsonl") if r["event"] == "epoch"]
    assert len(epochs) == 2
    assert epochs[1]["train_loss"] < epochs[0]["train_loss"]
    assert epochs[1]["validation_accuracy"] > 0.3
    with Image.open(folder / "curves.png") as picture:
        assert picture.size[0] > 500
    recipe = json.loads((folder / "config.json").read_text())["recipe"]
    assert (recipe["seed"], recipe["model_args"], recipe["batch_size"]) == (3, {"width": 4}, 64)


def test_eval_agrees_with_the_training(trained):
    folder, output = trained
    reported = output.splitlines()[-1]
    assert reported.startswith("test accuracy ")
    evaluated = deepgpu("eval", folder)
    assert "digits, test: 360 images" in evaluated
    assert evaluated.splitlines()[-1].split("%")[0].split()[-1] == reported.split("%")[0].split()[-1]
    epochs = [r for r in read_log(folder / "log.jsonl") if r["event"] == "epoch"]
    best = max(r["validation_accuracy"] for r in epochs)
    assert f"accuracy {100 * best:.2f} %" in deepgpu("eval", folder, "--part", "validation")
    assert "1,293 images" in deepgpu("eval", folder, "--part", "train")


def test_predict(trained, tmp_path):
    folder, _ = trained
    images = Digits(train=False).data.numpy()
    for i in range(3):
        Image.fromarray(images[i]).save(tmp_path / f"{i}.png")
        Image.fromarray(255 - images[i]).resize((80, 80), Image.Resampling.NEAREST).save(tmp_path / f"big{i}.png")
    lines = deepgpu("predict", "0.png", "1.png", "2.png", "--run", folder, "--top", "10").splitlines()
    from deepgpu.train.run import Run

    run = Run(folder)
    with dg.no_grad():
        batch = dg.stack([run.image.for_data(None, False)(Image.fromarray(images[i])) for i in range(3)])
        expected = run.model()[0](batch).softmax(1).numpy()
    for i, line in enumerate(lines):
        name, _, found = line.partition(": ")
        assert name == f"{i}.png"
        shares = dict(item.rsplit(" ", 2)[:2] for item in found.split(", "))
        for digit, share in shares.items():
            assert float(share) == pytest.approx(100 * expected[i, int(digit)], abs=0.051)
        assert next(iter(shares)) == str(expected[i].argmax())
    again = deepgpu("predict", "big0.png", "--run", folder, "--invert").splitlines()
    assert again[0].startswith("big0.png: ")


def test_predict_with_the_newest_run_by_default(trained, tmp_path):
    folder, _ = trained
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(folder)
    Image.fromarray(Digits(train=False).data.numpy()[0]).save("0.png")
    assert deepgpu("predict", "0.png").startswith("0.png: ")
    assert "digits, test" in deepgpu("eval")


def test_predict_with_weights_of_pytorch(tmp_path):
    from deepgpu.vision.models import resnet8

    net = resnet8(num_classes=6)
    torch.save({k: torch.from_numpy(t.numpy()) for k, t in net.state_dict().items()}, "w.pth")
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save("black.png")
    output = deepgpu("predict", "black.png", "--model", "resnet8", "--weights", "w.pth", "--top", "6")
    assert output.count("class ") == 6


def test_kill_and_resume(trained, tmp_path):
    """kill -9 in the middle of an epoch, from outside, then --resume: the weights of the uninterrupted training."""
    folder, _ = trained
    command = [sys.executable, "-m", "deepgpu", *TRAIN, "--seed", "3", "--out", "run", "--save-every", "7"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        checkpoint = tmp_path / "run" / "checkpoints" / "step-00000014.safetensors"
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    output = deepgpu("train", "--resume", "run", "--device", "cpu")
    assert "test accuracy" in output
    expected, found = (load_tensors(f / "best.safetensors")[0] for f in (folder, tmp_path / "run"))
    for name in expected:
        np.testing.assert_array_equal(found[name].numpy(), expected[name].numpy(), err_msg=name)


def test_ctrl_c_says_how_to_go_on(monkeypatch):
    from deepgpu.train import Trainer

    step = Trainer._step

    def interrupted(self, inputs, targets):
        step(self, inputs, targets)
        if self.position.step == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    output = deepgpu(*SHORT, code=130)
    assert "stopped by SIGINT in epoch 1 after batch 3" in output
    assert output.splitlines()[-1] == "to go on: deepgpu train --resume runs/resnet8-digits"
    monkeypatch.undo()


def test_corrupt_checkpoint_is_refused_and_the_previous_one_offered(tmp_path):
    deepgpu(*SHORT, "--out", "run", "--save-every", "2")
    newest, previous = sorted((tmp_path / "run" / "checkpoints").iterdir(), reverse=True)
    content = bytearray(newest.read_bytes())
    content[-100] ^= 1
    newest.write_bytes(content)
    error, hint = deepgpu("train", "--resume", "run", code=2).splitlines()[-2:]
    assert error.startswith(f"deepgpu: error: the checkpoint run/checkpoints/{newest.name} is damaged")
    assert hint == f"to go on from the one before: deepgpu train --resume run/checkpoints/{previous.name}"
    assert "test accuracy" in deepgpu("train", "--resume", f"run/checkpoints/{previous.name}")


def test_folder_of_images(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 3)):
        for level, name in ((30, "dark"), (220, "light")):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.clip(rng.normal(level, 10, (40, 50, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / part / name / f"{i}.png")
    options = ["--image-size", "16", "--batch-size", "4", "--validation", "0", "--epochs", "3"]
    output = deepgpu(*TRAIN, "--data", "folder:photos", *options)
    assert "24 training, 6 test images" in output
    assert "test accuracy 100.00 %" in output
    assert (tmp_path / "runs" / "resnet8-photos").is_dir()
    shown = deepgpu("predict", "photos/val/dark/0.png", "photos/val/light/0.png")
    assert "dark/0.png: dark" in shown
    assert "light/0.png: light" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model", "resnet9"], r"there is no model 'resnet9'; did you mean"),
        (["train", "--data", "fashion-mnits"], r"there is no data set 'fashion-mnits'; did you mean 'fashion-mnist'\?"),
        (["train", "--data", "folder:nowhere"], r"there is no folder nowhere"),
        (["train", "--optimizer", "lion"], r"`optimizer` takes one of sgd, adam, adamw, but got 'lion'"),
        (["train", "--scheduler", "lunar"], r"`scheduler` takes one of onecycle, .*, but got 'lunar'"),
        (["train", "--epochs", "0"], r"`epochs` takes a number from 1, but got 0"),
        (["train", "--lr", "-1"], r"`lr` takes a number above 0, but got -1.0"),
        (["train", "--batch-size", "5000"], r"`batch_size` takes at most the 1293 training images"),
        (["train", "--validation", "1"], r"`validation` takes a share"),
        (["train", "--set", "width"], r"`--set` takes KEY=VALUE, such as width=32, but got 'width'"),
        (["train", "--set", "colour=3"], r"unexpected keyword argument 'colour'"),
        (["train", "--save-every", "often"], r"`--save-every` takes seconds, such as 60s, or steps"),
        (["train", "--device", "tpu"], r"`type` takes 'cpu', 'cuda' or 'cuda:<index>', but got 'tpu'"),
        (["train", "--resume", "nowhere"], r"there is no training to go on with in nowhere"),
        (
            ["train", "--resume", "nowhere", "--epochs", "5", "--lr", "1"],
            r"--epochs, --lr cannot be given with --resume",
        ),
        (["eval", "nowhere"], r"nowhere is no folder of a training"),
        (["eval"], r"there is no training in runs/ here"),
        (["predict", "missing.png", "--model", "resnet8"], r"`--model` and `--weights` go together"),
        (["summary", "resnet18", "--input", "3by3"], r"`--input` takes sizes such as 3x224x224, but got '3by3'"),
        (["summary", "resnet18", "--input", "1x224x224"], r"`conv2d`: `input` takes 3 channels"),
        (["data", "imagenet"], r"there is no data set 'imagenet'"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(arguments, message):
    output = deepgpu(*arguments, code=2)
    lines = [line for line in output.splitlines() if line.startswith("deepgpu: error: ")]
    assert len(lines) == 1
    assert "Traceback" not in output
    import re

    assert re.search(message, lines[0]), lines[0]


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv("DEEPGPU_DEBUG", "1")
    result = CliRunner().invoke(app, ["eval", "nowhere"])
    assert isinstance(result.exception, FileNotFoundError)


def test_training_into_a_used_folder_is_refused(trained):
    folder, _ = trained
    assert "holds a training; go on with it: deepgpu train --resume" in deepgpu(*TRAIN, "--out", folder, code=2)


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_damaged_image_is_named(trained, tmp_path, content):
    folder, _ = trained
    if content is None:
        Image.fromarray(np.zeros((64, 64), np.uint8)).save("x.png")
        content = (tmp_path / "x.png").read_bytes()[:-30]
    (tmp_path / "x.png").write_bytes(content)
    assert "x.png is no image, or damaged" in deepgpu("predict", "x.png", "--run", folder, code=2)


def test_summary_of_vgg16(monkeypatch):
    from deepgpu import nn

    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *args, **kwargs: tensor)
    output = deepgpu("summary", "vgg16", "--input", "3x224x224")
    rows = [line.split("│")[1:-1] for line in output.splitlines() if line.startswith("│")]
    table = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert table["features.0"] == ["Conv2d", "224x224x64", "64x3x3x3", "1,792", "173.4", "12.2 MiB"]
    assert table["features.30"][1] == "7x7x512"
    assert table["classifier.0"][:4] == ["Linear", "4096", "4096x25088", "102,764,544"]
    assert table["classifier.6"][1] == "1000"
    assert "138,357,544" in output
    assert "30.941 GFLOP an image (15.470 G multiply-adds)" in output


def test_info_and_data_say_what_is_missing(monkeypatch):
    monkeypatch.setenv("DEEPGPU_DATA", "/nowhere")
    output = deepgpu("info")
    for name in ("deepgpu", "python", "numpy", "numba", "gpu", "pillow", "matplotlib"):
        assert any(line.startswith(f"{name} ") for line in output.splitlines()), name
    assert "data       digits" in output
    assert "digits" in deepgpu("data")
    assert "1,437 training and 360 test images of 10 classes" in deepgpu("data", "digits")


def test_info_without_extras_has_the_commands(monkeypatch):
    import importlib

    real = importlib.import_module
    hidden = ("PIL", "matplotlib", "cupy")

    def without(name, *args):
        if name in hidden:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    output = deepgpu("info")
    assert "pip install 'deepgpu[vision]'" in output
    assert "pip install 'deepgpu[plots]'" in output
    assert "deepgpu[cuda13]" in output


def test_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "deepgpu", "--help"], capture_output=True, text=True, check=True)
    for command in ("train", "eval", "predict", "summary", "info", "data"):
        assert command in done.stdout
