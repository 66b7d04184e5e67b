"""The compatibility page is the one that PyTorch's and our names make."""

from pathlib import Path

import pytest
import torch

import deepgpu as dg
from deepgpu.testing import compatibility

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"


@pytest.mark.filterwarnings("ignore")  # some names of PyTorch's warn when they are looked at
def test_the_page_is_up_to_date():
    assert PAGE.read_text() == compatibility.page(torch), "run `python -m deepgpu.testing.compatibility`"


@pytest.mark.parametrize("name", compatibility.DIFFERENT)
def test_what_differs_is_there(name):
    assert compatibility.found(torch, name) is not None
    assert compatibility.found(dg, name) is not None


def test_rows():
    assert compatibility.row("nn.Conv2d", dg) == ("nn.Conv2d", "same", "")
    assert compatibility.row("compile", dg).status == "differs"
    assert "complex" in compatibility.row("view_as_complex", dg).remark
    assert compatibility.row("unheard_of", dg) == ("unheard_of", "absent", compatibility.OTHERWISE)
