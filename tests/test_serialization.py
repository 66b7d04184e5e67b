"""Files of tensors, judged by PyTorch and safetensors: what they write we read, what we write they read."""

import collections
import errno
import io
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

import deepgpu as dg
from deepgpu import nn
from deepgpu.serialization import (
    CorruptFileError,
    UnsafeFileError,
    load,
    load_tensors,
    replacing,
    save,
    save_tensors,
)

DTYPES = ["float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


def values(t):
    """A tensor of either library as a NumPy array with the same bits."""
    if isinstance(t, dg.Tensor):
        t = t.detach()
        return t.numpy().view(np.int16) if t.dtype is dg.bfloat16 else t.numpy()
    t = t.detach()
    return t.view(torch.int16).numpy() if t.dtype is torch.bfloat16 else t.numpy()


def same(ours, theirs):
    assert str(ours.dtype).split(".")[-1] == str(theirs.dtype).split(".")[-1]
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_array_equal(values(ours), values(theirs))


def torch_tensors():
    torch.manual_seed(0)
    base = torch.randn(4, 5)
    return {
        **{name: (torch.randn(2, 3) * 5).to(getattr(torch, name)) for name in DTYPES},
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "base": base,
        "rows": base[1:3],
        "transposed": base.t(),
        "expanded": torch.randn(3, 1).expand(3, 4),
        "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "frozen": torch.nn.Parameter(torch.randn(2), requires_grad=False),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_reads_what_torch_saved(tmp_path, zipped):
    saved = torch_tensors()
    torch.save(saved, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    read = load(tmp_path / "a.pt")
    assert list(read) == list(saved)
    for name, t in saved.items():
        same(read[name], t)
        assert read[name].stride() == t.stride()
        assert read[name].requires_grad == t.requires_grad
        assert isinstance(read[name], nn.Parameter) == isinstance(t, torch.nn.Parameter)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_shared_storage_is_shared_again(tmp_path, zipped):
    torch.save(torch_tensors(), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    read = load(tmp_path / "a.pt")
    read["base"].fill_(7)
    assert (read["rows"] == 7).all()
    assert (read["transposed"] == 7).all()
    assert not (read["expanded"] == 7).any()


def test_torch_reads_what_we_saved(tmp_path):
    source = torch_tensors()
    torch.save(source, tmp_path / "a.pt")
    ours = load(tmp_path / "a.pt")
    save(ours, tmp_path / "b.pt")
    read = torch.load(tmp_path / "b.pt", weights_only=True)
    for name, t in source.items():
        assert torch.equal(read[name], t), name
        assert read[name].dtype == t.dtype
        assert read[name].requires_grad == t.requires_grad
        assert type(read[name]) is type(t)
    assert read["channels_last"].is_contiguous(memory_format=torch.channels_last)
    read["base"].fill_(7)
    assert (read["rows"] == 7).all()


def test_nested_containers_both_ways(tmp_path):
    shared = dg.arange(3)
    obj = collections.OrderedDict(
        numbers=[0, -1, 255, 2**31, -(2**40), 2**70, 0.1, float("inf"), True, False, None],
        texts=("", "é\N{SNOWMAN}", ("nested", ())),
        by_int={0: {"momentum_buffer": shared}, 1: {}},
        again=shared,
    )
    obj["itself"] = obj["by_int"]
    save(obj, tmp_path / "a.pt")
    for read in (load(tmp_path / "a.pt"), torch.load(tmp_path / "a.pt", weights_only=True)):
        assert isinstance(read, collections.OrderedDict)
        assert read["numbers"] == obj["numbers"]
        assert read["texts"] == obj["texts"]
        assert read["by_int"][0]["momentum_buffer"] is read["again"]
        assert read["itself"] is read["by_int"]
        assert read["again"].tolist() == [0, 1, 2]


def test_model_and_optimizer_checkpoint_of_torch(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    adam = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 5, 5)).sum().backward()
    adam.step()
    torch.save({"model": net.state_dict(), "optimizer": adam.state_dict(), "epoch": 3}, tmp_path / "a.pth")
    read = load(tmp_path / "a.pth")
    assert read["epoch"] == 3
    assert read["model"]._metadata == net.state_dict()._metadata
    assert read["optimizer"]["param_groups"] == adam.state_dict()["param_groups"]
    same(read["optimizer"]["state"][0]["exp_avg"], adam.state_dict()["state"][0]["exp_avg"])
    buffer = io.BytesIO()
    save(read, buffer)
    buffer.seek(0)
    back = torch.load(buffer, weights_only=True)
    net.load_state_dict(back["model"])
    adam.load_state_dict(back["optimizer"])
    buffer.seek(0)
    assert load(buffer)["epoch"] == 3


def test_only_what_a_view_sees_is_written(tmp_path):
    save({"a": dg.zeros(100_000)[:10]}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 2_000


def test_reversed_array_is_saved_by_value(tmp_path):
    save([dg.from_numpy(np.arange(4.0)[::-1])], tmp_path / "a.pt")
    assert torch.load(tmp_path / "a.pt", weights_only=True)[0].tolist() == [3, 2, 1, 0]


def test_safetensors_both_ways(tmp_path):
    theirs = {name: t.contiguous() for name, t in torch_tensors().items() if name not in ("rows", "transposed")}
    safetensors.torch.save_file(theirs, tmp_path / "a.safetensors", {"note": "x"})
    ours, metadata = load_tensors(tmp_path / "a.safetensors")
    assert metadata == {"note": "x"}
    for name, t in theirs.items():
        same(ours[name], t)
    ours["strided"] = dg.arange(6).reshape(2, 3).t()
    save(ours, tmp_path / "b.safetensors")
    back = safetensors.torch.load_file(tmp_path / "b.safetensors")
    for name, t in theirs.items():
        assert torch.equal(back[name], t.detach())
    assert back["strided"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert load(tmp_path / "b.safetensors")["strided"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_content_tells_the_format(tmp_path):
    save({"a": dg.ones(2)}, tmp_path / "a.safetensors")
    os.rename(tmp_path / "a.safetensors", tmp_path / "a.bin")
    assert load(tmp_path / "a.bin")["a"].tolist() == [1, 1]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_is_refused_and_named(tmp_path, zipped):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeFileError, match=r"a\.pt asks for `torch\.nn\.modules\.linear\.Linear`"):
        load(tmp_path / "a.pt")


class Attack:
    def __init__(self, module, name):
        self.call = module, name


def pickle_of(*opcodes):
    return pickle.PROTO + b"\x02" + b"".join(opcodes) + pickle.STOP


def archive_of(tmp_path, data):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
    return tmp_path / "a.pt"


@pytest.mark.parametrize(
    "named", ["posix system", "builtins eval", "builtins getattr", "collections Counter", "torch load", "os popen"]
)
def test_globals_that_could_run_code_are_refused(tmp_path, named):
    module, name = named.split()
    data = pickle_of(pickle.GLOBAL, f"{module}\n{name}\n".encode(), b"(X\x02\x00\x00\x00lstR")
    with pytest.raises(UnsafeFileError, match=rf"`{module}\.{name}`"):
        load(archive_of(tmp_path, data))


def test_a_pickle_cannot_change_what_it_is_given(tmp_path):
    """BUILD sets attributes: of the function that rebuilds tensors, and of OrderedDict."""
    rebuild = pickle.GLOBAL + b"torch._utils\n_rebuild_tensor_v2\n"
    load(archive_of(tmp_path, pickle_of(rebuild, b"}X\x01\x00\x00\x00xK\x01sb")))
    from deepgpu.serialization import unpickle

    assert not hasattr(unpickle._tensor, "x")
    ordered = pickle.GLOBAL + b"collections\nOrderedDict\n"
    with pytest.raises(CorruptFileError, match=r"a\.pt"):
        load(archive_of(tmp_path, pickle_of(ordered, b"N}X\x04\x00\x00\x00keysK\x01s\x86b")))


def rebuilt(size, offset, shape, stride):
    """A pickled tensor with the given numbers, over a storage of ``size`` floats."""

    def integer(n):
        return pickle.BININT + struct.pack("<i", n)

    def integers(ns):
        return pickle.MARK + b"".join(map(integer, ns)) + pickle.TUPLE

    def text(s):
        return pickle.BINUNICODE + struct.pack("<I", len(s)) + s.encode()

    storage = pickle.GLOBAL + b"torch\nFloatStorage\n"
    pid = pickle.MARK + text("storage") + storage + text("0") + text("cpu") + integer(size) + pickle.TUPLE
    arguments = pid + pickle.BINPERSID + integer(offset) + integers(shape) + integers(stride) + pickle.NEWFALSE + b"}"
    rebuild = pickle.GLOBAL + b"torch._utils\n_rebuild_tensor_v2\n"
    return pickle_of(rebuild, pickle.MARK, arguments, pickle.TUPLE, pickle.REDUCE)


def archive_with_storage(tmp_path, data, floats):
    path = archive_of(tmp_path, data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", np.arange(floats, dtype=np.float32).tobytes())
    return path


def test_hand_made_tensor_inside_of_its_storage(tmp_path):
    read = load(archive_with_storage(tmp_path, rebuilt(6, 1, (2, 2), (3, 1)), 6))
    assert read.tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("size", "offset", "shape", "stride"),
    [
        (6, 0, (7,), (1,)),
        (6, 3, (2, 2), (3, 1)),
        (6, 0, (2,), (1000000,)),
        (6, -1, (2,), (1,)),
        (6, 2, (2,), (-1,)),
        (6, 0, (-2,), (1,)),
        (6, 0, (2, 2), (1,)),
        (60, 0, (2,), (1,)),
    ],
)
def test_tensor_outside_of_its_storage_is_refused(tmp_path, size, offset, shape, stride):
    with pytest.raises(CorruptFileError, match=r"a\.pt"):
        load(archive_with_storage(tmp_path, rebuilt(size, offset, shape, stride), 6))


def files_of_all_formats(folder):
    obj = {"a": torch.randn(50), "b": torch.randn(20)}
    torch.save(obj, folder / "zip.pt")
    torch.save(obj, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(obj, folder / "flat.safetensors")
    return ["zip.pt", "legacy.pt", "flat.safetensors"]


@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt", "flat.safetensors"])
def test_truncated_anywhere_is_an_error_that_names_the_file(tmp_path, name):
    files_of_all_formats(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for length in [0, 1, 5, 9, 20, 60, 100, *range(128, len(whole) - 1, 97), len(whole) - 1]:
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises((CorruptFileError, UnsafeFileError), match=name):
            load(tmp_path / name)


def test_flipped_bit_in_a_zip_is_found(tmp_path):
    files_of_all_formats(tmp_path)
    whole = bytearray((tmp_path / "zip.pt").read_bytes())
    position = whole.find(torch.load(tmp_path / "zip.pt")["a"].numpy().tobytes())
    whole[position + 10] ^= 4
    (tmp_path / "zip.pt").write_bytes(whole)
    with pytest.raises(CorruptFileError, match=r"zip\.pt"):
        load(tmp_path / "zip.pt")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.pt").write_text("weights")
    with pytest.raises(CorruptFileError, match=r"a\.pt is no file of tensors"):
        load(tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("x/readme.txt", "hello")
    with pytest.raises(CorruptFileError, match=r"b\.pt is a zip file, but not one that torch.save wrote"):
        load(tmp_path / "b.pt")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*c\.pt"):
        load(tmp_path / "c.pt")
    (tmp_path / "d.pt").write_bytes(pickle.dumps([1, 2], protocol=2))
    with pytest.raises(CorruptFileError, match=r"d\.pt is no file of tensors"):
        load(tmp_path / "d.pt")


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"`obj\['a'\]\[1\]` takes tensors, .* but got builtins\.set"):
        save({"a": [0, {1}]}, tmp_path / "a.pt")
    with pytest.raises(TypeError, match=r"wrap it with `from_numpy`"):
        save({"a": np.ones(3)}, tmp_path / "a.pt")
    with pytest.raises(TypeError, match=r"'a': int; a \.pt file holds"):
        save({"a": 3}, tmp_path / "a.safetensors")
    with pytest.raises(TypeError, match=r"takes a dict of tensors"):
        save([dg.ones(1)], tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match="mkdir -p"):
        save({"a": dg.ones(1)}, tmp_path / "missing" / "a.pt")


def test_map_location(tmp_path):
    save({"a": dg.ones(1)}, tmp_path / "a.pt")
    content = (tmp_path / "a.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        records = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        for name, data in records.items():
            saved = b"\x03\x00\x00\x00cpu"
            archive.writestr(name, data.replace(saved, b"\x07\x00\x00\x00cuda:99") if name.endswith("pkl") else data)
    assert content
    assert load(tmp_path / "b.pt", map_location="cpu")["a"].device == dg.device("cpu")
    assert load(tmp_path / "b.pt", map_location={"cuda:99": "cpu"})["a"].tolist() == [1]
    with pytest.raises(RuntimeError, match=r"saved on 'cuda:99'.*map_location"):
        load(tmp_path / "b.pt")
    with pytest.raises(TypeError, match="map_location"):
        load(tmp_path / "b.pt", map_location=lambda storage, location: storage)
    with pytest.raises(ValueError, match="weights_only"):
        load(tmp_path / "b.pt", weights_only=False)


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors"])
def test_disk_full_leaves_the_old_file(tmp_path, name):
    """A limit on the size of files makes the write fail in the middle, as a full disk does."""
    save({"a": dg.ones(10)}, tmp_path / name)
    before = (tmp_path / name).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=name) as caught:
            save({"a": dg.ones(100_000)}, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == before


def test_replacing_keeps_the_old_file_when_the_block_fails(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail():
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]
    with replacing(tmp_path / "a") as temporary:
        temporary.write_text("new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "new")]


def test_file_mode_follows_the_umask(tmp_path):
    save_tensors({"a": dg.ones(1)}, tmp_path / "a.safetensors")
    save({"a": dg.ones(1)}, tmp_path / "a.pt")
    (tmp_path / "plain").write_text("")
    modes = {p.name: p.stat().st_mode for p in tmp_path.iterdir()}
    assert len(set(modes.values())) == 1, modes


def test_neither_torch_nor_pickled_code_is_imported(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pt")
    code = (
        "import sys; from deepgpu.serialization import load, save\n"
        f"obj = load({str(tmp_path / 'a.pt')!r}); save(obj, {str(tmp_path / 'b.pt')!r})\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert torch.load(tmp_path / "b.pt")["a"].tolist() == [1, 1]
