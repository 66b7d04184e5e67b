"""IDX files, where they are looked for, and MNIST's family."""

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

import deepgpu as dg
from deepgpu.utils.data import DataLoader, Samples, default_collate
from deepgpu.vision import datasets, transforms
from deepgpu.vision.datasets import locate

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}


def _idx(array, code=0x08):
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.dtype(TYPES[code]).newbyteorder(">")).tobytes()


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Look for files only where the test puts them."""
    monkeypatch.setattr(locate, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPGPU_DATA", raising=False)
    return tmp_path


def _write(folder, n=5, prefix="t10k", seed=0, zipped=False):
    """Images and labels in a folder; returns them."""
    stream = np.random.default_rng(seed)
    images = stream.integers(0, 256, (n, 28, 28), dtype=np.uint8)
    labels = stream.integers(0, 10, n, dtype=np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        content = _idx(array)
        name = f"{prefix}-{kind}-ubyte" + (".gz" if zipped else "")
        (folder / name).write_bytes(gzip.compress(content) if zipped else content)
    return images, labels


# --- the format


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 5), ()])
def test_read_idx(tmp_path, code, shape):
    array = (np.arange(np.prod(shape, dtype=int)) - 3).reshape(shape).astype(TYPES[code])
    path = tmp_path / "array"
    for content in (_idx(array, code), gzip.compress(_idx(array, code))):
        path.write_bytes(content)
        read = datasets.read_idx(path)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
        assert read.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file: it starts with nothing"),
        (b"\x89PNG....", "not an IDX file: it starts with 89 50 4e 47"),
        (b"\0\0\x08\x03\0\0\0\x01", "expected a header of 16 bytes, found 8 bytes"),
        (_idx(np.zeros((2, 3)))[:-1], r"expected 18 bytes \(2 x 3 of uint8 and a header of 12\), found 17 bytes"),
        (_idx(np.zeros((2, 3))) + b"x", "expected 18 bytes .* found 19 bytes"),
        (gzip.compress(_idx(np.random.default_rng(0).random((50, 50)), 0x0E))[:-500], "truncated or corrupt gzip file"),
        (b"\x1f\x8b nonsense", "truncated or corrupt gzip file"),
    ],
)
def test_bad_idx_files_are_named(tmp_path, content, message):
    path = tmp_path / "bad-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"bad-file.*{message}"):
        datasets.read_idx(path)


# --- where the files are


@pytest.mark.parametrize(
    ("folder", "environment"),
    [
        ("given/FashionMNIST/raw", None),
        ("given/fashion-mnist", None),
        ("given", None),
        ("elsewhere/FashionMNIST/raw", "elsewhere"),
        ("system/fashion-mnist", None),
        ("cache/deepgpu/datasets/FashionMNIST/raw", None),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_places(nowhere, monkeypatch, folder, environment, zipped):
    if environment:
        monkeypatch.setenv("DEEPGPU_DATA", str(nowhere / environment))
    images, labels = _write(nowhere / folder, zipped=zipped)
    samples = datasets.FashionMNIST(nowhere / "given", train=False)
    np.testing.assert_array_equal(samples.data.numpy(), images)
    assert samples.targets.dtype is dg.int64
    assert samples.targets.tolist() == labels.tolist()


def test_the_first_place_wins(nowhere, monkeypatch):
    monkeypatch.setenv("DEEPGPU_DATA", str(nowhere / "environment"))
    expected = [
        _write(nowhere / folder / "fashion-mnist", seed=i)[0]
        for i, folder in enumerate(("given", "environment", "system"))
    ]
    for root, images in ((nowhere / "given", expected[0]), (None, expected[1])):
        np.testing.assert_array_equal(datasets.FashionMNIST(root, train=False).data.numpy(), images)
    monkeypatch.delenv("DEEPGPU_DATA")
    np.testing.assert_array_equal(datasets.FashionMNIST(train=False).data.numpy(), expected[2])


def test_files_of_another_data_set_are_not_taken(nowhere, monkeypatch):
    monkeypatch.setenv("DEEPGPU_DATA", str(nowhere / "environment"))
    _write(nowhere / "environment")  # whose are they?
    _write(nowhere / "environment" / "FashionMNIST" / "raw")
    with pytest.raises(datasets.DatasetNotFoundError):
        datasets.MNIST(train=False)


def test_not_found_says_how_to_get_it(nowhere):
    with pytest.raises(RuntimeError) as caught:
        datasets.FashionMNIST(nowhere / "given")
    text = str(caught.value)
    assert f"train-images-idx3-ubyte.gz was not found in {nowhere / 'given'}, {nowhere / 'system'}" in text
    assert "sudo apt-get install dataset-fashion-mnist" in text
    assert "download=True" in text
    assert "https://github.com/zalandoresearch/fashion-mnist" in text
    assert f"put it into {nowhere / 'given' / 'FashionMNIST' / 'raw'}" in text


def test_a_failed_download_says_so(nowhere, monkeypatch):
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://localhost:9/"])
    with pytest.raises(datasets.DatasetNotFoundError, match=r"(?s)download failed:.*localhost.*apt-get install"):
        datasets.FashionMNIST(nowhere / "given", download=True)


def test_download(nowhere, monkeypatch):
    images, _ = _write(nowhere / "server", zipped=True)
    handler = functools.partial(_Quiet, directory=str(nowhere / "server"))
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://localhost:{server.server_address[1]}/"
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", ["http://localhost:9/", address])
        with pytest.raises(datasets.DatasetNotFoundError, match="hash"):  # not the official files
            datasets.FashionMNIST(nowhere / "given", train=False, download=True)
        raw = nowhere / "given" / "FashionMNIST" / "raw"
        assert list(raw.iterdir()) == []
        sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in (nowhere / "server").iterdir()}
        monkeypatch.setattr(datasets.FashionMNIST, "resources", sums)
        samples = datasets.FashionMNIST(nowhere / "given", train=False, download=True)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    np.testing.assert_array_equal(samples.data.numpy(), images)
    assert {path.name for path in raw.iterdir()} == set(sums)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


# --- the samples


def test_samples_are_pil_images_and_ints(nowhere):
    images, labels = _write(nowhere / "given")
    samples = datasets.FashionMNIST(nowhere / "given", train=False)
    image, label = samples[3]
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), images[3])
    assert (type(label), label) == (int, labels[3])
    assert samples.classes[9] == "Ankle boot"
    assert samples.class_to_idx["Trouser"] == 1
    assert repr(samples).splitlines()[:2] == ["Dataset FashionMNIST", "    Number of datapoints: 5"]
    assert "Split: Test" in repr(samples)


def _normalised():
    return transforms.Compose([transforms.Pad(2), transforms.ToTensor(), transforms.Normalize([0.3], [0.2])])


def test_whole_batches_are_the_images_one_by_one(nowhere):
    _write(nowhere / "given")
    samples = datasets.MNIST(nowhere / "given", train=False, transform=_normalised())
    together, single = samples.__getitems__([4, 0, 2]), [samples[i] for i in (4, 0, 2)]
    assert isinstance(together, Samples)
    for ours, theirs in zip(default_collate(together), default_collate(single), strict=True):
        assert ours.dtype is theirs.dtype
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_what_cannot_be_done_in_batches_is_done_one_by_one(nowhere):
    _write(nowhere / "given")
    for arguments in (
        {"transform": transforms.Compose([transforms.Lambda(lambda image: image), transforms.ToTensor()])},
        {"transform": lambda image: transforms.ToTensor()(image)},
        {"transform": transforms.ToTensor(), "target_transform": lambda label: label + 1},
    ):
        samples = datasets.MNIST(nowhere / "given", train=False, **arguments)
        assert isinstance(samples.__getitems__([0, 1]), list)
        images, labels = next(iter(DataLoader(samples, 5)))
        np.testing.assert_array_equal(images.numpy()[:, 0], samples.data.numpy() / np.float32(255))
        expected = samples.targets + (1 if "target_transform" in arguments else 0)
        assert labels.tolist() == expected.tolist()


def test_a_subclass_keeps_its_own_getitem(nowhere):
    class Negative(datasets.MNIST):
        def __getitem__(self, index):
            image, label = super().__getitem__(index)
            return -image, label

    _write(nowhere / "given")
    samples = Negative(nowhere / "given", train=False, transform=transforms.ToTensor())
    images, _ = next(iter(DataLoader(samples, 5)))
    assert images.max().item() <= 0


def test_changed_data_and_targets_count(nowhere):
    _write(nowhere / "given")
    samples = datasets.MNIST(nowhere / "given", train=False, transform=transforms.ToTensor())
    samples.data, samples.targets = samples.data[1:3], [7, 8]
    images, labels = next(iter(DataLoader(samples, 5)))
    assert images.shape == (2, 1, 28, 28)
    assert labels.tolist() == [7, 8]


def test_images_and_labels_that_do_not_fit(nowhere):
    folder = nowhere / "given"
    _write(folder)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(_idx(np.zeros(4)))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte: expected 5 labels"):
        datasets.MNIST(folder, train=False)
    (folder / "t10k-labels-idx1-ubyte").write_bytes(_idx(np.full(5, 10)))
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte: expected labels 0 to 9, found 10 to 10"):
        datasets.MNIST(folder, train=False)
    (folder / "t10k-images-idx3-ubyte").write_bytes(_idx(np.zeros((5, 28, 28)), 0x0D))
    with pytest.raises(ValueError, match=r"t10k-images-idx3-ubyte: expected images .* of float32"):
        datasets.MNIST(folder, train=False)


@pytest.mark.skipif(not Path("/usr/share/datasets/fashion-mnist").is_dir(), reason="needs dataset-fashion-mnist")
def test_debian_s_fashion_mnist():
    test = datasets.FashionMNIST(train=False)
    assert test.data.shape == (10000, 28, 28)
    assert np.bincount(test.targets.numpy()).tolist() == [1000] * 10
