"""Recipes, data by name, what images become, and experiments put together from them."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import deepgpu as dg
from deepgpu import optim
from deepgpu.train.data import open_data
from deepgpu.train.experiment import Experiment, judge, part_of
from deepgpu.train.image_input import ImageInput, RepeatChannels
from deepgpu.train.recipe import Recipe
from deepgpu.train.run import Run
from deepgpu.train.sources import SOURCES, source_of
from deepgpu.vision.datasets import Digits, FakeData

DIGITS = {"model_args": {"width": 4}, "batch_size": 64, "epochs": 2}


def recipe(**given):
    return Recipe.make("resnet8", "digits", {**DIGITS, **given}, SOURCES["digits"].recipe)


# --- recipes ------------------------------------------------------------------------------------------------------


def test_what_is_given_wins_over_the_data_and_the_optimizer():
    made = Recipe.make("resnet8", "digits", {"lr": None, "epochs": 3}, {"lr": 0.3, "epochs": 9})
    assert (made.lr, made.epochs, made.weight_decay) == (0.3, 3, 5e-4)
    adam = Recipe.make("resnet8", "digits", {"optimizer": "adam"}, {"lr": 0.3, "epochs": 9})
    assert (adam.lr, adam.epochs, adam.weight_decay) == (1e-3, 9, 0.0)
    assert Recipe.make("resnet8", "digits", {"optimizer": "adamw", "lr": 5e-4}).lr == 5e-4


def test_recipe_survives_json():
    made = recipe(clip_norm=1.5)
    assert Recipe.from_json(json.loads(json.dumps(made.to_json()))) == made
    with pytest.raises(ValueError, match="unknown setting 'epoch' in a recipe; did you mean 'epochs'"):
        Recipe.from_json({"model": "x", "data": "y", "epoch": 3})


@pytest.mark.parametrize("given", [{"clip_norm": 0.0}, {"patience": 0}, {"image_size": 0}, {"label_smoothing": 1.0}])
def test_values_out_of_range_are_named(given):
    (name,) = given
    with pytest.raises(ValueError, match=f"`{name}` takes"):
        recipe(**given)


# --- images -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "model", "size", "expected"),
    [
        ("fashion-mnist", "resnet8", None, (1, 28, True, 0, False)),
        ("fashion-mnist", "resnet18", None, (3, 32, True, 2, False)),
        ("fashion-mnist", "vgg16_bn", 64, (3, 64, True, 0, False)),
        ("cifar10", "resnet20", None, (3, 32, False, 0, False)),
        ("cifar10", "resnet18", None, (3, 32, False, 0, False)),
        ("digits", "resnet8", None, (1, 8, True, 0, False)),
        ("digits", "resnet18", None, (3, 32, True, 0, False)),
        ("folder:x", "resnet18", None, (3, 224, False, 0, True)),
        ("folder:x", "resnet8", None, (3, 32, False, 0, False)),
        ("folder:x", "resnet8", 16, (3, 16, False, 0, False)),
    ],
)
@pytest.mark.parametrize("augment", [True, False])
def test_images_get_the_shape_that_the_model_takes(data, model, size, expected, augment):
    source = source_of(data)
    image = ImageInput.of(source, model, size)
    assert (image.channels, image.size, image.grey, image.pad, image.crop) == expected
    side = 50 if source is None else source.size
    mode = "L" if source is not None and source.channels == 1 else "RGB"
    picture = Image.fromarray(np.full((side, side), 128, np.uint8)).convert(mode)
    made = image.for_data(source, augment)(picture)
    assert made.shape == (image.channels, image.size, image.size)
    assert image.for_file()(picture.convert("RGB").resize((90, 70))).shape == made.shape


def test_normalised_pixels_by_hand():
    pixels = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28)
    made = ImageInput.of(SOURCES["fashion-mnist"], "resnet18", None).for_data(SOURCES["fashion-mnist"], False)
    expected = (np.pad(pixels, 2).astype(np.float64) / 255 - 0.2860) / 0.3530
    found = made(Image.fromarray(pixels)).numpy()
    np.testing.assert_allclose(found, np.broadcast_to(expected, (3, 32, 32)), atol=1e-6)


def test_repeated_channels_of_a_batch():
    x = torch.randn(2, 1, 3, 4)
    np.testing.assert_array_equal(RepeatChannels(3)(dg.from_numpy(x.numpy())).numpy(), x.expand(2, 3, 3, 4).numpy())
    assert repr(RepeatChannels(3)) == "RepeatChannels(channels=3)"


def test_means_of_the_digits():
    pixels = Digits().data.numpy() / 255
    assert SOURCES["digits"].mean == pytest.approx((pixels.mean(),), abs=1e-4)
    assert SOURCES["digits"].std == pytest.approx((pixels.std(),), abs=1e-4)


def test_training_images_are_augmented_and_others_are_not():
    splits = open_data("digits", ImageInput.of(SOURCES["digits"], "resnet8", None), augment=True)
    dg.manual_seed(0)
    assert len({splits.train[0][0].numpy().tobytes() for _ in range(20)}) > 3
    assert len({splits.plain[0][0].numpy().tobytes() for _ in range(5)}) == 1
    assert (len(splits.train), len(splits.plain), len(splits.test)) == (1437, 1437, 360)
    assert splits.classes == list("0123456789")


def test_folder_with_other_classes_for_the_test_is_refused(tmp_path):
    for name in ("train/a", "train/b", "val/a", "val/c"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name / "0.png")
    with pytest.raises(ValueError, match=r"train has the classes \['a', 'b'\], but .*val has \['a', 'c'\]"):
        open_data(f"folder:{tmp_path}", ImageInput.of(None, "resnet8", None), False)


def test_folder_without_parts_has_no_test_images(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(5):
            Image.new("L", (8, 8)).save(tmp_path / name / f"{i}.png")
    splits = open_data(f"folder:{tmp_path}", ImageInput.of(None, "resnet8", 8), False)
    assert splits.test is None
    assert len(splits.train) == 10
    made = Recipe.make("resnet8", f"folder:{tmp_path}", {"validation": 0.2})
    assert len(part_of(splits, made, "validation")) == 2
    with pytest.raises(ValueError, match="has no test images"):
        part_of(splits, made, "test")
    with pytest.raises(ValueError, match="held no images out"):
        part_of(splits, Recipe.make("resnet8", f"folder:{tmp_path}", {"validation": 0.0}), "validation")
    with pytest.raises(ValueError, match="`part` takes one of"):
        part_of(splits, made, "all")


# --- experiments --------------------------------------------------------------------------------------------------


def test_validation_and_training_images_do_not_overlap():
    made = Experiment(recipe(validation=0.2, augment=False), "cpu")
    training, held_out = made.batches.dataset.indices, made.validation.dataset.indices
    assert sorted([*training, *held_out]) == list(range(1437))
    assert len(held_out) == 287
    other = Experiment(recipe(validation=0.2, augment=False, seed=1), "cpu")
    assert other.validation.dataset.indices != held_out
    assert Experiment(recipe(validation=0.0), "cpu").validation is None


def test_a_seed_decides_everything():
    a, b, c = (Experiment(recipe(seed=seed), "cpu") for seed in (1, 1, 2))
    first = [next(iter(e.batches))[0].numpy() for e in (a, b, c)]
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
    weights = [e.model.conv1.weight.detach().numpy() for e in (a, b, c)]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ["onecycle", "cosine", "step", "none"])
def test_schedules_agree_with_pytorch(name):
    made = Experiment(recipe(scheduler=name, lr=0.3), "cpu")
    steps = 2 * len(made.batches)
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3, momentum=0.9, nesterov=True)
    schedulers = torch.optim.lr_scheduler
    scheduler = {
        "onecycle": lambda: schedulers.OneCycleLR(theirs, 0.3, total_steps=steps),
        "cosine": lambda: schedulers.CosineAnnealingLR(theirs, T_max=steps),
        "step": lambda: schedulers.MultiStepLR(theirs, [steps // 2, steps * 3 // 4]),
        "none": lambda: schedulers.ConstantLR(theirs, 1.0),
    }[name]()
    for _ in range(steps - 1):
        assert made.optimizer.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9)
        made.optimizer.step()
        theirs.step()
        if made.scheduler is not None:
            made.scheduler.step()
        scheduler.step()


@pytest.mark.parametrize(("name", "kind"), [("sgd", optim.SGD), ("adam", optim.Adam), ("adamw", optim.AdamW)])
def test_optimizers(name, kind):
    made = Experiment(recipe(optimizer=name, scheduler="none", weight_decay=0.01), "cpu")
    assert type(made.optimizer) is kind
    group = made.optimizer.param_groups[0]
    assert group["weight_decay"] == 0.01
    if name == "sgd":
        assert (group["momentum"], group["nesterov"]) == (0.9, True)


def test_run_folder(tmp_path):
    run = Run(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"is no folder of a training: it has no config\.json"):
        run.recipe  # noqa: B018
    experiment = Experiment(recipe(), "cpu")
    run.write(experiment.recipe, experiment.image, experiment.splits.classes)
    assert (run.recipe, run.image, run.classes) == (experiment.recipe, experiment.image, list("0123456789"))
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        run.model()
    run.checkpoints.save(1, {"model": experiment.model.state_dict()})
    model, path = run.model()
    assert path.name == "step-00000001.safetensors"
    np.testing.assert_array_equal(model.fc.weight.detach().numpy(), experiment.model.fc.weight.detach().numpy())
    assert not model.training
    found = judge(run, "test", "cpu")
    assert found.samples == 360
    run.config.write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        run.recipe  # noqa: B018


def test_label_that_is_no_class_is_an_error(tmp_path, monkeypatch):
    experiment = Experiment(recipe(), "cpu")
    experiment.splits.train.targets[:] = 10
    from deepgpu.train.display import Silence

    with pytest.raises(IndexError, match=r"`target` takes class indices in 0\.\.9 .*but got 10"):
        experiment.train(Run(tmp_path / "run"), display=Silence())


def test_fake_data_has_the_interface_of_the_others():
    assert len(FakeData(size=3)) == 3
