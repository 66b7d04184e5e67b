"""EMNIST and USPS from files of their formats."""

import bz2
import gzip
import struct
import zipfile

import numpy as np
import pytest

from deepgpu.vision import datasets, transforms
from deepgpu.vision.datasets import locate


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Look for files only where the test puts them."""
    monkeypatch.setattr(locate, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DEEPGPU_DATA", raising=False)
    return tmp_path


def idx(array):
    """An IDX file of bytes."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.mark.parametrize("how", ["plain", "gzip", "archive"])
def test_emnist(nowhere, how):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 28, 28), dtype=np.uint8), rng.integers(1, 27, 6, dtype=np.uint8)
    files = {"images-idx3": idx(images), "labels-idx1": idx(labels)}
    folder = nowhere / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    if how == "archive":
        with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
            for kind, content in files.items():
                archive.writestr(f"gzip/emnist-letters-test-{kind}-ubyte.gz", gzip.compress(content))
    for kind, content in files.items() if how != "archive" else ():
        name = f"emnist-letters-test-{kind}-ubyte"
        (folder / (name + ".gz" * (how == "gzip"))).write_bytes(gzip.compress(content) if how == "gzip" else content)
    found = datasets.EMNIST(nowhere, "letters", train=False, transform=transforms.PILToTensor())
    np.testing.assert_array_equal(found.data.numpy(), images)
    assert found.targets.tolist() == labels.tolist()
    assert found.classes[labels[0]] == "abcdefghijklmnopqrstuvwxyz"[labels[0] - 1]
    np.testing.assert_array_equal(found[2][0].numpy()[0], images[2])
    assert "Characters: letters" in repr(found)


def test_emnist_classes_and_errors(nowhere):
    counts = {name: len(classes) for name, classes in datasets.EMNIST.classes_split_dict.items()}
    # Table II of the paper; "letters" counts from 1
    assert counts == {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 27, "digits": 10, "mnist": 10}
    with pytest.raises(ValueError, match="`split` takes byclass, bymerge, balanced, letters, digits, mnist, but got x"):
        datasets.EMNIST(nowhere, "x")
    with pytest.raises(datasets.DatasetNotFoundError, match=r"(?s)EMNIST\(\.\.\., download=True\).*get gzip\.zip from"):
        datasets.EMNIST(nowhere, "digits")
    folder = nowhere / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "gzip.zip").write_bytes(b"not a zip")
    with pytest.raises(ValueError, match=r"gzip\.zip: truncated or corrupt"):
        datasets.EMNIST(nowhere, "digits")
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        archive.writestr("gzip/other", b"")
    with pytest.raises(ValueError, match=r"expected a file emnist-digits-train-images-idx3-ubyte\.gz in it"):
        datasets.EMNIST(nowhere, "digits")


def test_usps(nowhere):
    rng = np.random.default_rng(0)
    values, labels = rng.uniform(-1, 1, (5, 256)).round(3), [10, 1, 4, 7, 10]
    lines = [f"{y} " + " ".join(f"{i + 1}:{v}" for i, v in enumerate(x)) for x, y in zip(values, labels, strict=True)]
    (nowhere / "usps.t.bz2").write_bytes(bz2.compress(" \n".join(lines).encode() + b" \n"))
    found = datasets.USPS(nowhere, train=False)
    assert found.targets == [9, 0, 3, 6, 9]
    np.testing.assert_array_equal(found.data, np.floor((values + 1) / 2 * 255).reshape(5, 16, 16))
    assert found[1][0].size == (16, 16)
    assert "Split: Test" in repr(found)
    with pytest.raises(datasets.DatasetNotFoundError, match=r"get usps\.bz2 from https://www\.csie\.ntu"):
        datasets.USPS(nowhere)
    for content in (b"garbage", bz2.compress(b"11 1:0\n"), bz2.compress(b"3 1:0 2:1\n")):
        (nowhere / "usps.bz2").write_bytes(content)
        with pytest.raises(ValueError, match=r"usps\.bz2: expected bzip2 of lines"):
            datasets.USPS(nowhere)
