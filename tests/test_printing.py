"""Tensors print as PyTorch's do."""

import numpy as np
import pytest
import torch

import deepgpu as dg

RNG = np.random.default_rng(0)
ARRAYS = {
    "0-d": np.float32(3.5),
    "0-d int": np.int64(7),
    "vector": RNG.standard_normal(5).astype(np.float32),
    "long vector": RNG.standard_normal(200).astype(np.float32),
    "summarised": RNG.standard_normal(2000).astype(np.float32),
    "matrix": RNG.standard_normal((3, 4)).astype(np.float32),
    "summarised matrix": RNG.standard_normal((50, 60)).astype(np.float32),
    "cube": RNG.standard_normal((2, 3, 4)).astype(np.float32),
    "summarised 4-d": RNG.standard_normal((8, 7, 6, 5)).astype(np.float32),
    "whole": np.array([1, 2, -30], np.float32),
    "whole and large": np.array([1e9, 2], np.float32),
    "wide range": np.array([1e-6, 1.5, 3e4], np.float32),
    "small": np.array([1e-5, 2e-5], np.float32),
    "nan and inf": np.array([np.nan, np.inf, -np.inf, 1.5], np.float32),
    "whole with inf": np.array([np.inf, 2.0], np.float32),
    "zeros": np.zeros((2, 2), np.float32),
    "only nan": np.array([np.nan], np.float32),
    "float64": RNG.standard_normal(3),
    "float16": RNG.standard_normal(3).astype(np.float16),
    "int64": np.array([[1, -200], [3, 4]]),
    "int32": np.array([1, 2], np.int32),
    "uint8": np.array([1, 255], np.uint8),
    "bool": np.array([True, False]),
    "empty": np.zeros((0,), np.float32),
    "empty 2-d": np.zeros((0, 3), np.float32),
    "empty int": np.zeros((0,), np.int64),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_repr(name):
    array = np.array(ARRAYS[name])
    expected = repr(torch.tensor(array)).replace("torch.", "deepgpu.")
    assert repr(dg.tensor(array)) == expected


def test_bfloat16():
    values = [0.1, 2.5, -3.0]
    expected = repr(torch.tensor(values, dtype=torch.bfloat16)).replace("torch.", "deepgpu.")
    assert repr(dg.tensor(values, dtype=dg.bfloat16)) == expected


def test_requires_grad_and_grad_fn():
    x = dg.ones(2, requires_grad=True)
    assert repr(x) == "tensor([1., 1.], requires_grad=True)"
    assert repr(x * 2) == "tensor([2., 2.], grad_fn=<MulBackward>)"


def test_suffix_on_its_own_line():
    array = RNG.standard_normal(9)
    assert repr(dg.tensor(array)) == repr(torch.tensor(array)).replace("torch.", "deepgpu.")


@pytest.mark.parametrize(
    "settings", [{"precision": 2}, {"profile": "short"}, {"sci_mode": True}, {"linewidth": 40}, {"threshold": 5}]
)
def test_print_options(settings):
    array = RNG.standard_normal((4, 9)).astype(np.float32)
    try:
        dg.set_printoptions(**settings)
        torch.set_printoptions(**settings)
        assert repr(dg.tensor(array)) == repr(torch.tensor(array))
    finally:
        dg.set_printoptions(profile="default")
        torch.set_printoptions(profile="default")


def test_format_of_a_number():
    assert f"{dg.tensor(1.23456):.2f}" == "1.23"
