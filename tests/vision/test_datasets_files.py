"""CIFAR's archives, folders of images, the digits that come with the package, noise."""

import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deepgpu as dg
from deepgpu.utils.data import DataLoader, Samples, default_collate
from deepgpu.vision import datasets, transforms
from deepgpu.vision.datasets import locate

N = {True: 6, False: 4}  # images in each file, in place of 10,000


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Look for files only where the test puts them."""
    monkeypatch.setattr(locate, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPGPU_DATA", raising=False)
    for cls in (datasets.CIFAR10, datasets.CIFAR100):
        monkeypatch.setattr(cls, "batch_size", N)
    return tmp_path


# --- CIFAR


def _cifar(kind):
    """The files of a small CIFAR: contents by name."""
    stream = np.random.default_rng(0)
    train, test = kind.train_list, kind.test_list
    classes = [f"class {i}" for i in range(10)]
    files = {kind.meta["filename"]: {kind.meta["key"]: classes}}
    for name in (*train, *test):
        n = N[name in train]
        pixels = stream.integers(0, 256, (n, 3072), dtype=np.uint8)
        files[name] = {"data": pixels, kind.label_key: stream.integers(0, 10, n).tolist(), "filenames": ["x.png"] * n}
    return files


def _unpacked(folder, kind):
    """The files as they come out of the archive."""
    files = _cifar(kind)
    (folder / kind.base_folder).mkdir(parents=True)
    for name, content in files.items():
        (folder / kind.base_folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return files


def _packed(folder, kind, monkeypatch):
    files = _cifar(kind)
    folder.mkdir(parents=True)
    with tarfile.open(folder / kind.filename, "w:gz") as tar:
        for name, content in files.items():
            data = pickle.dumps(content, protocol=2)
            member = tarfile.TarInfo(f"{kind.base_folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    monkeypatch.setattr(kind, "tgz_md5", hashlib.md5((folder / kind.filename).read_bytes()).hexdigest())
    return files


@pytest.mark.parametrize("kind", [datasets.CIFAR10, datasets.CIFAR100])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_cifar(nowhere, monkeypatch, packed, train, kind):
    folder = nowhere / "given"
    files = _packed(folder, kind, monkeypatch) if packed else _unpacked(folder, kind)
    samples = kind(folder, train=train)
    names = kind.train_list if train else kind.test_list
    pixels = np.concatenate([files[name]["data"] for name in names])
    labels = [label for name in names for label in files[name][kind.label_key]]
    np.testing.assert_array_equal(samples.data.transpose(0, 3, 1, 2).reshape(-1, 3072), pixels)
    assert samples.targets == labels
    assert samples.classes[3] == "class 3"
    assert samples.class_to_idx["class 3"] == 3
    image, label = samples[1]
    assert (image.mode, image.size, label) == ("RGB", (32, 32), labels[1])
    np.testing.assert_array_equal(np.asarray(image)[:, :, 2].reshape(-1), pixels[1, 2048:])


def test_cifar_in_the_cache_folder(nowhere):
    _unpacked(nowhere / "cache" / "deepgpu" / "datasets", datasets.CIFAR10)
    assert len(datasets.CIFAR10(train=False)) == 4


def test_cifar_in_batches(nowhere):
    _unpacked(nowhere / "given", datasets.CIFAR10)
    steps = transforms.Compose(
        [transforms.CenterCrop(20), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [1] * 3)]
    )
    samples = datasets.CIFAR10(nowhere / "given", transform=steps)
    together, single = samples.__getitems__([9, 0, 20]), [samples[i] for i in (9, 0, 20)]
    assert isinstance(together, Samples)
    for ours, theirs in zip(default_collate(together), default_collate(single), strict=True):
        assert ours.dtype is theirs.dtype
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_corrupt_archive_is_named(nowhere, monkeypatch):
    _packed(nowhere / "given", datasets.CIFAR10, monkeypatch)
    path = nowhere / "given" / datasets.CIFAR10.filename
    path.write_bytes(path.read_bytes()[:-100])
    size = path.stat().st_size
    with pytest.raises(
        ValueError, match=rf"cifar-10-python.tar.gz: truncated or corrupt: {size} bytes with MD5 .* get it"
    ):
        datasets.CIFAR10(nowhere / "given")


class _Evil:
    def __reduce__(self):
        return os.system, ("echo evil",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), r"test_batch: truncated or corrupt: \d+ bytes"),
        (lambda path: path.write_bytes(b""), "test_batch: truncated or corrupt: 0 bytes"),
        (lambda path: path.write_bytes(pickle.dumps(_Evil(), 2)), r"test_batch: .*system, which is not allowed"),
        (lambda path: path.write_bytes(pickle.dumps([1], 2)), "test_batch: expected a dict, found list"),
        (lambda path: path.write_bytes(pickle.dumps({}, 2)), r"test_batch: expected \(4, 3072\) pixels"),
        (
            lambda path: path.write_bytes(
                pickle.dumps({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 10]}, 2)
            ),
            "test_batch: expected labels 0 to 9, found 0 to 10",
        ),
        (lambda path: path.unlink(), "test_batch: missing; unpack cifar-10-python.tar.gz again"),
    ],
)
def test_broken_cifar_files_are_named(nowhere, change, message):
    _unpacked(nowhere / "given", datasets.CIFAR10)
    change(nowhere / "given" / "cifar-10-batches-py" / "test_batch")
    with pytest.raises(ValueError, match=message):
        datasets.CIFAR10(nowhere / "given", train=False)


def test_no_cifar(nowhere):
    with pytest.raises(datasets.DatasetNotFoundError) as caught:
        datasets.CIFAR10(nowhere / "given")
    text = str(caught.value)
    assert "cifar-10-python.tar.gz was not found in" in text
    assert "https://www.cs.toronto.edu/~kriz/cifar.html" in text
    assert f"put it into {nowhere / 'given'}" in text
    assert "download=True" in text


# --- folders


def _folders(root):
    for i, name in enumerate(["cat/b.png", "cat/deep/a.PNG", "dog/1.jpg", "dog/notes.txt"]):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("not an image")
        else:
            Image.new("L" if i == 0 else "RGB", (5, 4), i * 10).save(path)


def test_image_folder(tmp_path):
    _folders(tmp_path)
    samples = datasets.ImageFolder(tmp_path)
    assert samples.classes == ["cat", "dog"]
    assert samples.class_to_idx == {"cat": 0, "dog": 1}
    assert [(os.path.relpath(path, tmp_path), label) for path, label in samples.samples] == [
        (os.path.join("cat", "b.png"), 0),
        (os.path.join("cat", "deep", "a.PNG"), 0),
        (os.path.join("dog", "1.jpg"), 1),
    ]
    assert samples.targets == [0, 0, 1]
    assert samples.imgs is samples.samples
    image, label = samples[1]
    assert (image.mode, image.size, label) == ("RGB", (5, 4), 0)
    assert np.asarray(image)[0, 0].tolist() == [10, 0, 0]
    loaded = datasets.ImageFolder(tmp_path, transform=transforms.ToTensor(), target_transform=lambda y: y + 5)
    images, labels = next(iter(DataLoader(loaded, 3)))
    assert tuple(images.shape) == (3, 3, 4, 5)
    assert labels.tolist() == [5, 5, 6]


def test_image_folder_in_worker_processes(tmp_path):
    _folders(tmp_path)
    loaded = datasets.ImageFolder(tmp_path, transforms.Compose([transforms.RandomCrop(3), transforms.ToTensor()]))
    expected, got = (
        [x.numpy() for x, _ in DataLoader(loaded, 2, num_workers=n, generator=dg.Generator().manual_seed(1))]
        for n in (0, 2)
    )
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)


def test_dataset_folder_with_a_loader(tmp_path):
    _folders(tmp_path)
    texts = datasets.DatasetFolder(tmp_path, lambda path: Path(path).read_text(), (".txt",), allow_empty=True)
    assert [texts[i] for i in range(len(texts))] == [("not an image", 1)]
    named = datasets.ImageFolder(tmp_path, is_valid_file=lambda path: path.endswith(("b.png", "1.jpg")))
    assert len(named) == 2


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no folders, one for each class"):
        datasets.ImageFolder(tmp_path)
    _folders(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no valid file for the classes empty\. Files count that end in \.jpg"):
        datasets.ImageFolder(tmp_path)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True)) == 3
    with pytest.raises(ValueError, match="either `extensions` or `is_valid_file`"):
        datasets.folder.make_dataset(tmp_path)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("keep", [0, 0.2, 0.8])
def test_a_truncated_image_is_named(tmp_path, ending, keep):
    path = tmp_path / "class" / f"image{ending}"
    path.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(OSError, match=rf"image\{ending}: cannot read this image of {path.stat().st_size} bytes"):
        datasets.ImageFolder(tmp_path)[0]


# --- without files


def test_digits():
    train, test = datasets.Digits(), datasets.Digits(train=False)
    assert train.data.shape == (1437, 8, 8)
    assert test.data.shape == (360, 8, 8)
    labels = np.concatenate([train.targets.numpy(), test.targets.numpy()])
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as in UCI's description
    pixels = np.concatenate([train.data.numpy(), test.data.numpy()])
    original = np.rint(pixels / 255 * 16).astype(np.uint8)
    # of scikit-learn's load_digits().images.astype("uint8")
    expected = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    assert hashlib.sha256(original.tobytes()).hexdigest() == expected
    image, label = train[0]
    assert (image.mode, image.size, label) == ("L", (8, 8), 0)
    batch = next(iter(DataLoader(datasets.Digits(transform=transforms.ToTensor()), 32)))[0]
    assert tuple(batch.shape) == (32, 1, 8, 8)
    assert batch.max().item() == 1.0
    assert "Split: Test" in repr(test)


def test_fake_data():
    samples = datasets.FakeData(5, (3, 6, 7), 4, transform=transforms.ToTensor(), random_offset=3)
    other = datasets.FakeData(5, (3, 6, 7), 4, transform=transforms.ToTensor(), random_offset=4)
    before = dg.get_rng_state().tolist()
    np.testing.assert_array_equal(samples[1][0].numpy(), other[0][0].numpy())
    assert dg.get_rng_state().tolist() == before
    assert samples[1][1] == other[0][1]
    assert tuple(samples[0][0].shape) == (3, 6, 7)
    assert not np.array_equal(samples[0][0].numpy(), samples[1][0].numpy())
    assert {label for _, label in datasets.FakeData(60, (1, 2, 2), 4)} == {0, 1, 2, 3}
    assert datasets.FakeData(1, (1, 2, 2))[0][0].mode == "L"
    with pytest.raises(IndexError, match="index 5 is out of range of 5 images"):
        samples[5]
