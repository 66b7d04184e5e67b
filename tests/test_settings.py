"""Switches of the process under PyTorch's names: what they do, and that those without meaning are accepted."""

import warnings

import pytest
import torch

import deepgpu as dg
from deepgpu import compiler


@pytest.mark.parametrize(
    ("namespace", "name", "value"),
    [
        ("cudnn", "benchmark", True),
        ("cudnn", "deterministic", True),
        ("cudnn", "enabled", False),
        ("cudnn", "allow_tf32", False),
        ("cuda.matmul", "allow_tf32", True),
        ("opt_einsum", "enabled", True),
    ],
)
def test_switches_can_be_set(monkeypatch, namespace, name, value):
    owners = []
    for root in (dg.backends, torch.backends):
        for part in namespace.split("."):
            root = getattr(root, part)
        owners.append(root)
    assert hasattr(owners[1], name)
    monkeypatch.setattr(owners[0], name, value)
    assert getattr(owners[0], name) is value


def test_questions_about_backends():
    assert dg.backends.mps.is_available() is dg.backends.mps.is_built() is False
    assert dg.backends.cudnn.is_available() is False
    assert dg.backends.cudnn.version() is None
    assert dg.backends.cuda.is_built()
    assert dg.backends.openmp.is_available()
    assert not dg.backends.mkl.is_available()
    assert not dg.backends.mkldnn.is_available()
    dg.backends.cuda.enable_flash_sdp(True)
    with dg.backends.cuda.sdp_kernel(enable_math=False):
        assert dg.backends.cuda.math_sdp_enabled()


def test_flags_are_restored():
    before = dg.backends.cudnn.allow_tf32
    with dg.backends.cudnn.flags(benchmark=True, allow_tf32=not before):
        assert dg.backends.cudnn.benchmark
        assert dg.backends.cudnn.allow_tf32 is not before
    assert not dg.backends.cudnn.benchmark
    assert dg.backends.cudnn.allow_tf32 is before


def test_precision_of_float32_products():
    try:
        dg.set_float32_matmul_precision("medium")
        assert dg.backends.cuda.matmul.allow_tf32
        assert dg.get_float32_matmul_precision() == "medium"
    finally:
        dg.set_float32_matmul_precision("highest")
    assert not dg.backends.cuda.matmul.allow_tf32
    with pytest.raises(RuntimeError, match="'highest', 'high', 'medium'"):
        dg.set_float32_matmul_precision("best")


def test_deterministic_algorithms(emulated):
    x, index = dg.zeros(3, device="cuda"), dg.tensor([0, 0], device="cuda")
    try:
        dg.use_deterministic_algorithms(True)
        assert dg.are_deterministic_algorithms_enabled()
        with pytest.raises(RuntimeError, match="no fixed order"):
            x.index_add(0, index, dg.ones(2, device="cuda"))
        assert x.cpu().index_add(0, index.cpu(), dg.ones(2)).tolist() == [2, 0, 0]
        assert x.long().index_add(0, index, dg.ones(2, device="cuda").long()).tolist() == [2, 0, 0]
        dg.set_deterministic_debug_mode("warn")
        assert dg.get_deterministic_debug_mode() == 1
        assert dg.is_deterministic_algorithms_warn_only_enabled()
        with pytest.warns(UserWarning, match="deterministic"):
            x.index_add(0, index, dg.ones(2, device="cuda"))
    finally:
        dg.set_deterministic_debug_mode(0)
    assert x.index_add(0, index, dg.ones(2, device="cuda")).tolist() == [2, 0, 0]
    with pytest.raises(RuntimeError, match="debug_mode"):
        dg.set_deterministic_debug_mode("loud")


def test_compile_returns_the_module_and_says_so_once():
    compiler._say_once.cache_clear()
    net = dg.nn.Linear(2, 2)
    with pytest.warns(UserWarning, match="as it is"):
        assert dg.compile(net, mode="max-autotune") is net
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dg.compile(net) is net

        @dg.compile(fullgraph=True)
        def double(x):
            return 2 * x

    assert double(2) == 4
    assert not dg.compiler.is_compiling()
    assert dg.compiler.disable(net) is net


def test_accelerator(emulated):
    assert dg.accelerator.is_available()
    assert dg.accelerator.current_accelerator() == dg.device("cuda")
    assert dg.accelerator.current_device_index() == 0
    with dg.accelerator.device_index(0):
        assert dg.accelerator.device_count() == 1
    dg.accelerator.synchronize()
    assert dg.bfloat16 in dg.accelerator.get_device_capability()["supported_dtypes"]


def test_without_a_gpu_there_is_no_accelerator(monkeypatch):
    monkeypatch.setattr("deepgpu.backends.cuda.runtime.device_count", lambda: 0)
    assert dg.accelerator.current_accelerator() is None
